/** The pipeline's scenarios run, in small, and their audits see every unit. What they measure means nothing here. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { currentTestRun, serverDirectory } from '../../engine/testing/test-run.ts';
import { createBench, type OpenBench } from '../bench.ts';
import type { ScenarioReport } from '../scenario.ts';
import { runCheckoutPairs } from './checkout-pairs.ts';
import { runExpiryStorm } from './expiry-storm.ts';
import { runFullPipeline } from './full-pipeline.ts';
import { measureMemory } from './memory.ts';
import { runPersister } from './persister.ts';

const TIMEOUT_MS = 300_000;
const SILENT = { onProgress: () => undefined };

let bench: OpenBench;

beforeAll(async () => {
  const directory = join(serverDirectory(currentTestRun(), 'bench'), 'run');
  bench = await createBench({ directory, quick: true, seed: 'test', ...SILENT });
});
afterAll(() => bench.close());

function factOf(report: ScenarioReport, what: string): number {
  const found = report.facts.find((each) => each.what === what);
  if (found === undefined) throw new Error(`${report.name} says nothing of ${what}`);
  return found.value;
}

it('memory: cells, holds, tombstones and a wide SKU', { timeout: TIMEOUT_MS }, async () => {
  const { redis, close } = await bench.openStores();
  const size = { skus: 100, reservations: 2_000, warehouses: 300, batches: 2 };
  const report = await measureMemory(redis, size, 'test', () => undefined);
  await close();
  expect(report.audit).toEqual({ ok: true, words: report.audit.words });
  expect(factOf(report, 'cells filled, 50 warehouses a SKU')).toBe(5_000);
  // What is said of a cell cannot take less than it says, nor the whole less than its parts.
  const named = factOf(report, 'a cell: name and value alone');
  const shared = factOf(report, 'a cell: with its share of the hash');
  expect(named).toBeGreaterThanOrEqual(10);
  expect(shared).toBeGreaterThan(named);
  expect(factOf(report, 'a cell')).toBeGreaterThan(shared);
  for (const kind of ['made', 'keyed']) {
    const tombstone = factOf(report, `a tombstone, id ${kind}`);
    const settled = factOf(report, `settled, until its deadline, id ${kind}`);
    expect(tombstone).toBeGreaterThan(30);
    expect(settled).toBeGreaterThan(tombstone);
    expect(factOf(report, `a live reservation of one line, id ${kind}`)).toBeGreaterThan(settled);
  }
});

it('the persister alone, to its audit', { timeout: TIMEOUT_MS }, async () => {
  const size = { events: 20_000, skus: 10, rate: 200, seconds: 0.5 };
  const report = await bench.during({}, (own) => runPersister(own, size));
  expect(report.audit).toEqual({ ok: true, words: report.audit.words });
  expect(report.phases).toHaveLength(3);
  for (const { load } of report.phases) expect(load.answers).toBeGreaterThan(0);
  expect(report.phases[0]?.processes.map(({ name }) => name)).toContain('persister');
});

it('an expiry storm, and single units sold again', { timeout: TIMEOUT_MS }, async () => {
  const size = { live: 500, expiring: 2_000, skus: 10, resaleSkus: 3, resaleRounds: 2 };
  const report = await bench.during({}, (own) => runExpiryStorm(own, size));
  expect(report.audit).toEqual({ ok: true, words: report.audit.words });
  expect(factOf(report, 'units that were sold again')).toBe(6);
  expect(factOf(report, 'storm: holds that expired')).toBe(2_000);
  const left = report.series.find(({ name }) => name.startsWith('holds'))?.points ?? [];
  expect(left.at(-1)?.[1]).toBe(0);
  expect(factOf(report, 'storm: ping of Redis, longest')).toBeGreaterThan(0);
});

it('the full pipeline, through Kafka and embedded', { timeout: TIMEOUT_MS }, async () => {
  const logs = ['embedded', 'kafka'] as const;
  const size = { connections: 8, seconds: 0.5, tries: 1, logs };
  const report = await bench.during({}, (own) => runFullPipeline(own, size));
  expect(report.audit).toEqual({ ok: true, words: report.audit.words });
  expect(report.budgets).toHaveLength(2);
  const named = report.phases.map(({ processes }) => processes.map(({ name }) => name));
  expect(named.at(-1)).toEqual(expect.arrayContaining(['engine', 'relay', 'kafka', 'persister']));
  const backlog = report.series.find(({ name }) => name === 'kafka: backlog to PostgreSQL');
  expect(Math.max(...(backlog?.points ?? []).map(([, events]) => events))).toBeGreaterThan(0);
  // PostgreSQL is asked before Redis, so it never seems to know more.
  expect(Math.min(...(backlog?.points ?? []).map(([, events]) => events))).toBe(0);
});

it('checkout pairs, through Kafka and embedded', { timeout: TIMEOUT_MS }, async () => {
  const logs = ['embedded', 'kafka'] as const;
  const size = { callers: [4, 16], seconds: 0.5, warmUpSeconds: 0.2, logs };
  const report = await bench.during({}, (own) => runCheckoutPairs(own, size));
  expect(report.audit).toEqual({ ok: true, words: report.audit.words });
  expect(report.phases.map(({ name }) => name)).toEqual([
    'embedded: 4 callers',
    'embedded: 16 callers',
    'kafka: 4 callers',
    'kafka: 16 callers',
  ]);
  const tally = report.phases[1]?.load.tally;
  expect(tally).toMatchObject({ refused: 0 });
  expect(tally?.p99Ms).toBeGreaterThanOrEqual(tally?.p50Ms ?? Number.POSITIVE_INFINITY);
});
