/**
 * Which deadlines there are, in memory of one size whatever their number: a Bloom filter (Bloom 1970;
 * positions by double hashing, Kirsch and Mitzenmacher 2006). It never forgets a deadline, so a hold
 * that it does not know is looked at; it may believe in one that is not there: at a million live
 * deadlines about one missing deadline in 10^10 would go unseen, at 20 million one in 500. Every run
 * hashes with a salt of its own, so that the next one sees it.
 */
const BITS = 2 ** 28;
const POSITIONS = 6;

export class DueFilter {
  readonly #bits = new Uint8Array(BITS / 8);
  readonly #salt: number;
  #count = 0;

  constructor(salt: number) {
    this.#salt = salt >>> 0;
  }

  get count(): number {
    return this.#count;
  }

  add(second: number, reference: Uint8Array): void {
    this.#count += 1;
    let [at, step] = this.#hash(second, reference);
    for (let i = 0; i < POSITIONS; i += 1) {
      this.#bits[at >>> 3] = (this.#bits[at >>> 3] ?? 0) | (1 << (at & 7));
      at = (at + step) % BITS;
      step = (step + i) % BITS;
    }
  }

  has(second: number, reference: Uint8Array): boolean {
    let [at, step] = this.#hash(second, reference);
    for (let i = 0; i < POSITIONS; i += 1) {
      if (((this.#bits[at >>> 3] ?? 0) & (1 << (at & 7))) === 0) return false;
      at = (at + step) % BITS;
      step = (step + i) % BITS;
    }
    return true;
  }

  /** Two hashes of 32 bits, mixed as MurmurHash3 does at the end. */
  #hash(second: number, reference: Uint8Array): [number, number] {
    let a = this.#salt ^ second;
    let b = Math.imul(this.#salt, 0x9e3779b1) + second;
    for (const byte of reference) {
      a = Math.imul(a ^ byte, 0x01000193);
      b = Math.imul(b ^ byte, 0x85ebca6b) + 0xe6546b64;
      b = (b << 13) | (b >>> 19);
    }
    return [mix(a) % BITS, (mix(b) % BITS) | 1];
  }
}

function mix(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
