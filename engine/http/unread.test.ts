import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Probes } from './unread.ts';

const MEAN_BYTES = 65_536;

it('looks after no answer at first, and then after one in so many bytes, on average', () => {
  let seed = 1;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const probes = new Probes(MEAN_BYTES, random);
  // With the head that goes with each.
  const bytes = 400 + 250;
  const first = Math.ceil((2 * MEAN_BYTES) / bytes);
  for (let n = 1; n < first; n += 1) expect(probes.isDue(400)).toBe(false);
  expect(probes.isDue(400)).toBe(true);
  let due = 0;
  for (let n = 0; n < 1_000_000; n += 1) due += Number(probes.isDue(400));
  expect(due / ((1_000_000 * bytes) / MEAN_BYTES)).toBeCloseTo(1, 1);
});

it('always looks after an answer of twice the mean', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(100_000)),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (sizes, at) => {
        const probes = new Probes(MEAN_BYTES, () => at);
        for (const size of sizes) probes.isDue(size);
        expect(probes.isDue(2 * MEAN_BYTES)).toBe(true);
      },
    ),
  );
});
