/** The scenarios run, in small, and their audits see every unit. What they measure means nothing here. */
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createPool } from '../../engine/postgres/pool.ts';
import { connectRedis, whenReady } from '../../engine/redis/connect.ts';
import {
  startRedis,
  type TestDatabase,
  type TestRedis,
  testDatabase,
} from '../../engine/testing/servers.ts';
import { migrate } from '../../persister/migrate.ts';
import { hotSkuBudgets, laneBudgets } from '../budgets.ts';
import { readEnvironment } from '../environment.ts';
import { renderReport } from '../report.ts';
import { runHotSku } from './hot-sku.ts';
import { LANE_CASES, runLaneScenario } from './lane.ts';

const TIMEOUT_MS = 180_000;
const SILENT = { onProgress: () => undefined };

let server: TestRedis;
let database: TestDatabase;
let redis: Redis;

beforeAll(async () => {
  [server, database] = await Promise.all([startRedis(), testDatabase()]);
  redis = connectRedis({ url: server.url, name: 'test', onError: () => undefined });
  await whenReady(redis, 5_000);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
  await database.drop();
});

it('the lane, in every case, and the scripts beside it', { timeout: TIMEOUT_MS }, async () => {
  const report = await runLaneScenario(redis, { reservations: 2_000, rounds: 1, ...SILENT });
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
  const pool = createPool({
    url: database.url,
    applicationName: 'test',
    connectionsMax: 2,
    onIdleError: () => undefined,
  });
  try {
    await migrate(pool);
    const stores = { REDIS_URL: server.url, DATABASE_URL: database.url, KAFKA_BROKERS: '' };
    const size = { connections: 16, seconds: 1, warmUpSeconds: 0.2, rate: 1_000 };
    const report = await runHotSku(redis, stores, { ...size, ...SILENT });
    const { audit, closed, open, soldOut, drain } = report;
    expect(audit).toMatchObject({ ok: true, differences: [] });
    expect(audit.reserved).toBeGreaterThan(closed.load.answers);
    expect(closed.load.byStatus).toEqual({ 201: closed.load.answers });
    expect(soldOut.load.byStatus).toEqual({ 409: soldOut.load.answers });
    expect(open.load.latency.count).toBe(open.load.answers);
    expect(drain.events).toBeGreaterThan(closed.load.answers);
    expect(closed.batches.sum).toBe(closed.load.answers);
    const environment = await readEnvironment(redis, pool);
    const budgets = hotSkuBudgets(report);
    const text = renderReport({ environment, quick: true, hot_sku: report, budgets, ok: true });
    expect(text).toMatch(/^Conditions\n/);
    expect(text).toContain('Audit: passed');
  } finally {
    await pool.end();
  }
});
