/**
 * A set of digests of 52 bits, 16 to 32 bytes each: what was looked at already, of millions of
 * records, without keeping their ids. Two that meet by chance would only hide one difference.
 */

const SLOTS_MIN = 1024;
/** Fuller than this, look-ups walk. */
const LOAD_MAX = 0.5;

export class Digests {
  /** Open addressing; 0 is an empty slot. */
  #slots = new Float64Array(SLOTS_MIN);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(digest: number): boolean {
    return this.#slots[this.#slotOf(digest)] !== 0;
  }

  /** False: it was there. */
  add(digest: number): boolean {
    const slot = this.#slotOf(digest);
    if (this.#slots[slot] !== 0) return false;
    this.#slots[slot] = digest;
    this.#size += 1;
    if (this.#size > this.#slots.length * LOAD_MAX) this.#grow();
    return true;
  }

  /** Where it stands, or would. */
  #slotOf(digest: number): number {
    const last = this.#slots.length - 1;
    let slot = (digest % 2 ** 31) & last;
    for (;;) {
      const there = this.#slots[slot];
      if (there === digest || there === 0) return slot;
      slot = (slot + 1) & last;
    }
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Float64Array(before.length * 2);
    for (const digest of before) {
      if (digest !== 0) this.#slots[this.#slotOf(digest)] = digest;
    }
  }
}

/** Of some numbers below 2^32 and some bytes; never 0. */
export function digestOf(bytes: Uint8Array, a: number, b = 0, c = 0): number {
  let high = mix(mix(mix(7, a), b), c);
  let low = mix(mix(mix(0x9e3779b9, c), a), b);
  let at = 0;
  for (; at + 4 <= bytes.length; at += 4) {
    const word =
      ((bytes[at] ?? 0) << 24) |
      ((bytes[at + 1] ?? 0) << 16) |
      ((bytes[at + 2] ?? 0) << 8) |
      (bytes[at + 3] ?? 0);
    high = mix(high, word);
    low = mix(low, word);
  }
  let rest = bytes.length - at + 1;
  for (; at < bytes.length; at += 1) rest = (rest << 8) | (bytes[at] ?? 0);
  high = mix(high, rest);
  low = mix(low, rest);
  return join(high, low);
}

/** Of a text, two units at a time; never 0. */
export function digestOfText(text: string): number {
  let high = 7;
  let low = 0x9e3779b9;
  let at = 0;
  for (; at + 2 <= text.length; at += 2) {
    const word = (text.charCodeAt(at) << 16) | text.charCodeAt(at + 1);
    high = mix(high, word);
    low = mix(low, word);
  }
  // Its length, too: what is left of an odd one must not look like a pair.
  const rest = text.length * 65_536 + (at < text.length ? text.charCodeAt(at) : 0);
  return join(mix(high, rest), mix(low, rest));
}

/** 26 bits of each. */
function join(high: number, low: number): number {
  return (high >>> 6) * 2 ** 26 + (low >>> 6) || 1;
}

/** A step of MurmurHash3 (Appleby), with its finalizer's shifts, so that every bit spreads. */
function mix(hash: number, word: number): number {
  let next = Math.imul(hash ^ word, 0x85ebca6b);
  next = Math.imul(next ^ (next >>> 13), 0xc2b2ae35);
  return ((next ^ (next >>> 16)) + 0x27d4eb2f) | 0;
}
