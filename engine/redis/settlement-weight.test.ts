import { expect, it } from 'vitest';
import { SettlementWeight } from './settlement-weight.ts';

function learnt(batches: readonly (readonly [cells: number, decided: number])[]): number {
  const weight = new SettlementWeight();
  for (const [cells, decided] of batches) weight.learn(cells, decided);
  return weight.cells;
}
const times = <T>(count: number, batch: T): T[] => Array.from({ length: count }, () => batch);

it('takes a settlement for one cell as long as nobody knows', () => {
  expect(learnt([])).toBe(1);
});

it('expects of the next what the last ones had', () => {
  expect(learnt(times(40, [800, 100]))).toBe(8);
});

it('counts those that were decided: the others cost nothing', () => {
  expect(learnt(times(300, [4_000, 1]))).toBe(4_000);
  expect(learnt(times(3, [0, 0]))).toBe(1);
});

it('forgets great carts', () => {
  expect(learnt([[4_000, 1], ...times(80, [100, 100] as const)])).toBeLessThanOrEqual(2);
});

it('is at least one, also of look-ups that change nothing', () => {
  expect(learnt(times(100, [0, 100]))).toBe(1);
});
