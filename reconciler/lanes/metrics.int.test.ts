/** The gauges of a lane, scraped from a real one: well, in the middle of a copy, and with Redis away. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createMetrics } from '../../engine/runtime/metrics.ts';
import { Registry } from '../registry.ts';
import { startEmbedded } from '../testing/logs.ts';
import { recoverOnce, recoveryDeps, type TestLog } from '../testing/recovering.ts';
import { connectLane, LANE, type Stack, startStack, trade } from '../testing/stack.ts';
import { registerLaneMetrics } from './metrics.ts';

let stack: Stack;
let log: TestLog;
beforeAll(async () => {
  stack = await startStack();
  log = await startEmbedded(stack);
  await recoverOnce(recoveryDeps(stack, log));
  await trade(connectLane(stack.redis), 'first', 4);
});
afterAll(async () => {
  await log.end();
  await stack.end();
});

/** The lines of one scrape, by a fresh registry: nothing is kept from the scrape before. */
async function scrape(): Promise<Map<string, number>> {
  const metrics = createMetrics({ processMetrics: false });
  registerLaneMetrics(metrics, {
    lane: LANE,
    redis: stack.redis,
    redisUrl: stack.server.url,
    pool: stack.database.pool,
    registry: new Registry(stack.database.pool),
    recoveriesMax: 1,
  });
  const lines = (await metrics.render()).split('\n').filter((line) => line.startsWith('holdfast_'));
  return new Map(lines.map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]));
}

it('tells an open lane and who is behind', async () => {
  const before = await scrape();
  expect(before.get('holdfast_lane_open{lane="0"}')).toBe(1);
  expect(before.get('holdfast_lane_postgres_lag_entries{lane="0"}')).toBeGreaterThan(0);
  expect(before.get('holdfast_redis_replicas{lane="0"}')).toBe(0);
  expect(before.get('holdfast_recoveries{lane="0",outcome="opened"}')).toBe(1);
  expect(before.get('holdfast_recovery_last_duration_seconds{lane="0"}')).toBeGreaterThan(0);
  await log.bringToPostgres();
  const after = await scrape();
  expect(after.get('holdfast_lane_postgres_lag_entries{lane="0"}')).toBe(0);
  expect(after.get('holdfast_lane_log_lag_seconds{lane="0"}')).toBe(0);
});

it('tells what the last recovery copied back, and how long each phase of it took', async () => {
  expect((await scrape()).get('holdfast_recovery_last_rows_copied{lane="0"}')).toBe(0);
  await stack.redis.flushall();
  const report = await recoverOnce(recoveryDeps(stack, log));
  expect(report.outcome).toBe('opened');
  const read = await scrape();
  expect(read.get('holdfast_recovery_last_rows_copied{lane="0"}')).toBeGreaterThan(0);
  expect(read.get('holdfast_lane_term{lane="0",store="registry"}')).toBe(2);
  expect(read.get('holdfast_lane_epoch{lane="0",store="redis"}')).toBe(2);
  const phases = [...read].filter(([name]) => name.startsWith('holdfast_recovery_last_phase_'));
  expect(phases.map(([name]) => /phase="(.*)"/.exec(name)?.[1])).toEqual(
    expect.arrayContaining(['term_taken', 'claimed', 'fenced', 'drained', 'copied_back', 'opened']),
  );
});

it('tells how far a copy is while it runs, and nothing of it afterwards', async () => {
  const { pool } = stack.database;
  await pool.query(
    `INSERT INTO recoveries (lane, term, cause, progress)
     VALUES ($1, 99, 'no_meta', '{"rows": 10, "total": 40, "rows_per_s": 5, "eta_s": 6}')`,
    [LANE],
  );
  const during = await scrape();
  expect(during.get('holdfast_recovery_rows_copied{lane="0"}')).toBe(10);
  expect(during.get('holdfast_recovery_rows_total{lane="0"}')).toBe(40);
  expect(during.get('holdfast_recoveries{lane="0",outcome="under_way"}')).toBe(1);
  await pool.query(`UPDATE recoveries SET outcome = 'opened', ended_at = now() WHERE term = 99`);
  expect((await scrape()).has('holdfast_recovery_rows_copied{lane="0"}')).toBe(false);
});

it('tells that the lane does not sell when Redis is away, and the rest', async () => {
  await stack.server.kill();
  const away = await scrape();
  expect(away.get('holdfast_lane_open{lane="0"}')).toBe(0);
  expect(away.has('holdfast_lane_seq{lane="0"}')).toBe(false);
  expect(away.get('holdfast_recoveries{lane="0",outcome="opened"}')).toBe(3);
});
