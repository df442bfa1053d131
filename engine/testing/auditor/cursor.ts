/**
 * Reads big-endian fields out of bytes, for the auditor alone. It shares nothing with the engine's
 * reader on purpose: a mistake there must not be able to hide itself here.
 */

/** The bytes are not what the documented layout says. */
export class UnreadableBytes extends Error {
  override readonly name = 'UnreadableBytes';
}

/** A view, no copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export class Cursor {
  readonly #bytes: Buffer;
  readonly #what: string;
  #at = 0;

  /** `what` names the thing in errors: `entry 7-12`, `record of ik_...`. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = asBuffer(bytes);
    this.#what = what;
  }

  fail(why: string): never {
    throw new UnreadableBytes(`${this.#what}: ${why} (byte ${this.#at} of ${this.#bytes.length})`);
  }

  #step(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#bytes.length) this.fail(`it ends ${bytes} bytes too early`);
    this.#at = at + bytes;
    return at;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#step(1));
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#step(2));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#step(4));
  }

  /** Signed, 1, 2, 4 or 8 bytes wide; fails on what JavaScript cannot hold exactly. */
  signed(width: number): number {
    if (width === 1) return this.#bytes.readInt8(this.#step(1));
    if (width === 2) return this.#bytes.readInt16BE(this.#step(2));
    if (width === 4) return this.#bytes.readInt32BE(this.#step(4));
    const wide = this.#bytes.readBigInt64BE(this.#step(8));
    const value = Number(wide);
    return Number.isSafeInteger(value) ? value : this.fail(`${wide} is past 2^53`);
  }

  bytes(length: number): Uint8Array {
    const at = this.#step(length);
    return this.#bytes.subarray(at, at + length);
  }

  #text(length: number, encoding: 'hex' | 'latin1' | 'utf8'): string {
    const at = this.#step(length);
    return this.#bytes.toString(encoding, at, at + length);
  }

  hex(length: number): string {
    return this.#text(length, 'hex');
  }

  /** An id or a name behind its length in one byte; it is ASCII. */
  shortText(): string {
    return this.#text(this.uint8(), 'latin1');
  }

  /** Text of any alphabet behind its length in two bytes. */
  longText(): string {
    return this.#text(this.uint16(), 'utf8');
  }

  /** A yes or no in one byte; anything but 0 and 1 is a mistake of the writer. */
  flag(): boolean {
    const byte = this.uint8();
    return byte > 1 ? this.fail(`${byte} is neither yes nor no`) : byte === 1;
  }

  list<T>(length: number, read: () => T): T[] {
    const items: T[] = [];
    for (let i = 0; i < length; i += 1) items.push(read());
    return items;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) this.fail(`${left} bytes are left over`);
  }
}
