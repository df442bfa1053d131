import { describe, expect, it } from 'vitest';
import { Digests, digestOf, digestOfText } from './digests.ts';

const idOf = (n: number): Buffer => Buffer.from(`01${n.toString(16).padStart(32, '0')}`, 'hex');

describe('digests', () => {
  it('keeps what was added, and nothing else, past several times its first size', () => {
    const digests = new Digests();
    const count = 50_000;
    for (let n = 0; n < count; n += 1) {
      if (!digests.add(digestOf(idOf(n), 1, 2, 3))) expect.fail(`id ${n} was there already`);
    }
    expect(digests.size).toBe(count);
    for (let n = 0; n < count; n += 1) {
      const digest = digestOf(idOf(n), 1, 2, 3);
      if (!digests.has(digest) || digests.add(digest)) expect.fail(`id ${n} is not there`);
      if (digests.has(digestOf(idOf(n + count), 1, 2, 3))) expect.fail(`id ${n + count} is there`);
    }
  });

  it('tells apart whatever differs in one part', () => {
    const bytes = Buffer.from('ABCDE');
    const all = [
      digestOf(bytes, 1, 2, 3),
      digestOf(bytes, 2, 2, 3),
      digestOf(bytes, 1, 3, 3),
      digestOf(bytes, 1, 2, 4),
      digestOf(bytes, 3, 2, 1),
      digestOf(Buffer.from('ABCDF'), 1, 2, 3),
      digestOf(Buffer.from('ABCDE\0'), 1, 2, 3),
      digestOf(Buffer.from('\0ABCDE'), 1, 2, 3),
      digestOf(Buffer.from('ABCD'), 1, 2, 3),
      digestOf(Buffer.from(''), 1, 2, 3),
    ];
    expect(new Set(all).size).toBe(all.length);
    for (const each of all) {
      expect(Number.isSafeInteger(each)).toBe(true);
      expect(each).toBeGreaterThan(0);
    }
  });

  it('tells texts apart, of whatever alphabet and length', () => {
    const texts = ['', 'a', 'b', 'ab', 'ba', 'ab ', 'aé', 'aè', 'a'.repeat(200), 'a'.repeat(201)];
    const all = texts.map(digestOfText);
    expect(new Set(all).size).toBe(texts.length);
    for (const each of all) {
      expect(Number.isSafeInteger(each)).toBe(true);
      expect(each).toBeGreaterThan(0);
    }
  });
});
