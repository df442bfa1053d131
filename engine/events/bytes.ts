/**
 * Big-endian bytes in and out, the TypeScript half of Lua's `struct` library. The writer owns one
 * buffer that grows and is reused; `take` copies out what was written and starts again.
 */

export class ByteWriter {
  #buffer: Buffer;
  #at = 0;

  constructor(capacityBytes = 4096) {
    this.#buffer = Buffer.allocUnsafe(capacityBytes);
  }

  get length(): number {
    return this.#at;
  }

  #reserve(bytes: number): number {
    const at = this.#at;
    const end = at + bytes;
    if (end > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(end, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    this.#at = end;
    return at;
  }

  u8(value: number): void {
    const at = this.#reserve(1);
    this.#buffer[at] = value;
  }

  u16(value: number): void {
    const at = this.#reserve(2);
    this.#buffer.writeUInt16BE(value, at);
  }

  u24(value: number): void {
    const at = this.#reserve(3);
    this.#buffer.writeUIntBE(value, at, 3);
  }

  u32(value: number): void {
    const at = this.#reserve(4);
    this.#buffer.writeUInt32BE(value, at);
  }

  /** Safe integers only, negative ones included: two's complement over 8 bytes. */
  i64(value: number): void {
    const at = this.#reserve(8);
    this.#buffer.writeInt32BE(Math.floor(value / 0x1_0000_0000), at);
    this.#buffer.writeUInt32BE(value >>> 0, at + 4);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** Length in one byte, then the text, which must be ASCII. */
  ascii8(text: string): void {
    this.u8(text.length);
    this.ascii(text);
  }

  /** A text that must be ASCII, and whose length the reader knows. */
  ascii(text: string): void {
    const at = this.#reserve(text.length);
    this.#buffer.write(text, at, 'latin1');
  }

  bytes8(bytes: Uint8Array): void {
    this.u8(bytes.length);
    this.raw(bytes);
  }

  bytes16(bytes: Uint8Array): void {
    this.u16(bytes.length);
    this.raw(bytes);
  }

  bytes32(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.raw(bytes);
  }

  /** What the other has written, which is empty then. */
  append(other: ByteWriter): void {
    this.raw(other.#buffer.subarray(0, other.#at));
    other.#at = 0;
  }

  /** Writes a 16-bit number over one that was written before, at `at`. */
  patchU16(at: number, value: number): void {
    this.#buffer.writeUInt16BE(value, at);
  }

  /** Forgets what was written. */
  clear(): void {
    this.#at = 0;
  }

  take(): Buffer {
    const copy = Buffer.from(this.#buffer.subarray(0, this.#at));
    this.#at = 0;
    return copy;
  }
}

/** Thrown when bytes end early or say what no version of a format says. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

/** By hand, byte for byte: Buffer's own methods check again what `#advance` has checked. */
export class ByteReader {
  readonly #buffer: Buffer;
  #at: number;

  constructor(buffer: Buffer, at = 0) {
    this.#buffer = buffer;
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  get done(): boolean {
    return this.#at >= this.#buffer.length;
  }

  #advance(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#buffer.length) {
      throw new DecodeError(`${bytes} bytes wanted at ${at}, but there are ${this.#buffer.length}`);
    }
    this.#at = at + bytes;
    return at;
  }

  #byte(at: number): number {
    return this.#buffer[at] ?? 0;
  }

  /** Signed. */
  #int32(at: number): number {
    const high = (this.#byte(at) << 24) | (this.#byte(at + 1) << 16);
    return high | (this.#byte(at + 2) << 8) | this.#byte(at + 3);
  }

  u8(): number {
    return this.#byte(this.#advance(1));
  }

  u16(): number {
    const at = this.#advance(2);
    return (this.#byte(at) << 8) | this.#byte(at + 1);
  }

  u24(): number {
    const at = this.#advance(3);
    return (this.#byte(at) << 16) | (this.#byte(at + 1) << 8) | this.#byte(at + 2);
  }

  u32(): number {
    return this.#int32(this.#advance(4)) >>> 0;
  }

  i8(): number {
    return (this.u8() << 24) >> 24;
  }

  i16(): number {
    return (this.u16() << 16) >> 16;
  }

  i32(): number {
    return this.#int32(this.#advance(4));
  }

  i64(): number {
    const at = this.#advance(8);
    return this.#int32(at) * 0x1_0000_0000 + (this.#int32(at + 4) >>> 0);
  }

  /** A view, not a copy. */
  raw(bytes: number): Buffer {
    const at = this.#advance(bytes);
    return this.#buffer.subarray(at, at + bytes);
  }

  ascii8(): string {
    const length = this.u8();
    const at = this.#advance(length);
    return this.#buffer.toString('latin1', at, at + length);
  }

  /** Length in two bytes, then UTF-8. */
  text16(): string {
    const length = this.u16();
    const at = this.#advance(length);
    return length === 0 ? '' : this.#buffer.toString('utf8', at, at + length);
  }

  bytes8(): Buffer {
    return this.raw(this.u8());
  }

  bytes16(): Buffer {
    return this.raw(this.u16());
  }

  bytes32(): Buffer {
    return this.raw(this.u32());
  }
}

/** In a loop: most of these arrays have one element, for which `Array.from` is dear. */
export function times<T>(count: number, read: () => T): T[] {
  const all: T[] = [];
  for (let i = 0; i < count; i++) all.push(read());
  return all;
}
