import { expect, it } from 'vitest';
import { PROCESSES } from './capacity.ts';
import { CapacityError, costOf } from './capacity-cost.ts';
import type { BenchReport, ScenarioResult } from './run.ts';

const fact = (what: string, value: number) => ({ what, value, unit: 'us' });
const NOTHING = { phases: [], facts: [], series: [], budgets: [], audit: { ok: true, words: [] } };

const PIPELINE = {
  ...NOTHING,
  ...{ name: 'full-pipeline', took_s: 1 },
  facts: [
    ...PROCESSES.map((name, i) => fact(`kafka: CPU of ${name} an event`, i + 1)),
    fact('embedded: CPU of engine an event', 99),
    fact('embedded: bytes of the log an event', 40),
    fact('kafka: bytes of PostgreSQL an event', 600),
  ],
};
const MEMORY = {
  ...NOTHING,
  ...{ name: 'memory', took_s: 1 },
  facts: [
    fact('a cell', 18),
    fact('a live reservation of one line, id made', 114),
    fact('a tombstone, id made', 45),
    fact('a tombstone, id crowded', 72),
    fact('a tombstone, id keyed', 130),
  ],
};
const READS = {
  ...NOTHING,
  ...{ name: 'availability-reads', took_s: 1 },
  phases: [
    {
      name: 'reads alone',
      load: { answers: 1_000 },
      processes: [
        { name: 'engine', cpuUs: 7_000, rssBytes: 1 },
        { name: 'redis', cpuUs: 2_000, rssBytes: 1 },
      ],
    },
  ],
};

/** Of a report no more than what is read of it. */
function reportOf(...scenarios: readonly object[]): BenchReport {
  return { scenarios: scenarios as ScenarioResult[] } as unknown as BenchReport;
}

it('takes its numbers from the scenarios of all reports, with Kafka as the log', () => {
  expect(costOf([reportOf(MEMORY, READS), reportOf(PIPELINE)])).toMatchObject({
    cpuUs: { engine: 1, redis: 2, relay: 3, persister: 4, kafka: 5, postgres: 6 },
    readUs: { engine: 7, redis: 2 },
    storedBytes: { kafka: 40, postgres: 600 },
    memoryBytes: { cell: 18, liveHold: 114, tombstone: 45, crowdedTombstone: 72 },
  });
});

it.each([
  [
    'a scenario',
    reportOf(MEMORY, READS),
    'the run has no scenario full-pipeline: npm run bench -- full-pipeline --json more.json',
  ],
  ['two', reportOf(MEMORY), 'npm run bench -- full-pipeline availability-reads --json'],
  [
    'one that broke off',
    reportOf(
      {
        ...MEMORY,
        facts: [],
        audit: { ok: false, words: ['it broke off: Redis is gone\n  at main'] },
      },
      ...[READS, PIPELINE],
    ),
    /^memory did not measure "a cell": it broke off: Redis is gone$/,
  ],
  [
    'a number',
    reportOf({ ...MEMORY, facts: [] }, READS, PIPELINE),
    'memory did not measure "a cell"',
  ],
  [
    'the phase',
    reportOf(MEMORY, { ...READS, phases: [] }, PIPELINE),
    'availability-reads did not measure "reads alone"',
  ],
])('says which of them is missing: %s', (_, report, message) => {
  expect(() => costOf([report])).toThrow(CapacityError);
  expect(() => costOf([report])).toThrow(message);
});
