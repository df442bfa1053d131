import { describe, expect, it } from 'vitest';
import { readCoreSpeed, renderCoreSpeed } from './core-speed.ts';

describe('how fast a core is', () => {
  it('is the time of a step: a load from memory that no cache holds takes longer than a multiplication', () => {
    const speed = readCoreSpeed();
    expect(speed.multiply_ns).toBeGreaterThan(0);
    // Three orders of magnitude apart from a whole walk in place of a step, and from one not made.
    expect(speed.load_64mb_ns).toBeGreaterThan(2 * speed.multiply_ns);
    expect(speed.load_64mb_ns).toBeLessThan(100_000);
    expect(speed.load_8mb_ns).toBeGreaterThan(speed.multiply_ns);
  });

  it('is said with its units', () => {
    const words = renderCoreSpeed({ multiply_ns: 1.1, load_8mb_ns: 45, load_64mb_ns: 172 });
    expect(words).toBe(
      'a core when it began: a multiplication 1.1 ns, a load from 8 MB 45 ns, from 64 MB 172 ns',
    );
  });
});
