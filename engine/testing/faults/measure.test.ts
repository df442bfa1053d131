/** Stops and percentiles, from attempts told by hand. */
import { expect, it } from 'vitest';
import type { Attempt, Outcome } from './history.ts';
import { longestStop, percentile } from './measure.ts';

function reserve(endedMs: number, outcome: Outcome = 'ok', client = 'new'): Attempt {
  const result = { outcome, status: 200, code: 'held' };
  return { n: 0, client, verb: 'reserve', intent: 'x', invokedMs: endedMs - 1, endedMs, result };
}

it('measures from the last success before to the first one after, whatever failed between', () => {
  const attempts = [
    reserve(100),
    reserve(110),
    reserve(900, 'failed'),
    reserve(2_110),
    reserve(2_120),
  ];
  expect(longestStop(attempts, 'new', 0)).toEqual({ ms: 2_000, endedMs: 2_110 });
});

it('counts from the fault when the sale had been slow before it', () => {
  expect(longestStop([reserve(100), reserve(2_000)], 'new', 1_500)).toMatchObject({ ms: 500 });
});

it('looks at one side and at what follows the fault only', () => {
  const attempts = [reserve(0), reserve(5_000), reserve(5_010), reserve(90_000, 'ok', 'old')];
  expect(longestStop(attempts, 'new', 5_001)).toMatchObject({ ms: 9 });
  expect(longestStop([reserve(1)], 'new', 0)).toBeUndefined();
});

it('takes the smallest value that as many are not above', () => {
  const values = Array.from({ length: 100 }, (_, i) => i + 1);
  expect([0.5, 0.99, 1].map((share) => percentile(values, share))).toEqual([50, 99, 100]);
  expect(percentile([7], 0.99)).toBe(7);
  expect(percentile([], 0.5)).toBeUndefined();
});
