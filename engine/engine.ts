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
import {
  type DurabilitySupport,
  lacksOf,
  readNodeFacts,
  supportOf,
} from './redis/durability-support.ts';
import { createLane, type RunningLane } from './redis/lane.ts';
import { openRedisSource } from './redis/open-source.ts';
import { countReplicas } from './redis/replica-count.ts';
import { createWatermarks, type RunningWatermarks } from './redis/watermarks.ts';
import { createArchive } from './reservations/archive.ts';
import type { ReservationDeps } from './reservations/deps.ts';
import { startForgetting } from './reservations/forget.ts';
import { resolveLevels } from './reservations/levels.ts';
import { DEFAULT_RESERVATION_POLICY, type ReservationPolicy } from './reservations/policy.ts';
import { startSweeper } from './reservations/sweeper.ts';
import { type Config, ConfigError } from './runtime/config.ts';
import type { Logger } from './runtime/log.ts';
import type { Metrics } from './runtime/metrics.ts';
import type { Worker } from './runtime/worker.ts';
import { createDirectory } from './stock/directory.ts';
import { createSkuClasses, type SkuClasses } from './stock/sku-classes.ts';

const LANE = 0;
const CONNECTIONS_MAX = 8;
const STORE_WAIT_MS = 10_000;
/** For a reply that waits for nothing. */
const REPLY_MS_MAX = 5_000;
/** A store that is away fails every request: one line a second says so. */
const WARNING_MS = 1_000;

export interface Engine extends ReservationDeps {
  readonly skuClasses: SkuClasses;
  /** What its Redis can confirm, as it was at start. */
  readonly support: DurabilitySupport;
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

/**
 * Resolves when both stores answered; rejects when one does not within STORE_WAIT_MS, or when the
 * durability settings ask for what they cannot keep (ConfigError).
 */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const stores = openStores(options);
  try {
    return await assemble(options, stores);
  } catch (error) {
    await stores.close();
    throw error;
  }
}

interface Stores {
  readonly redis: Redis;
  readonly subscriber: Redis;
  readonly pool: Pool;
  /** A further connection, on which commands may wait. */
  readonly connectWaiting: () => Redis;
  readonly onError: (error: Error) => void;
  close(): Promise<void>;
}

function openStores({ config, log, metrics }: EngineOptions): Stores {
  const warn = atMostEvery(WARNING_MS, (error: Error) => log.warn({ err: error }, 'redis'));
  const onError = (error: Error): void => {
    metrics.countStoreError('redis');
    warn(error);
  };
  const url = config.redisUrl;
  const source = openRedisSource({ url, localAddress: config.redisLocalAddress });
  const redis = connectRedis({ url, source, name: 'holdfast-engine', onError });
  const subscriber = connectRedis({ url, source, name: 'holdfast-marks', onError });
  const pool = createPool({
    url: config.databaseUrl,
    applicationName: 'holdfast-engine',
    connectionsMax: CONNECTIONS_MAX,
    onIdleError: (error) => log.warn({ error: error.message }, 'postgres'),
  });
  return {
    redis,
    subscriber,
    pool,
    // WAIT answers within its own time, a hung node not at all.
    connectWaiting: () =>
      connectRedis(
        { url, source, name: 'holdfast-wait', onError },
        { commandTimeout: config.durabilityWaitMs + REPLY_MS_MAX },
      ),
    onError,
    async close() {
      subscriber.disconnect();
      redis.disconnect();
      await pool.end();
    },
  };
}

async function assemble(options: EngineOptions, stores: Stores): Promise<Engine> {
  const { config, log, metrics } = options;
  const { redis, subscriber, pool } = stores;
  await whenReady(redis, STORE_WAIT_MS);
  const support = supportOf(await readNodeFacts(redis), await countReplicas(config, redis));
  const skuClasses = createSkuClasses(pool, [...config.durabilityClasses.keys()]);
  const policy = policyOf(config, support, skuClasses);
  log.info({ ...support, levels: policy.levels }, 'durability');
  const lane = laneOf(options, stores, support.replicas);
  const watermarks = createWatermarks({
    redis,
    subscriber,
    lane: LANE,
    waitMsMax: config.durabilityWaitMs,
    confirmed: lane.confirmed,
    readRegistry: () => readRegistryRow(pool, LANE),
  });
  metrics.gauge('holdfast_lane_queued', 'Operations that wait for the lane.', [], lane.queued);
  metrics.gauge('holdfast_durability_waits', 'Answers that wait for their level.', [], () =>
    watermarks.waiting(),
  );
  const directory = createDirectory(pool);
  await Promise.all([directory.load(), skuClasses.load()]);
  const workers = startWorkers(options, lane, watermarks);
  return {
    ...{ config, log, metrics, pool, redis },
    ...{ lane, watermarks, directory, skuClasses, support, policy },
    ids: new IdMaker(randomBytes),
    archive: createArchive({ pool, lane: LANE, waitMs: policy.archiveWaitMs }),
    async close() {
      await Promise.all(workers.map((worker) => worker.stop()));
      watermarks.close();
      lane.close();
      await stores.close();
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

function startWorkers(
  { config, log }: EngineOptions,
  lane: RunningLane,
  watermarks: RunningWatermarks,
): readonly Worker[] {
  const onError = (name: string, error: unknown): void => log.warn({ err: error }, name);
  return [
    startSweeper({
      lane,
      everyMs: config.sweepMs,
      onExpired: (holds) => log.debug({ holds }, 'expired'),
      onError,
    }),
    startForgetting({ lane, watermarks, onError }),
  ];
}

function laneOf(
  { config, metrics, onFenced }: EngineOptions,
  { redis, connectWaiting, onError }: Stores,
  replicas: number,
): RunningLane {
  return createLane({
    redis,
    number: LANE,
    confirming: { connect: connectWaiting, replicas, waitMsMax: config.durabilityWaitMs },
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
      onStoreError: onError,
    },
  });
}

/** Throws ConfigError when a level is set that this deployment cannot give. */
function policyOf(
  config: Config,
  support: DurabilitySupport,
  skuClasses: SkuClasses,
): ReservationPolicy {
  const lacks = lacksOf(support);
  const resolved = resolveLevels(
    {
      reserve: config.reserveDurability,
      commit: config.commitDurability,
      stock: config.stockDurability,
      classes: config.durabilityClasses,
    },
    lacks,
  );
  if ('faults' in resolved) {
    throw new ConfigError(
      `The durability settings cannot be kept:\n  ${resolved.faults.join('\n  ')}`,
    );
  }
  return {
    ...DEFAULT_RESERVATION_POLICY,
    ...resolved,
    ttlDefaultS: config.ttlDefaultS,
    ttlMaxS: config.ttlMaxS,
    classOf: skuClasses.of,
    lacks,
  };
}
