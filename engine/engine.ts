/**
 * The composition root: one engine over its stores. Everything that serves requests is made here
 * and nowhere else; HTTP and CLI take what this gives.
 */
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { IdMaker } from './domain/reservation-id.ts';
import { createPool, type Pool } from './postgres/pool.ts';
import { readRegistryRow } from './postgres/registry-row.ts';
import { connectRedis, whenReady } from './redis/connect.ts';
import { createLane, type RunningLane } from './redis/lane.ts';
import { createWatermarks, type RunningWatermarks } from './redis/watermarks.ts';
import { createArchive } from './reservations/archive.ts';
import type { ReservationDeps } from './reservations/deps.ts';
import { startForgetting } from './reservations/forget.ts';
import { DEFAULT_RESERVATION_POLICY, type ReservationPolicy } from './reservations/policy.ts';
import { startSweeper } from './reservations/sweeper.ts';
import type { Config } from './runtime/config.ts';
import type { Logger } from './runtime/log.ts';
import type { Metrics } from './runtime/metrics.ts';
import { createDirectory } from './stock/directory.ts';

const LANE = 0;
const CONNECTIONS_MAX = 8;
const STORE_WAIT_MS = 10_000;
/** A store that is away fails every request: one line a second says so. */
const WARNING_MS = 1_000;

export interface Engine extends ReservationDeps {
  readonly config: Config;
  readonly pool: Pool;
  readonly redis: Redis;
  readonly watermarks: RunningWatermarks;
  readonly metrics: Metrics;
  readonly log: Logger;
  close(): Promise<void>;
}

export interface EngineOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Told when a lane refuses: recovery in the same process need not wait for its next look. */
  readonly onFenced?: () => void;
}

/** Resolves when both stores answered; rejects when one does not within STORE_WAIT_MS. */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const { config, log, metrics } = options;
  const warn = atMostEvery(WARNING_MS, (error: Error) => log.warn({ err: error }, 'redis'));
  const onError = (error: Error): void => {
    metrics.countStoreError('redis');
    warn(error);
  };
  const redis = connectRedis({ url: config.redisUrl, name: 'holdfast-engine', onError });
  const subscriber = connectRedis({ url: config.redisUrl, name: 'holdfast-marks', onError });
  const pool = createPool({
    url: config.databaseUrl,
    applicationName: 'holdfast-engine',
    connectionsMax: CONNECTIONS_MAX,
    onIdleError: (error) => log.warn({ error: error.message }, 'postgres'),
  });
  const watermarks = createWatermarks({
    redis,
    subscriber,
    lane: LANE,
    waitMsMax: config.durabilityWaitMs,
    readRegistry: () => readRegistryRow(pool, LANE),
  });
  const lane = laneOf(options, redis, onError);
  metrics.gauge('holdfast_lane_queued', 'Operations that wait for the lane.', [], lane.queued);
  metrics.gauge('holdfast_durability_waits', 'Answers that wait for their level.', [], () =>
    watermarks.waiting(),
  );
  const directory = createDirectory(pool);
  await whenReady(redis, STORE_WAIT_MS);
  await directory.load();
  const policy = policyOf(config);
  const sweeper = startSweeper({
    lane,
    everyMs: config.sweepMs,
    onExpired: (holds) => log.debug({ holds }, 'expired'),
    onError: (name, error) => log.warn({ err: error }, name),
  });
  const forgetting = startForgetting({
    lane,
    watermarks,
    onError: (name, error) => log.warn({ err: error }, name),
  });
  return {
    config,
    log,
    metrics,
    pool,
    redis,
    lane,
    watermarks,
    directory,
    policy,
    ids: new IdMaker(randomBytes),
    archive: createArchive({ pool, lane: LANE, waitMs: policy.archiveWaitMs }),
    async close() {
      await Promise.all([sweeper.stop(), forgetting.stop()]);
      watermarks.close();
      subscriber.disconnect();
      redis.disconnect();
      await pool.end();
    },
  };
}

function atMostEvery<T>(ms: number, act: (value: T) => void): (value: T) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (value) => {
    if (performance.now() - last < ms) return;
    last = performance.now();
    act(value);
  };
}

function laneOf(
  { config, metrics, onFenced }: EngineOptions,
  redis: Redis,
  onStoreError: (error: Error) => void,
): RunningLane {
  return createLane({
    redis,
    number: LANE,
    limits: {
      batchOperationsMax: config.batchOperationsMax,
      batchLinesMax: config.batchLinesMax,
      queueWaitMsMax: config.queueWaitMsMax,
      holdAgeSMax: config.holdAgeMaxS,
    },
    hooks: {
      onBatch: metrics.onBatch,
      onFenced: (reason) => {
        metrics.onFenced(reason);
        onFenced?.();
      },
      onStoreError,
    },
  });
}

function policyOf(config: Config): ReservationPolicy {
  const money = config.commitDurability;
  return {
    ...DEFAULT_RESERVATION_POLICY,
    ttlDefaultS: config.ttlDefaultS,
    ttlMaxS: config.ttlMaxS,
    levels: {
      ...DEFAULT_RESERVATION_POLICY.levels,
      reserve: config.reserveDurability,
      commit: money,
      cancel: money,
      ship: money,
    },
  };
}
