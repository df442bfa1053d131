/**
 * The composition root: one engine over its stores. Everything that serves requests is made here
 * and nowhere else; HTTP and CLI take what this gives.
 *
 * An engine needs PostgreSQL to start: the classes of products decide which level an answer waits
 * for. Redis may be away; until it answers for the first time the engine is not `whole`, shows stock
 * from PostgreSQL, and answers `store_unavailable` to the rest.
 */
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { LevelLacks } from './domain/durability.ts';
import { IdMaker } from './domain/reservation-id.ts';
import { registerBacklog, reportBacklog } from './log/backlog-report.ts';
import { type BacklogWatch, createBacklogWatch } from './log/backlog-watch.ts';
import { boundLane } from './log/bounded-lane.ts';
import { createPool, type Pool } from './postgres/pool.ts';
import { readerUntil } from './postgres/reader.ts';
import { readRegistryRow } from './postgres/registry-row.ts';
import { connectRedis, whenReady } from './redis/connect.ts';
import { createDemands } from './redis/demands.ts';
import {
  type DurabilitySupport,
  lacksOf,
  readNodeFacts,
  supportOf,
} from './redis/durability-support.ts';
import { createLane, type RunningLane } from './redis/lane.ts';
import { createLateLane, type LateLane } from './redis/late-lane.ts';
import { openRedisSource } from './redis/open-source.ts';
import { countReplicas } from './redis/replica-count.ts';
import type { RedisSource } from './redis/source.ts';
import { repairOf, tellOnce } from './redis/unreadable.ts';
import { createWatermarks, type RunningWatermarks } from './redis/watermarks.ts';
import { createArchive } from './reservations/archive.ts';
import type { ReservationDeps } from './reservations/deps.ts';
import { startForgetting } from './reservations/forget.ts';
import { resolveLevels } from './reservations/levels.ts';
import { DEFAULT_RESERVATION_POLICY, type ReservationPolicy } from './reservations/policy.ts';
import { SoldOutCache } from './reservations/sold-out.ts';
import { startSweeper } from './reservations/sweeper.ts';
import { type Config, ConfigError } from './runtime/config.ts';
import { SettingsError } from './runtime/finding.ts';
import { Line } from './runtime/line.ts';
import type { Logger } from './runtime/log.ts';
import type { Metrics } from './runtime/metrics.ts';
import { isRefused, untilThere, WaitEnded } from './runtime/unreachable.ts';
import type { Worker } from './runtime/worker.ts';
import { createDirectory } from './stock/directory.ts';
import { createSkuClasses, type SkuClasses } from './stock/sku-classes.ts';

const LANE = 0;
const CONNECTIONS_MAX = 8;
/** One look at whether Redis is there; it is tried again for as long as the engine runs. */
const REDIS_TRY_MS = 2_000;
/** For a reply that waits for nothing. */
const REPLY_MS_MAX = 5_000;
/** A store that is away fails every request: one line a second says so. */
const WARNING_MS = 1_000;

export interface Engine extends ReservationDeps {
  readonly lane: RunningLane;
  readonly skuClasses: SkuClasses;
  /** What its Redis can confirm, as it was when it answered first; undefined before. */
  readonly support: DurabilitySupport | undefined;
  /**
   * Resolves when Redis has answered for the first time, or the engine was closed before; rejects when
   * what it answered cannot be worked with (ConfigError, SettingsError, a login that it refuses).
   */
  readonly whole: Promise<void>;
  readonly config: Config;
  readonly pool: Pool;
  readonly redis: Redis;
  readonly watermarks: RunningWatermarks;
  /** Of this process; whoever gives answers uses it. */
  readonly line: Line;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** What `/readyz` looks at besides the stores. */
  readonly probes: Readonly<Record<'log', () => Promise<string | undefined>>>;
  close(): Promise<void>;
}

export interface EngineOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Told when a lane refuses: recovery in the same process need not wait for its next look. */
  readonly onFenced?: () => void;
  /** Where Redis is, where a process has several connections there; an own one by default. */
  readonly source?: RedisSource | undefined;
  /** Called when Redis has answered, before anything is sold there. */
  readonly requireRedis?: (() => Promise<unknown>) | undefined;
}

/** Resolves when PostgreSQL has answered, and rejects when it does not. Redis: see `whole`. */
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

