/** The processes of Holdfast (design, section 3): each starts one role and gives its end. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Redis } from 'ioredis';
import { migrate, requireSchema } from '../../persister/migrate.ts';
import { createPersister } from '../../persister/persister.ts';
import { RECOVERY_LIMITS } from '../../reconciler/claim.ts';
import { showProgress } from '../../reconciler/copy-progress.ts';
import { registerLaneMetrics } from '../../reconciler/lanes/metrics.ts';
import type { LaneSources } from '../../reconciler/lanes/status.ts';
import { Registry } from '../../reconciler/registry.ts';
import { parseTerm } from '../../reconciler/term.ts';
import { claimNamedBy, planUnpark, type UnparkPlan } from '../../reconciler/unpark.ts';
import { LaneWatcher, WATCH_LIMITS, type WatchReport } from '../../reconciler/watch.ts';
import type { ClusterWorker } from '../cluster/worker.ts';
import type { Engine } from '../engine.ts';
import type { HttpServer } from '../http/server.ts';
import { type Demand, followDemand } from '../log/demand.ts';
import { createPool, type Pool } from '../postgres/pool.ts';
import { connectRedis, whenReady } from '../redis/connect.ts';
import type { DemandedLevel } from '../redis/demands.ts';
import { quorumOf } from '../redis/durability-support.ts';
import { laneScripts } from '../redis/lane-scripts.ts';
import type { LaneState } from '../redis/lane-state.ts';
import { whyNotPrimary } from '../redis/majority.ts';
import { openRedisSource } from '../redis/open-source.ts';
import { countReplicas } from '../redis/replica-count.ts';
import type { RedisSource } from '../redis/source.ts';
import type { Config } from '../runtime/config.ts';
import { crashPointFrom } from '../runtime/crash-point.ts';
import type { Logger } from '../runtime/log.ts';
import { untilThere } from '../runtime/unreachable.ts';
import { type LogRole, startLogRole } from './log-role.ts';
import { createRoleMeter, persisterMetrics, relayMetrics } from './role-metrics.ts';

const LANE = 0;
/** Behind every entry that can be: then `tail` reads none. */
const NO_ENTRIES = { epoch: Number.MAX_SAFE_INTEGER, seq: 0 };
/** One look at whether Redis is there; it is tried again until the role is ended. */
const REDIS_TRY_MS = 2_000;
/** The same of Kafka. */
const KAFKA_TRY_MS = 5_000;

export interface Role {
  close(): Promise<void>;
}

export interface RoleOptions {
  readonly config: Config;
  readonly log: Logger;
  /** Ends a start that waits for a store: it then rejects with WaitEnded. */
  readonly signal?: AbortSignal | undefined;
  /** Where Redis is: one for a process, so that each Sentinel is asked by it once. */
  readonly source?: RedisSource | undefined;
}

/** Brings the database to this release's schema; names the migrations that ran. */
export async function runMigrations({ config, log }: RoleOptions): Promise<string[]> {
  const pool = poolOf(config, log, 'holdfast-migrate', 1);
  try {
    return await migrate(pool);
  } finally {
    await pool.end();
  }
}

export interface Serving extends Role {
  readonly url: string;
  readonly engine: Engine;
  readonly http: HttpServer;
}

export interface ServeOptions extends RoleOptions {
  readonly onFenced?: () => void;
  /** Called when a Redis that was away has answered, before anything is sold there. */
  readonly requireRedis?: (() => Promise<unknown>) | undefined;
  /** One of several on the port: its /metrics are those of all. */
  readonly worker?: Pick<ClusterWorker, 'shared'> | undefined;
}

/** Engine and HTTP (start-serve.ts); loaded here, because the other roles need none of it. */
export async function startServe(options: ServeOptions): Promise<Serving> {
  const engineAndHttp = await import('./start-serve.ts');
  return await engineAndHttp.startServe(options);
}

/** Throws SchemaError when PostgreSQL answers and has another schema; waits while it is away. */
export async function waitForSchema(
  { config, log, signal }: RoleOptions,
  name: string,
): Promise<void> {
  const pool = poolOf(config, log, name, 1);
  try {
    await untilThere({ what: 'PostgreSQL', log, signal }, () => requireSchema(pool));
  } finally {
    await pool.end();
  }
}

