import { describe, expect, it } from 'vitest';
import { digest32, digest64 } from './digest.ts';

describe('digests', () => {
  // The values were computed by a second implementation, in Python.
  it('are the same on every run and machine: reservations in Redis and PostgreSQL carry them', () => {
    expect(digest64('').toString('hex')).toBe('1aee8d83488bdcb8');
    expect(digest64('as;MUG,1|').toString('hex')).toBe('7a18e9cd7f9ee022');
    expect(digest32('MUG,,1')).toBe(0x5b7bfc1b);
  });

  it('tell texts apart that differ in one place, or in the order of two', () => {
    const texts = ['as;A,1|', 'as;A,2|', 'as;B,1|', 'ps;A,1|', 'as;A,1;B,1|', 'as;B,1;A,1|'];
    expect(new Set(texts.map((text) => digest64(text).toString('hex'))).size).toBe(texts.length);
  });

  it('give no two of 300,000 carts the same 64 bits, and halves as chance would', () => {
    const whole = new Set<bigint>();
    const highs = new Set<number>();
    const lows = new Set<number>();
    const carts = 300_000;
    for (let i = 0; i < carts; i += 1) {
      // Digits that change in three places at once: what weak mixing folds together.
      const text = `as;SKU-${i % 1_000},${1 + (i % 97)},W${i % 7}|{"order_id":"${i}"}`;
      const bytes = digest64(text);
      whole.add(bytes.readBigUInt64BE());
      highs.add(bytes.readUInt32BE(0));
      lows.add(bytes.readUInt32BE(4));
    }
    expect(whole.size).toBe(carts);
    // Birthday bound: n^2 / 2^33 = 10.5 collisions expected in 32 bits.
    expect(carts - highs.size).toBeLessThan(40);
    expect(carts - lows.size).toBeLessThan(40);
  });

  it('never give 0 where 0 means that nothing was named', () => {
    const digests = Array.from({ length: 100_000 }, (_, i) => digest32(`${i}`));
    expect(digests.every((digest) => digest > 0 && digest < 2 ** 32)).toBe(true);
  });
});
