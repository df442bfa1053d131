import { expect, it } from 'vitest';
import type { CellField, Sku } from '../domain/ids.ts';
import { packId } from '../domain/reservation-id.ts';
import { SCRIPT_WORK_MAX } from '../domain/script-limits.ts';
import type { Operation, OperationResult, ReserveLine } from './operation.ts';
import { OperationWeights } from './operation-weight.ts';

const MADE = packId(`hf_${'0'.repeat(32)}`);
const DONE = { outcome: 'committed' } as OperationResult;
const line = (...fields: string[]): ReserveLine => ({
  sku: 'S' as Sku,
  quantity: 1,
  fields: fields as CellField[],
});
const reserve = (fresh: boolean, ...lines: ReserveLine[]): Operation => ({
  ...{ kind: 'reserve', id: MADE, fresh, fingerprint: Buffer.alloc(8), ttlS: 60 },
  ...{ partial: false, split: true, attributes: '', lines },
});
const commit: Operation = { kind: 'commit', id: MADE, attributes: '' };
const learn = (
  weights: OperationWeights,
  operations: readonly Operation[],
  results: readonly (OperationResult | undefined)[],
  work: number,
): void => {
  const sent = { others: [...operations.keys()], runs: { members: [] } };
  weights.learn(operations, sent, { results, work });
};
const times = <T>(count: number, each: T): T[] => Array.from({ length: count }, () => each);

it('counts a reserve by its cells and its places, and one that stands in a run as one', () => {
  const weights = new OperationWeights();
  expect(weights.of(reserve(true, line('A')))).toBe(1);
  expect(weights.of(reserve(false, line('A')))).toBe(5);
  const keyed = { ...reserve(false, line('A')), id: packId(`ik_${'0'.repeat(32)}`) };
  expect(weights.of(keyed)).toBe(1.5);
  expect(weights.of({ ...keyed, apart: true } as Operation)).toBe(5);
  expect(weights.of(reserve(true, line('A', 'B', 'C')))).toBe(6);
  expect(weights.of(reserve(true, line('A'), line('A')))).toBe(6);
});

it('expects of a settlement what the last ones were, and adds the lines that it names', () => {
  const weights = new OperationWeights();
  const named: Operation = {
    ...commit,
    lines: times(10, { sku: 'S' as Sku, field: '' as const, quantity: 1 }),
  };
  for (let i = 0; i < 80; i++) learn(weights, times(100, commit), times(100, DONE), 1_700);
  expect(weights.of(commit)).toBeCloseTo(17, 0);
  expect(weights.of(named) - weights.of(commit)).toBe(10);
  for (let i = 0; i < 80; i++) learn(weights, times(100, commit), times(100, DONE), 125);
  expect(weights.of(commit)).toBeLessThan(2.5);
});

it('counts those that were decided: the others cost nothing', () => {
  const weights = new OperationWeights();
  for (let i = 0; i < 800; i++) learn(weights, times(9, commit), [DONE], 400);
  expect(weights.of(commit)).toBeCloseTo(400, 0);
  learn(weights, [commit], [undefined], 0);
  expect(weights.of(commit)).toBeCloseTo(400, 0);
});

it('takes not all carts for great because one was, and none for more than a whole script', () => {
  const weights = new OperationWeights();
  learn(weights, [commit], [DONE], 12_000);
  expect(weights.of(commit)).toBeLessThan(12);
  for (let i = 0; i < 2_000; i++) learn(weights, [commit], [DONE], 12_000);
  expect(weights.of(commit)).toBeLessThanOrEqual(SCRIPT_WORK_MAX);
});

it('learns what a line without a warehouse costs where they were too many for a script', () => {
  const weights = new OperationWeights();
  const open = reserve(true, line());
  const before = weights.of(open);
  for (let i = 0; i < 80; i++) learn(weights, [open], [DONE], 260);
  expect(weights.of(open)).toBe(before);
  for (let i = 0; i < 80; i++) learn(weights, [open, open, open], [DONE, DONE, undefined], 508);
  expect(weights.of(open)).toBeGreaterThan(250);
  for (let i = 0; i < 80; i++) learn(weights, [open], [DONE], 260);
  expect(weights.of(open)).toBeLessThan(before + 1.5);
});
