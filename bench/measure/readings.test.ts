import { describe, expect, it } from 'vitest';
import { renderHistogram } from '../report.ts';
import { histogramBetween, outcomesBetween, parseEngine } from './engine-metrics.ts';
import { median } from './median.ts';
import { commandsBetween, type RedisReading } from './redis-cpu.ts';

const metrics = (cpu: number, batches: readonly number[], created: number): string =>
  [
    '# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.',
    `process_cpu_seconds_total ${cpu}`,
    'process_resident_memory_bytes 1048576',
    `holdfast_event_loop_turn_cpu_seconds_bucket{le="0.001"} ${batches[0]}`,
    `holdfast_event_loop_turn_cpu_seconds_bucket{le="+Inf"} ${batches[1]}`,
    `holdfast_lane_batch_operations_bucket{le="1",script="submit"} ${batches[0]}`,
    `holdfast_lane_batch_operations_bucket{le="2",script="submit"} ${batches[1]}`,
    `holdfast_lane_batch_operations_bucket{le="+Inf",script="submit"} ${batches[2]}`,
    'holdfast_lane_batch_operations_bucket{le="1",script="settle"} 1',
    'holdfast_lane_batch_operations_bucket{le="2",script="settle"} 1',
    'holdfast_lane_batch_operations_bucket{le="+Inf",script="settle"} 1',
    `holdfast_lane_batch_operations_sum{script="submit"} ${created}`,
    `holdfast_lane_batch_operations_count{script="submit"} ${batches[2]}`,
    `holdfast_outcomes_total{operation="reserve",outcome="created"} ${created}`,
    '',
  ].join('\n');

describe('what an engine says of itself', () => {
  const before = parseEngine(metrics(1.5, [1, 2, 3], 10));
  const after = parseEngine(metrics(2, [1, 7, 9], 40));

  it('is CPU, memory, batches and outcomes', () => {
    expect(before).toMatchObject({ cpuUs: 1_500_000, rssBytes: 1_048_576 });
    expect(before.outcomes.get('reserve created')).toBe(10);
    expect(before.batches.buckets).toEqual([
      { upTo: 1, count: 2 },
      { upTo: 2, count: 1 },
      { upTo: Number.POSITIVE_INFINITY, count: 1 },
    ]);
  });

  it('is turns of the event loop', () => {
    expect(after.turns.buckets).toEqual([
      { upTo: 0.001, count: 1 },
      { upTo: Number.POSITIVE_INFINITY, count: 6 },
    ]);
  });

  it('is compared with what it said before', () => {
    const batches = histogramBetween(before.batches, after.batches);
    expect(batches).toEqual({
      count: 6,
      sum: 30,
      buckets: [
        { upTo: 1, count: 0 },
        { upTo: 2, count: 5 },
        { upTo: Number.POSITIVE_INFINITY, count: 1 },
      ],
    });
    expect(outcomesBetween(before, after).get('reserve created')).toBe(30);
    expect(renderHistogram(batches)).toBe('mean 5 operations; 2: 83 %, over 2: 17 %');
  });

  it('is told apart by worker, where there are several', () => {
    expect(before.workers.size).toBe(0);
    const { workers, cpuUs } = parseEngine(
      [
        'process_cpu_seconds_total{worker="1"} 2',
        'process_cpu_seconds_total{worker="supervisor"} 9',
        'process_cpu_seconds_total{worker="2"} 1',
        'process_open_fds{worker="2"} 31',
      ].join('\n'),
    );
    expect(cpuUs).toBe(12_000_000);
    expect([...workers]).toEqual([
      ['1', { cpuUs: 2_000_000, openFiles: Number.NaN }],
      ['2', { cpuUs: 1_000_000, openFiles: 31 }],
    ]);
  });
});

it('names the commands that took the time between two readings', () => {
  const reading = (...commands: [string, number, number][]): RedisReading => ({
    cpuUs: 0,
    usedMemoryBytes: 0,
    rssBytes: 0,
    commands: new Map(commands.map(([name, calls, us]) => [name, { calls, us }])),
  });
  const before = reading(['hset', 5, 10], ['info', 1, 3]);
  const after = reading(['hset', 7, 16], ['info', 1, 3], ['evalsha', 2, 90]);
  expect(commandsBetween(before, after)).toEqual([
    { name: 'evalsha', calls: 2, us: 90 },
    { name: 'hset', calls: 2, us: 6 },
  ]);
});

it('takes the middle of the rounds', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 2])).toBe(3);
  expect(median([])).toBeNaN();
});
