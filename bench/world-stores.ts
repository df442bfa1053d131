/**
 * The servers of a run: started once, when a scenario first asks for them, and emptied for each.
 * Whatever the environment names is not touched.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { type Stack, startStack } from '../deploy/local/stack.ts';
import { withoutServers } from '../deploy/local/stack-servers.ts';
import { type ServerStatus, stackStatus } from '../deploy/local/stack-status.ts';
import { createPool, type Pool } from '../engine/postgres/pool.ts';
import { connectRedis, whenReady } from '../engine/redis/connect.ts';
import { migrate } from '../persister/migrate.ts';
import { type ProcessGroup, readProcesses } from './measure/process-cost.ts';
import type { ProcessCost, Stores, StoresOptions } from './scenario.ts';

export interface StoreServers {
  open(options?: StoresOptions): Promise<OpenStores>;
  stop(): Promise<void>;
}

export interface OpenStores extends Stores {
  /** The servers' processes of this moment: a group may have another primary by now. */
  processes(): readonly ProcessGroup[];
}

export interface StoreServersOptions {
  /** Below it the servers keep their data. */
  readonly directory: string;
  readonly onProgress: (what: string) => void;
}

/** An emptied Redis of some hundred megabytes answers late. */
const COMMAND_MS_MAX = 60_000;
const READY_MS_MAX = 10_000;
const REWRITTEN_MS_MAX = 30_000;
const POLL_MS = 10;

type Topology = 'one' | 'sentinel';

export function createStoreServers({ directory, onProgress }: StoreServersOptions): StoreServers {
  const env = withoutServers(process.env);
  const started = new Map<string, Promise<Stack>>();
  const once = (name: string, what: string, start: (at: string) => Promise<Stack>) => {
    const known = started.get(name);
    if (known !== undefined) return known;
    onProgress(`starting ${what}`);
    const starting = start(join(directory, name));
    started.set(name, starting);
    return starting;
  };
  const stores = (topology: Topology): Promise<Stack> =>
    topology === 'one'
      ? once('one', 'Redis and PostgreSQL', (at) =>
          startStack({ directory: at, env, log: 'embedded' }),
        )
      : once('group', 'a Redis group with Sentinels, and a PostgreSQL pair', (at) =>
          startStack({ directory: at, env, log: 'embedded', sentinel: true }),
        );
  // One broker for all: what is named is used as it is, so only Kafka is started here.
  const kafka = (beside: Stack): Promise<Stack> =>
    once('kafka', 'Kafka', (at) =>
      startStack({
        directory: at,
        env: { ...env, REDIS_URL: beside.redisUrl, DATABASE_URL: beside.databaseUrl },
        log: 'kafka',
      }),
    );
  let opened = 0;
  return {
    async open({ topology = 'one', log = 'embedded' } = {}) {
      const stack = await stores(topology);
      const broker = log === 'kafka' ? await kafka(stack) : undefined;
      opened += 1;
      return await openOn(stack, broker, `bench_${opened}`);
    },
    async stop() {
      const stacks = await Promise.allSettled(started.values());
      for (const each of stacks.toReversed()) {
        if (each.status === 'fulfilled') await each.value.stop();
      }
    },
  };
}

async function openOn(
  stack: Stack,
  broker: Stack | undefined,
  database: string,
): Promise<OpenStores> {
  const databaseUrl = withDatabase(stack.databaseUrl, database);
  const redis = connectRedis(
    { url: stack.redisUrl, name: 'holdfast-bench', onError: () => undefined },
    { commandTimeout: COMMAND_MS_MAX },
  );
  const pool = poolOf(databaseUrl);
  const close = async (): Promise<void> => {
    redis.disconnect();
    await pool.end();
    await administrate(stack, `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
  };
  const processes = (): readonly ProcessGroup[] => groupsOf([stack, broker]);
  try {
    await whenReady(redis, READY_MS_MAX);
    await empty(redis);
    await administrate(stack, `CREATE DATABASE ${database} TEMPLATE template0`);
    await migrate(pool);
  } catch (error) {
    await close();
    throw error;
  }
  const env = {
    REDIS_URL: stack.redisUrl,
    DATABASE_URL: databaseUrl,
    KAFKA_BROKERS: broker?.kafkaBrokers.join(',') ?? '',
    HOLDFAST_LOG_TOPIC: `hf.${database}`,
    HOLDFAST_LOG_LEVEL: 'warn',
  };
  return { redis, pool, env, processes, readCosts: () => costsOf(processes()), close };
}

/** The append-only file too, so that no scenario pays for rewriting what an earlier one wrote. */
async function empty(redis: Redis): Promise<void> {
  await redis.flushall('SYNC');
  const untilMs = performance.now() + REWRITTEN_MS_MAX;
  await redis.bgrewriteaof();
  const isRewriting = async (): Promise<boolean> =>
    /^aof_rewrite_(?:in_progress|scheduled):1/m.test(await redis.info('persistence'));
  while (await isRewriting()) {
    if (performance.now() > untilMs) {
      throw new Error(`Redis still rewrites its append-only file after ${REWRITTEN_MS_MAX} ms`);
    }
    await sleep(POLL_MS);
  }
}

function costsOf(groups: readonly ProcessGroup[]): ProcessCost[] {
  return readProcesses(groups).map(({ name, cpuUs, rssBytes }) => ({
    name,
    cpuUs: [...cpuUs.values()].reduce((sum, us) => sum + us, 0),
    rssBytes,
  }));
}

function groupsOf(stacks: readonly (Stack | undefined)[]): ProcessGroup[] {
  const running = stacks.flatMap((stack) =>
    stack === undefined ? [] : stackStatus(stack.directory, withoutServers(process.env)),
  );
  const pidsOf = (store: ServerStatus['store']): number[] =>
    running.flatMap((each) => (each.store === store && each.pid !== undefined ? [each.pid] : []));
  return (['redis', 'postgres', 'kafka'] as const)
    .map((name) => ({ name, pids: pidsOf(name) }))
    .filter(({ pids }) => pids.length > 0);
}

async function administrate(stack: Stack, statement: string): Promise<void> {
  const pool = poolOf(withDatabase(stack.databaseUrl, 'postgres'));
  try {
    await pool.query(statement);
  } finally {
    await pool.end();
  }
}

function poolOf(url: string): Pool {
  return createPool({
    url,
    applicationName: 'holdfast-bench',
    connectionsMax: 4,
    onIdleError: () => undefined,
  });
}

/** Another database of the same servers; there may be several hosts, so this is no URL to parse. */
function withDatabase(url: string, database: string): string {
  const replaced = url.replace(/^(\w+:\/\/[^/]+\/)[^?]*/, `$1${database}`);
  if (!replaced.includes(`/${database}`)) throw new Error(`a database URL without a database`);
  return replaced;
}
