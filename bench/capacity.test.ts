import { describe, expect, it } from 'vitest';
import {
  BUSY_MAX,
  type Load,
  type MeasuredCost,
  planCapacity,
  renderCapacity,
} from './capacity.ts';

const COST: MeasuredCost = {
  cpuUs: { engine: 12, redis: 3, relay: 1, persister: 6, kafka: 2, postgres: 12 },
  readUs: { engine: 6, redis: 2 },
  storedBytes: { kafka: 50, postgres: 600 },
  memoryBytes: { cell: 20, liveHold: 120, tombstone: 45, crowdedTombstone: 70 },
  requestBytes: 600,
};
const LOAD: Load = {
  name: 'a day',
  spike: 50_000,
  mean: 12_000,
  reads: 20_000,
  liveHolds: 1_200_000,
  cells: 500_000_000,
};

describe('planCapacity', () => {
  it('counts cores as CPU a second, no busier than planned', () => {
    const { needs } = planCapacity(COST, LOAD);
    const cores = Object.fromEntries(needs.map((each) => [each.process, each.cores * BUSY_MAX]));
    // 50,000 x 12 us and 20,000 reads x 6 us.
    expect(cores.engine).toBeCloseTo(0.72);
    expect(cores.redis).toBeCloseTo(0.19);
    expect(cores.persister).toBeCloseTo(0.3);
    expect(cores.postgres).toBeCloseTo(0.6);
  });

  it('wants as many lanes as the busiest of what a lane has once', () => {
    expect(planCapacity(COST, LOAD).growth.lanes).toBe(1);
    // 1,000,000 x 6 us of persister are 6 cores, 10 at most 0.6 busy; Redis wants 5.
    expect(planCapacity(COST, { ...LOAD, spike: 1_000_000, reads: 0 }).growth.lanes).toBe(10);
  });

  it('grows with the mean, not with the spike', () => {
    const { growth } = planCapacity(COST, LOAD);
    expect(growth.ledgerBytesPerYear).toBe(12_000 * 365 * 86_400 * 600 * 2);
    expect(growth.kafkaBytes).toBe(12_000 * 7 * 86_400 * 50 * 3);
    expect(planCapacity(COST, { ...LOAD, spike: 1_000_000 }).growth).toMatchObject({
      ledgerBytesPerYear: growth.ledgerBytesPerYear,
    });
  });

  it('keeps three days of tombstones beside cells and holds', () => {
    const small = { ...LOAD, mean: 1_000 };
    const one = 500_000_000 * 20 + 1_200_000 * 120 + 3 * 1_000 * 86_400 * 45;
    expect(planCapacity(COST, small).growth.memoryBytes).toBe(one * 3);
  });

  it('packs them only where a lane makes few enough of them a day', () => {
    // 988 of them in each of a lane's 1,048,576 buckets.
    const crowded = 500_000_000 * 20 + 1_200_000 * 120 + 3 * 12_000 * 86_400 * 70;
    expect(planCapacity(COST, LOAD).growth.memoryBytes).toBe(crowded * 3);
    const manyLanes = planCapacity(COST, { ...LOAD, spike: 1_000_000 });
    expect(manyLanes.growth.lanes).toBe(10);
    const packed = 500_000_000 * 20 + 1_200_000 * 120 + 3 * 12_000 * 86_400 * 45;
    expect(manyLanes.growth.memoryBytes).toBe(packed * 3);
  });
});

it('renderCapacity gives a table with a column for each load', () => {
  const table = renderCapacity([
    planCapacity(COST, LOAD),
    planCapacity(COST, { ...LOAD, name: 'x' }),
  ]);
  const lines = table.split('\n');
  for (const line of lines) expect(line.split(' | ')).toHaveLength(3);
  expect(lines[0]).toBe('|  | a day | x |');
  expect(table).toContain('| 50,000 (12,000) |');
  expect(table).toContain('| persister: cores at the spike | 0.5 (1 process) |');
  expect(table).toContain('| engine: cores at the spike | 1.2 (1 node of 16 cores) |');
  expect(table).toContain('| PostgreSQL, a year, 2 copies | 454 TB |');
});