function openStores({ config, log, metrics, source: given }: EngineOptions): Stores {
  const warn = atMostEvery(WARNING_MS, (error: Error) => log.warn({ err: error }, 'redis'));
  const onError = (error: Error): void => {
    metrics.countStoreError('redis');
    warn(error);
  };
  const url = config.redisUrl;
  const source = given ?? openRedisSource({ url, localAddress: config.redisLocalAddress });
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
  const directory = createDirectory(pool);
  const skuClasses = createSkuClasses(pool, [...config.durabilityClasses.keys()]);
  await Promise.all([directory.load(), skuClasses.load()]);
  const line = new Line();
  const lane = createLateLane(LANE);
  const levels = new LatePolicy(config, skuClasses);
  const watermarks = createWatermarks({
    redis,
    subscriber,
    lane: LANE,
    waitMsMax: config.durabilityWaitMs,
    line,
    confirmed: lane.confirmed,
    readRegistry: (deadline) => readRegistryRow(readerUntil(pool, deadline), LANE),
  });
  metrics.gauge('holdfast_lane_queued', 'Operations that wait for the lane.', [], lane.queued);
  metrics.gauge('holdfast_durability_waits', 'Answers that wait for their level.', [], () =>
    watermarks.waiting(),
  );
  const backlog = watchBacklog(options, stores);
  const closing = new AbortController();
  const whole = becomeWhole(options, stores, {
    lane,
    line,
    levels,
    backlog,
    signal: closing.signal,
  });
  // Whoever started the engine is told; until then it must not count as unhandled.
  whole.catch(() => undefined);
  const workers = startWorkers(options, lane, watermarks);
  // A look before Redis has answered would only be told as its failure.
  const looking = whole.then(
    () => (closing.signal.aborted ? undefined : backlog.start()),
    () => undefined,
  );
  return {
    ...{ config, log, metrics, pool, redis },
    ...{ lane, watermarks, line, directory, skuClasses, whole },
    probes: { log: async () => backlog.fault() },
    policy: levels.policy,
    get support() {
      return levels.support;
    },
    ids: new IdMaker(randomBytes),
    soldOut: new SoldOutCache({
      ageMsMax: config.soldOutMs,
      now: () => performance.now(),
      onAnswer: () => metrics.countSoldOutKnown('reserve'),
    }),
    archive: createArchive({
      ...{ pool, lane: LANE, waitMs: levels.policy.archiveWaitMs },
      demand: createDemands(redis, LANE),
    }),
    async close() {
      closing.abort();
      await Promise.all(workers.map((worker) => worker.stop()));
      await (await looking)?.stop();
      watermarks.close();
      lane.close();
      await stores.close();
    },
  };
}

interface Becoming {
  readonly lane: LateLane;
  readonly line: Line;
  readonly levels: LatePolicy;
  readonly backlog: BacklogWatch;
  readonly signal: AbortSignal;
}

/** Waits for Redis, asks what it can confirm, and lets the lane sell. */
async function becomeWhole(
  options: EngineOptions,
  stores: Stores,
  { lane, line, levels, backlog, signal }: Becoming,
): Promise<void> {
  const { config, log } = options;
  const { redis } = stores;
  try {
    const waiting = { what: 'Redis', log, signal, isPassing: (error: unknown) => !isFinal(error) };
    const support = await untilThere(waiting, async () => {
      await whenReady(redis, REDIS_TRY_MS);
      await options.requireRedis?.();
      // Before the first request: the log may be full already.
      await backlog.look();
      return supportOf(await readNodeFacts(redis), await countReplicas(config, redis));
    });
    levels.know(support);
    log.info({ ...support, levels: levels.policy.levels }, 'durability');
    lane.attach(boundLane(laneOf(options, stores, { replicas: support.replicas, line }), backlog));
  } catch (error) {
    if (!(error instanceof WaitEnded)) throw error;
  }
}

/** No time mends it; any other failure of a store is one more reason to wait. */
function isFinal(error: unknown): boolean {
  return error instanceof ConfigError || error instanceof SettingsError || isRefused(error);
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

function watchBacklog({ config, log, metrics }: EngineOptions, { redis, onError }: Stores) {
  const bound = { bytesMax: config.logBytesMax, ageMsMax: config.logAgeMsMax };
  const hooks = { ...reportBacklog(log, metrics), onError };
  const backlog = createBacklogWatch({ redis, lane: LANE, bound, hooks });
  registerBacklog(metrics, backlog);
  return backlog;
}

function laneOf(
  { config, log, metrics, onFenced }: EngineOptions,
  { redis, connectWaiting, onError }: Stores,
  { replicas, line }: { readonly replicas: number; readonly line: Line },
): RunningLane {
  const isNews = tellOnce(() => performance.now());
  return createLane({
    redis,
    number: LANE,
    line,
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
      onUnreadable: (what) => {
        metrics.countUnreadable(what.kind);
        if (isNews(what)) log.error({ ...what, repair: repairOf(what) }, 'unreadable');
      },
    },
  });
}

/**
 * The policy of an engine that may not know yet what its Redis can confirm. Until then nothing is
 * taken for lacking: a level that is chosen meanwhile is never weaker than the one that would be
 * chosen later, and one that Redis cannot confirm is said to be unknown.
 */
class LatePolicy {
  readonly policy: ReservationPolicy;
  support: DurabilitySupport | undefined;
  readonly #config: Config;
  #resolved: Resolved;

  constructor(config: Config, { of: classOf }: Pick<SkuClasses, 'of'>) {
    const resolved = (): Resolved => this.#resolved;
    this.#config = config;
    this.#resolved = resolveOr(config, {});
    this.policy = {
      ...DEFAULT_RESERVATION_POLICY,
      ttlDefaultS: config.ttlDefaultS,
      ttlMaxS: config.ttlMaxS,
      classOf,
      get levels() {
        return resolved().levels;
      },
      get classLevels() {
        return resolved().classLevels;
      },
      get lacks() {
        return resolved().lacks;
      },
    };
  }

  /** Throws ConfigError when a level is set that this deployment cannot give. */
  know(support: DurabilitySupport): void {
    this.#resolved = resolveOr(this.#config, lacksOf(support));
    this.support = support;
  }
}

type Resolved = Pick<ReservationPolicy, 'levels' | 'classLevels' | 'lacks'>;

function resolveOr(config: Config, lacks: LevelLacks): Resolved {
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
  return { ...resolved, lacks };
}
