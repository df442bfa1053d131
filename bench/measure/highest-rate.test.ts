import { expect, it } from 'vitest';
import { findHighestRate } from './highest-rate.ts';

async function search(limit: number, tries: number, first?: number) {
  const most = 40_000;
  const tried: number[] = [];
  const found = await findHighestRate(
    { most, tries, step: 500, ...(first !== undefined && { first }) },
    async (rate) => {
      tried.push(rate);
      return rate <= limit;
    },
  );
  return { found, tried };
}

it('comes near the limit from below, never above it', async () => {
  for (const limit of [500, 3_300, 12_345, 29_999, 39_000]) {
    const { found, tried } = await search(limit, 20);
    expect(found).toBeLessThanOrEqual(limit);
    expect(found).toBeGreaterThan(limit - 1_000);
    // A rate is tried once.
    expect(new Set(tried).size).toBe(tried.length);
  }
});

it('says what it has seen, not what it hopes', async () => {
  expect(await search(100, 5)).toMatchObject({ found: 0 });
  expect(await search(40_000, 2)).toEqual({ found: 35_500, tried: [30_000, 35_500] });
});

it('begins where it is told to, and nowhere above the most', async () => {
  expect(await search(13_000, 3, 12_000)).toEqual({
    found: 12_000,
    tried: [12_000, 26_500, 19_500],
  });
  expect((await search(39_000, 1, 90_000)).tried).toEqual([40_000]);
});