/** A worker's own connections, ended with it. */
interface Stores {
  readonly redis: Redis;
  readonly pool: Pool;
  readonly state: LaneState;
  readonly log: LogRole;
  /** Hears, on a connection of its own, who waits for these levels. */
  hearDemand(levels: readonly DemandedLevel[]): Demand;
  close(): Promise<void>;
}

/** Waits for each store that is away. */
async function connectStores(
  options: RoleOptions,
  name: string,
  connections: number,
): Promise<Stores> {
  const { config, log, signal } = options;
  const source = sourceOf(options);
  const onError = (error: Error): void => log.warn({ err: error }, 'redis');
  const opened: Redis[] = [];
  const connect = (as: string): Redis => {
    const client = connectRedis({ url: config.redisUrl, source, name: as, onError });
    opened.push(client);
    return client;
  };
  const redis = connect(name);
  const pool = poolOf(config, log, name, connections);
  const end = async (): Promise<void> => {
    for (const each of opened) each.disconnect();
    await pool.end();
  };
  try {
    await untilThere({ what: 'Redis', log, signal }, () => whenReady(redis, REDIS_TRY_MS));
    await untilThere({ what: 'PostgreSQL', log, signal }, () => requireSchema(pool));
    const state = laneScripts(redis, LANE);
    const logRole = await untilThere({ what: 'Kafka', log, signal }, () =>
      startLogRole({ config, log, pool, state, name, waitMs: KAFKA_TRY_MS }),
    );
    return {
      redis,
      pool,
      state,
      log: logRole,
      hearDemand: (levels) => followDemand(connect(`${name}-demand`), LANE, levels),
      async close() {
        await logRole.close();
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

function sourceOf({ config, source }: RoleOptions): RedisSource {
  return (
    source ?? openRedisSource({ url: config.redisUrl, localAddress: config.redisLocalAddress })
  );
}

function poolOf(config: Config, log: Logger, applicationName: string, connections: number): Pool {
  return createPool({
    url: config.databaseUrl,
    applicationName,
    connectionsMax: connections,
    onIdleError: (error) => log.warn({ err: error }, 'postgres'),
  });
}

/** Runs `run` until closed, then ends what it worked with. */
function running(run: (signal: AbortSignal) => Promise<void>, end: () => Promise<void>): Role {
  const stopping = new AbortController();
  const done = run(stopping.signal);
  return {
    async close() {
      stopping.abort();
      await done;
      await end();
    },
  };
}

/** From the log to PostgreSQL. */
export async function startPersist(options: RoleOptions): Promise<Role> {
  const stores = await connectStores(options, 'holdfast-persister', 3);
  const demand = stores.hearDemand(
    stores.log.form === 'stream' ? ['logged', 'persisted'] : ['persisted'],
  );
  const source = stores.log.openSource(LANE, demand);
  const meter = createRoleMeter();
  const persister = createPersister({
    pool: stores.pool,
    lane: LANE,
    source,
    demand,
    form: stores.log.form,
    state: stores.state,
    log: options.log,
    crash: crashPointFrom(process.env),
    metrics: persisterMetrics(meter.metrics),
  });
  const served = await meter.serve(options.config);
  return running(
    (signal) => persister.run(signal),
    async () => {
      await served.close();
      await source.close();
      await stores.close();
    },
  );
}

/** From the lane to the log; nothing to do where the log is embedded. */
export async function startRelay(options: RoleOptions): Promise<Role> {
  const stores = await connectStores(options, 'holdfast-relay', 2);
  const { createRelay } = stores.log;
  if (createRelay === undefined) {
    options.log.info('the log is embedded in Redis: the persister reads it there, no relay runs');
    return { close: () => stores.close() };
  }
  const meter = createRoleMeter();
  const demand = stores.hearDemand(['logged', 'persisted']);
  const relay = createRelay(LANE, demand, relayMetrics(meter.metrics));
  const served = await meter.serve(options.config);
  return running(
    (signal) => relay.run(signal),
    async () => {
      await served.close();
      await stores.close();
    },
  );
}

/** Lets a parked lane be recovered again, above the term that is named; or says why not. */
export async function unparkLane(
  options: RoleOptions & { readonly above?: number | undefined },
): Promise<UnparkPlan> {
  const { config, log, above } = options;
  const name = 'holdfast-unpark';
  const pool = poolOf(config, log, name, 1);
  const source = sourceOf(options);
  const redis = connectRedis({ url: config.redisUrl, source, name, onError: () => undefined });
  try {
    const registry = new Registry(pool);
    const row = await registry.read(LANE);
    // A Redis that is away is looked at by the recovery that comes.
    const seen = await whenReady(redis, REDIS_TRY_MS)
      .then(() => laneScripts(redis, LANE).tail(NO_ENTRIES, 1))
      .catch(() => undefined);
    const named = parseTerm(claimNamedBy(row.outcome) ?? '');
    const plan = planUnpark({ registry: row, redis: seen, named, above });
    if (plan.kind !== 'unpark') return plan;
    return (await registry.unpark(row, plan.above)) ? plan : { kind: 'not_parked' };
  } finally {
    redis.disconnect();
    await pool.end();
  }
}

export interface Recovering extends Role {
  /** Looks at once instead of at the next poll. */
  wake(): void;
}

/** Recovery on watch. */
export async function startRecover(
  options: RoleOptions & { readonly onReport?: (report: WatchReport) => void },
): Promise<Recovering> {
  const { config, log } = options;
  const stores = await connectStores(options, 'holdfast-recovery', 6);
  const registry = new Registry(stores.pool);
  let quorum = 0;
  const countQuorum = async (): Promise<number> => {
    quorum = quorumOf(await countReplicas(config, stores.redis));
    return quorum;
  };
  await countQuorum();
  const watcher = new LaneWatcher({
    lane: LANE,
    state: stores.state,
    log: stores.log.fenced,
    pool: stores.pool,
    registry,
    random: randomBytes,
    crashPoint: crashPointFrom(process.env),
    limits: RECOVERY_LIMITS,
    // Counted anew by each recovery: replicas come and go while this process lives.
    quorum: () => countQuorum().catch(() => quorum),
    whyNotHere: () => whyNotPrimary(stores.redis, config),
    onProgress: (progress) => log.info({ progress }, `copy: ${showProgress(progress)}`),
    leader: `${hostname()}:${process.pid}`,
    watch: WATCH_LIMITS,
    onReport: (report) => {
      log[report.kind === 'open' || report.kind === 'recovery' ? 'info' : 'warn'](
        { report },
        'lane',
      );
      options.onReport?.(report);
    },
    onError: (error) => log.warn({ err: error }, 'recovery will try again'),
  });
  // After a failover the connection leads to the new primary: that is when to look.
  stores.redis.on('ready', () => watcher.reconnected());
  const meter = createRoleMeter();
  registerLaneMetrics(meter.metrics, laneSources(config, stores, registry));
  const served = await meter.serve(config);
  const role = running(
    (signal) => watcher.run(signal),
    async () => {
      await served.close();
      await stores.close();
    },
  );
  return { wake: () => watcher.wake(), close: () => role.close() };
}

function laneSources(
  { redisLocalAddress, redisUrl }: Config,
  { pool, redis }: Pick<Stores, 'pool' | 'redis'>,
  registry: Registry,
): LaneSources {
  return { lane: LANE, redis, redisUrl, redisLocalAddress, pool, registry, recoveriesMax: 1 };
}

/** Everything in one process: `holdfast dev`. Its one /metrics is the engine's. */
export async function startAll(given: RoleOptions): Promise<Serving> {
  const source = sourceOf(given);
  const options = { ...given, source, config: { ...given.config, metricsPort: undefined } };
  await runMigrations(options);
  const roles: Role[] = [];
  const closeAll = async (): Promise<void> => {
    for (const role of roles.reverse()) await role.close();
  };
  try {
    roles.push(await startPersist(options), await startRelay(options));
    let opened = (): void => undefined;
    const isOpen = new Promise<void>((resolve) => {
      opened = resolve;
    });
    const recovery = await startRecover({
      ...options,
      onReport: (report) => {
        if (report.kind === 'open' || report.kind === 'parked') opened();
      },
    });
    roles.push(recovery);
    await isOpen;
    const serving = await startServe({ ...options, onFenced: () => recovery.wake() });
    roles.push(serving);
    const { metrics, pool } = serving.engine;
    registerLaneMetrics(metrics, laneSources(options.config, serving.engine, new Registry(pool)));
    return { ...serving, close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}
