/**
 * Random numbers that repeat: the same seed gives the same numbers on every machine, so that a sale or a
 * replay can be run again. Not for secrets.
 */

/** FNV-1a with a final mix (MurmurHash3's), 32 bits: spreads ids that differ in one character. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A number in [0, 1) that depends on nothing but the text. */
export function fractionOf(text: string): number {
  return hash32(text) / 2 ** 32;
}

/** Numbers in [0, 1): sfc32 (Chris Doty-Humphrey, PractRand), its state filled from the seed. */
export function randomFrom(seed: string): () => number {
  let a = hash32(`${seed}/a`);
  let b = hash32(`${seed}/b`);
  let c = hash32(`${seed}/c`);
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let round = 0; round < 12; round += 1) next();
  return next;
}
