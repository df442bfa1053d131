/** The pipeline's scenarios run, in small, and their audits see every unit. What they measure means nothing here. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { currentTestRun, serverDirectory } from '../../engine/testing/test-run.ts';
import { createBench, type OpenBench } from '../bench.ts';
import { memoryCost, pipelineCost } from '../capacity-cost.ts';
import { perSecond } from '../phase.ts';
import type { ScenarioReport } from '../scenario.ts';
import { checkoutPairs } from './checkout-pairs.ts';
import { expiryStorm } from './expiry-storm.ts';
import { fullPipeline } from './full-pipeline.ts';
import { memory } from './memory.ts';
import { overload } from './overload.ts';
import { persister } from './persister.ts';
import { workers } from './workers.ts';

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
  // Of fewer, what Redis itself takes and gives back meanwhile is as much as the parts differ.
  const holds = { madeHolds: 20_000, crowdedHolds: 20_000, keyedHolds: 20_000 };
  const size = { ...holds, skus: 100, warehouses: 300, batches: 2 };
  const report = await bench.during({}, (own) => memory.runIn(own, size));
  expect(report.audit).toEqual({ ok: true, words: report.audit.words });
  expect(factOf(report, 'cells filled, 50 warehouses a SKU')).toBe(5_000);
  // A capacity plan finds its numbers by their names.
  expect(memoryCost(report).cell).toBe(factOf(report, 'a cell'));
  // What is said of a cell cannot take less than it says, nor the whole less than its parts.
  const named = factOf(report, 'a cell: name and value alone');
  const shared = factOf(report, 'a cell: with its share of the hash');
  expect(named).toBeGreaterThanOrEqual(10);
  expect(shared).toBeGreaterThan(named);
  expect(factOf(report, 'a cell')).toBeGreaterThan(shared);
  for (const kind of ['made', 'crowded', 'keyed']) {
    const tombstone = factOf(report, `a tombstone, id ${kind}`);
    const settled = factOf(report, `settled, until its deadline, id ${kind}`);
    expect(tombstone).toBeGreaterThan(30);
    expect(settled).toBeGreaterThan(tombstone);
    expect(factOf(report, `a live reservation of one line, id ${kind}`)).toBeGreaterThan(settled);
  }
});

it('the persister alone, to its audit', { timeout: TIMEOUT_MS }, async () => {
  const size = { events: 20_000, skus: 10, rate: 200, seconds: 0.5 };
  const report = await bench.during({}, (own) => persister.runIn(own, size));
  expect(report.audit).toEqual({ ok: true, words: report.audit.words });
  const [one, bare] = report.phases;
  expect(report.phases).toHaveLength(5);
  for (const { load } of report.phases) expect(load.answers).toBeGreaterThan(0);
  expect(one?.processes.map(({ name }) => name)).toContain('persister');
  // All of the events, each a reservation, its line and its movement.
  expect(bare?.load.answers).toBeGreaterThanOrEqual(one?.load.answers ?? Number.NaN);
  const rows = factOf(report, 'one SKU, reserves: rows that COPY brings for an event');
  expect(rows).toBeGreaterThan(3);
  expect(rows).toBeLessThan(3.1);
  expect(report.budgets.map(({ yardstick }) => yardstick?.measured)).toEqual(
    report.phases.filter(({ name }) => name.endsWith('bare COPY')).map(perSecond),
  );
});

it('an expiry storm, and single units sold again', { timeout: TIMEOUT_MS }, async () => {
  const size = { live: 500, expiring: 2_000, skus: 10, resaleSkus: 3, resaleSeconds: 4 };
  const report = await bench.during({}, (own) => expiryStorm.runIn(own, size));
  expect(report.audit).toEqual({ ok: true, words: report.audit.words });
  expect(factOf(report, 'units that were sold again')).toBeGreaterThan(0);
  expect(factOf(report, 'storm: holds that expired')).toBe(2_000);
  const left = report.series.find(({ name }) => name.startsWith('holds'))?.points ?? [];
  expect(left.at(-1)?.[1]).toBe(0);
  expect(factOf(report, 'storm: ping of Redis, longest')).toBeGreaterThan(0);
});

it('the full pipeline, through Kafka and embedded', { timeout: TIMEOUT_MS }, async () => {
  const logs = ['embedded', 'kafka'] as const;
  const size = { connections: 8, seconds: 0.5, warmUpSeconds: 0.2, tries: 1, logs };
  const report = await bench.during({}, (own) => fullPipeline.runIn(own, size));
  expect(report.audit).toEqual({ ok: true, words: report.audit.words });
  expect(report.budgets).toHaveLength(2);
  // A capacity plan finds its numbers by their names.
  expect(pipelineCost(report).cpuUs.persister).toBeGreaterThan(0);
  const named = report.phases.map(({ processes }) => processes.map(({ name }) => name));
  expect(named.at(-1)).toEqual(expect.arrayContaining(['engine', 'relay', 'kafka', 'persister']));
  for (const { head, rows } of report.tables ?? []) {
    expect(rows.map(([phase]) => phase)).toEqual(['warm-up', 'closed loop', 'open loop, try 1']);
    const cores = rows.map((row) => Number(row[head.indexOf('cores')]));
    expect(Math.min(...cores)).toBeGreaterThan(0);
  }
  const backlog = report.series.find(({ name }) => name === 'kafka: backlog to PostgreSQL');
  expect(Math.max(...(backlog?.points ?? []).map(([, events]) => events))).toBeGreaterThan(0);
  // PostgreSQL is asked before Redis, so it never seems to know more.
  expect(Math.min(...(backlog?.points ?? []).map(([, events]) => events))).toBe(0);
});

it('checkout pairs, through Kafka and embedded', { timeout: TIMEOUT_MS }, async () => {
  const logs = ['embedded', 'kafka'] as const;
  const size = { callers: [4, 16], seconds: 0.5, warmUpSeconds: 0.2, logs };
  const report = await bench.during({}, (own) => checkoutPairs.runIn(own, size));
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

it('one worker and two on one port, to their audits', { timeout: TIMEOUT_MS }, async () => {
  const size = { workers: [1, 2], connections: 8, seconds: 1, warmUpSeconds: 0.2 };
  const report = await bench.during({}, (own) => workers.runIn(own, size));
  expect(report.audit).toEqual({ ok: true, words: report.audit.words });
  const names = ['1 worker', '2 workers', '1 worker, again'];
  expect(report.tables?.[0]?.rows.map(([name]) => name)).toEqual(names);
  expect(report.phases.map(({ name }) => name)).toEqual(
    names.flatMap((name) => [`${name}: reserves`, `${name}: rejections`]),
  );
  for (const name of names) {
    expect(factOf(report, `${name}: reserves`)).toBeGreaterThan(0);
    expect(factOf(report, `${name}: CPU of Redis a reserve`)).toBeGreaterThan(0);
    expect(factOf(report, `${name}: operations in a batch`)).toBeGreaterThanOrEqual(1);
  }
  expect(factOf(report, '2 workers: CPU of the busiest worker : idlest')).toBeGreaterThanOrEqual(1);
  expect(report.facts.map(({ what }) => what)).not.toContain(
    '1 worker: CPU of the busiest worker : idlest',
  );
});

it('overload, on a small lane and on the machine', { timeout: TIMEOUT_MS }, async () => {
  const size = { warmUpS: 0.2, peakS: 0.5, overloadS: 1 };
  const report = await bench.during({}, (own) => overload.runIn(own, size));
  expect(report.audit).toEqual({ ok: true, words: report.audit.words });
  expect(report.phases.map(({ name }) => name)).toEqual(
    ['small lane', 'whole machine'].flatMap((place) => [
      `${place}, peak, closed loop`,
      `${place}, 3 x`,
      `${place}, 10 x`,
    ]),
  );
  expect(report.series).toHaveLength(4);
  for (const { points } of report.series) expect(points.length).toBeGreaterThan(0);
});
