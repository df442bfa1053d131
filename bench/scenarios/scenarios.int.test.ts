/** The scenarios run, in small, and their audits see every unit. What they measure means nothing here. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { currentTestRun, serverDirectory } from '../../engine/testing/test-run.ts';
import { createBench, type OpenBench } from '../bench.ts';
import { cpuUsPerAnswer } from '../phase.ts';
import type { Phase } from '../scenario.ts';
import { commitLatency } from './commit-latency.ts';
import { hotSku } from './hot-sku.ts';
import { LANE_CASES, laneBudgets, runLaneScenario } from './lane.ts';

const TIMEOUT_MS = 300_000;
const SILENT = { onProgress: () => undefined };

let bench: OpenBench;

beforeAll(async () => {
  const directory = join(serverDirectory(currentTestRun(), 'bench'), 'run');
  bench = await createBench({ directory, quick: true, seed: 'test', ...SILENT });
});
afterAll(() => bench.close());

it('the lane, in every case, and the scripts beside it', { timeout: TIMEOUT_MS }, async () => {
  const { redis, close } = await bench.openStores();
  const report = await runLaneScenario(redis, { reservations: 2_000, rounds: 1, ...SILENT });
  await close();
  expect(report.lanes.map((each) => each.case)).toEqual(LANE_CASES);
  for (const { us, batchMean, bytes, profile, case: each } of report.lanes) {
    expect(us).toBeGreaterThan(0);
    expect(batchMean).toBeGreaterThan(each.batch / 2);
    expect(bytes).toBeGreaterThan(50);
    expect(profile.map(({ what }) => what)).toContain('hset');
  }
  for (const { us } of Object.values(report.peers)) expect(us).toBeGreaterThan(0);
  expect(laneBudgets(report).some(({ isThreshold }) => isThreshold)).toBe(true);
});

it('the hot SKU over HTTP, to its audit', { timeout: TIMEOUT_MS }, async () => {
  const size = {
    connections: 16,
    seconds: 1,
    warmUpSeconds: 0.2,
    openWarmUpSeconds: 0,
    rate: 1_000,
  };
  const report = await bench.during({}, (own) => hotSku.runIn(own, size));
  expect(report.audit).toMatchObject({ ok: true });
  const phase = (name: string): Phase => {
    const found = report.phases.find((each) => each.name === name);
    if (found === undefined) throw new Error(`there is no phase ${name}`);
    return found;
  };
  const closed = phase('reserves, closed loop');
  const open = phase('reserves, open loop');
  const soldOut = phase('rejections');
  expect(closed.load.byStatus).toEqual({ 201: closed.load.answers });
  expect(soldOut.load.byStatus).toEqual({ 409: soldOut.load.answers });
  expect(open.load.latency.count).toBe(open.load.answers);
  expect(open.rate).toBeLessThanOrEqual(1_000);
  expect(closed.batches.sum).toBe(closed.load.answers);
  expect(closed.outcomes).toMatchObject({ 'reserve created': closed.load.answers });
  expect(closed.commands.map(({ name }) => name)).toContain('evalsha');
  expect(closed.processes.map(({ name }) => name).sort()).toEqual(
    ['engine', 'load', 'postgres', 'recovery', 'redis'].sort(),
  );
  expect(phase('reserves, persister at work').processes.map(({ name }) => name)).toContain(
    'persister',
  );
  expect(cpuUsPerAnswer(closed, 'engine')).toBeGreaterThan(0);
  expect(closed.redisThreadUs).toBeGreaterThan(0);
});

it('commits at every level, on a group, to their audit', { timeout: TIMEOUT_MS }, async () => {
  const report = await bench.during({}, (own) =>
    commitLatency.runIn(own, { commits: 3, rounds: 1 }),
  );
  expect(report.audit).toMatchObject({ ok: true });
  expect(report.facts.map(({ what }) => what)).toContain('commit at logged, p99');
});
