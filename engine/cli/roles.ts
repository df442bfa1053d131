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
import { LaneWatcher, WATCH_LIMITS, type WatchReport } from '../../reconciler/watch.ts';
import { createEngine, type Engine } from '../engine.ts';
import { apiRoutes } from '../http/routes.ts';
import { type HttpServer, startHttpServer } from '../http/server.ts';
import { createPool, type Pool } from '../postgres/pool.ts';
import { connectRedis, whenReady } from '../redis/connect.ts';
import { quorumOf } from '../redis/durability-support.ts';
import { laneScripts } from '../redis/lane-scripts.ts';
import type { LaneState } from '../redis/lane-state.ts';
import { whyNotPrimary } from '../redis/majority.ts';
import { countReplicas } from '../redis/replica-count.ts';
import type { Config } from '../runtime/config.ts';
import { crashPointFrom } from '../runtime/crash-point.ts';
import type { Logger } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { type LogRole, startLogRole } from './log-role.ts';
import { createRoleMeter, persisterMetrics, relayMetrics } from './role-metrics.ts';

const LANE = 0;
const GRACE_MS = 5_000;
const STORE_WAIT_MS = 10_000;

export interface Role {
  close(): Promise<void>;
}

export interface RoleOptions {
  readonly config: Config;
  readonly log: Logger;
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

/** Engine and HTTP. */
export async function startServe(
  options: RoleOptions & { readonly onFenced?: () => void },
): Promise<Serving> {
  const { config, log } = options;
  const metrics = createMetrics({ processMetrics: true });
  const engine = await createEngine({ ...options, metrics });
  try {
    await requireSchema(engine.pool);
    const http = await startHttpServer({
      routes: apiRoutes(engine, { currency: config.currency }),
      host: config.host,
      port: config.port,
      transport: config.transport,
      hooks: {
        onRequest: metrics.onRequest,
        onAbort: metrics.onAbort,
        onError: (error, requestId) => log.error({ err: error, request_id: requestId }, 'http'),
      },
    });
    return {
      url: http.url,
      engine,
      http,
      async close() {
        await http.close(GRACE_MS);
        await engine.close();
      },
    };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** A worker's own connections, ended with it. */
interface Stores {
  readonly redis: Redis;
  readonly pool: Pool;
  readonly state: LaneState;
  readonly log: LogRole;
  close(): Promise<void>;
}

async function connectStores(
  { config, log }: RoleOptions,
  name: string,
  connections: number,
): Promise<Stores> {
  const onError = (error: Error): void => log.warn({ err: error }, 'redis');
  const redis = connectRedis({
    url: config.redisUrl,
    localAddress: config.redisLocalAddress,
    name,
    onError,
  });
  await whenReady(redis, STORE_WAIT_MS);
  const pool = poolOf(config, log, name, connections);
  const state = laneScripts(redis, LANE);
  const logRole = await startLogRole({ config, log, pool, state, name });
  return {
    redis,
    pool,
    state,
    log: logRole,
    async close() {
      await logRole.close();
      redis.disconnect();
      await pool.end();
    },
  };
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
  const source = stores.log.openSource(LANE);
  const meter = createRoleMeter();
  const persister = createPersister({
    pool: stores.pool,
    lane: LANE,
    source,
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
  const meter = createRoleMeter();
  const relay = stores.log.createRelay(LANE, relayMetrics(meter.metrics));
  if (relay === undefined) {
    options.log.info('the log is embedded in Redis: the persister reads it there, no relay runs');
    return { close: () => stores.close() };
  }
  const served = await meter.serve(options.config);
  return running(
    (signal) => relay.run(signal),
    async () => {
      await served.close();
      await stores.close();
    },
  );
}

/** Lets a parked lane be recovered again; false when it is not parked. */
export async function unparkLane({ config, log }: RoleOptions): Promise<boolean> {
  const pool = poolOf(config, log, 'holdfast-unpark', 1);
  try {
    return await new Registry(pool).unpark(LANE);
  } finally {
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
  const quorum = quorumOf(await countReplicas(config, stores.redis));
  const watcher = new LaneWatcher({
    lane: LANE,
    state: stores.state,
    log: stores.log.fenced,
    pool: stores.pool,
    registry,
    random: randomBytes,
    crashPoint: crashPointFrom(process.env),
    limits: RECOVERY_LIMITS,
    quorum: () => quorum,
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
  const options = { ...given, config: { ...given.config, metricsPort: undefined } };
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
