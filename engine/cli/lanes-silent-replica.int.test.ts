/**
 * The replica of a real lane hangs: its connection stays, and Redis refuses every write. What
 * `holdfast lanes` says of it, and /metrics.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { waitFor } from '../../deploy/local/deadline.ts';
import { freePort } from '../../deploy/local/ports.ts';
import { migratedDatabase } from '../../persister/testing/database.ts';
import { connectRedis, whenReady } from '../redis/connect.ts';
import { readConfig } from '../runtime/config.ts';
import { createLogger } from '../runtime/log.ts';
import { startRedis } from '../testing/servers.ts';
import { showLanes } from './lanes.ts';
import { startPersist, startRecover } from './roles.ts';

const PATIENCE_MS = 60_000;

type World = Awaited<ReturnType<typeof startWorld>>;
let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.end());

async function startWorld() {
  const [primary, database] = await Promise.all([startRedis(), migratedDatabase()]);
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(primary.port)] });
  const redis = connectRedis({ url: primary.url, name: 'test', onError: () => undefined });
  await whenReady(redis, PATIENCE_MS);
  await redis.config('SET', 'min-replicas-to-write', '1');
  await redis.config('SET', 'min-replicas-max-lag', '2');
  const metricsPort = await freePort();
  const config = (more: Readonly<Record<string, string>>) =>
    readConfig({ REDIS_URL: primary.url, DATABASE_URL: database.url, ...more });
  const log = createLogger('test', 'silent');
  const persist = await startPersist({ log, config: config({}) });
  const recovery = await startRecover({
    log,
    config: config({ HOLDFAST_METRICS_PORT: String(metricsPort) }),
  });
  return {
    redis,
    replica,
    show: (json = false) =>
      showLanes({ redisUrl: primary.url, databaseUrl: database.url, recoveries: 1, json }, {}),
    scrape: async (): Promise<ReadonlyMap<string, number>> => {
      const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
      const lines = text.split('\n').filter((line) => line.startsWith('holdfast_'));
      return new Map(lines.map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]));
    },
    end: async () => {
      replica.resume();
      await recovery.close();
      await persist.close();
      redis.disconnect();
      await Promise.all([replica.stop(), primary.stop(), database.end()]);
    },
  };
}

/** Until the command exits with `code`; what it said then. */
async function untilExit(code: number): Promise<string> {
  let last = '';
  const found = await waitFor(async () => {
    const { exitCode, text } = await world.show();
    last = text;
    return exitCode === code ? text : undefined;
  }, PATIENCE_MS);
  if (found === undefined) throw new Error(`it did not exit with ${code}:\n${last}`);
  return found;
}

async function untilScraped(name: string, value: number): Promise<ReadonlyMap<string, number>> {
  const found = await waitFor(async () => {
    const read = await world.scrape();
    return read.get(name) === value ? read : undefined;
  }, PATIENCE_MS);
  if (found === undefined) throw new Error(`${name} did not become ${value}`);
  return found;
}

it('a replica that hears: the lane sells, and /metrics has what the command shows', async () => {
  const text = await untilExit(0);
  expect(text).toMatch(/^lane 0 {2}open$/m);
  expect(text).toMatch(/replica +127\.0\.0\.1:\d+ online, \d+ bytes behind, heard \d s ago/);
  // It is the last that a recovery writes; a scrape remembers for a moment what another has read.
  await untilScraped('holdfast_recoveries{lane="0",outcome="opened"}', 1);
  const read = await untilScraped('holdfast_lane_open{lane="0"}', 1);
  expect(Object.fromEntries(read)).toMatchObject({
    'holdfast_lane_state{lane="0",state="open"}': 1,
    'holdfast_lane_state{lane="0",state="refusing"}': 0,
    'holdfast_lane_epoch{lane="0",store="redis"}': 1,
    'holdfast_lane_epoch_timeline{lane="0",store="redis"}': 1,
    'holdfast_lane_term{lane="0",store="redis"}': 1,
    'holdfast_lane_term{lane="0",store="registry"}': 1,
    'holdfast_lane_term_timeline{lane="0",store="registry"}': 1,
    'holdfast_redis_takes_writes{lane="0"}': 1,
    'holdfast_redis_replicas_in_sync{lane="0"}': 1,
    'holdfast_redis_replicas_wanted{lane="0"}': 1,
    'holdfast_recovery_last_rows_copied{lane="0"}': 0,
  });
  for (const phase of ['term_taken', 'claimed', 'fenced', 'drained', 'copied_back', 'opened']) {
    const took = read.get(`holdfast_recovery_last_phase_seconds{lane="0",phase="${phase}"}`);
    expect(took, phase).toBeGreaterThanOrEqual(0);
  }
  const address = `127.0.0.1:${world.replica.port}`;
  const behind = `holdfast_redis_replica_behind_bytes{lane="0",replica="${address}"}`;
  expect(read.get(behind)).toBeGreaterThanOrEqual(0);
});

it('a replica that hangs: the command says that the lane does not sell, and why', async () => {
  world.replica.pause();
  const text = await untilExit(1);
  expect(text).toMatch(
    /^lane 0 {2}refusing: Redis takes no writes for want of replicas: 0 in sync, and it wants 1 \(min-replicas-to-write\), heard from in the last 2 s$/m,
  );
  expect(text).toMatch(
    /replica +127\.0\.0\.1:\d+ online, .*SILENT for \d+ s, so it does not count/,
  );
  await expect(world.redis.set('x', '1')).rejects.toThrow(/^NOREPLICAS/);
  const shown: unknown = JSON.parse((await world.show(true)).text);
  expect(shown).toMatchObject({
    lanes: [
      {
        state: 'refusing',
        redis: {
          takes_writes: false,
          replicas_in_sync: 0,
          min_replicas_to_write: 1,
          min_replicas_max_lag_s: 2,
          replicas: [{ link: 'online', in_sync: false }],
        },
      },
    ],
  });
  const read = await untilScraped('holdfast_redis_takes_writes{lane="0"}', 0);
  expect(Object.fromEntries(read)).toMatchObject({
    'holdfast_lane_open{lane="0"}': 0,
    'holdfast_lane_state{lane="0",state="refusing"}': 1,
    'holdfast_redis_replicas{lane="0"}': 1,
    'holdfast_redis_replicas_in_sync{lane="0"}': 0,
  });
});

it('a replica that goes on: the lane sells again', async () => {
  world.replica.resume();
  expect(await untilExit(0)).toMatch(/^lane 0 {2}open$/m);
  await untilScraped('holdfast_redis_takes_writes{lane="0"}', 1);
});

it('a node that is a replica itself takes no writes either', async () => {
  await world.redis.call('REPLICAOF', '127.0.0.1', '1');
  const { exitCode, text } = await world.show();
  await world.redis.call('REPLICAOF', 'NO', 'ONE');
  expect(exitCode).toBe(1);
  expect(text).toMatch(
    /^(lane 0 {2}refusing| {2}writes {5}refused): the node that answers is a replica/m,
  );
});
