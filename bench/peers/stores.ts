/**
 * A Redis and a PostgreSQL that a bench may kill: with the settings of production (append-only file
 * every second, fsync at each commit), and a fresh start for each contender.
 */
import { join } from 'node:path';
import { waitFor } from '../../deploy/local/deadline.ts';
import { postgresCommand, postgresUrl } from '../../deploy/local/postgres.ts';
import { identifySelf, signalProcess } from '../../deploy/local/process-identity.ts';
import { redisCommand, redisUrl } from '../../deploy/local/redis.ts';
import { readServerRecord } from '../../deploy/local/server-process.ts';
import { createPool, type Pool } from '../../engine/postgres/pool.ts';
import { connectRedis, whenReady } from '../../engine/redis/connect.ts';
import { startTestServer, type TestServer } from '../../engine/testing/test-server.ts';
import type { OpenStores, StoreUrls } from './peer.ts';

export interface BenchStores {
  readonly redisPid: number;
  readonly postgresPid: number;
  /** Empties Redis, and makes a database that holds nothing. */
  renew(): Promise<StoreUrls>;
  /** SIGKILL for both, then both start again on what they had written. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

const READY_MS_MAX = 10_000;
const REAPED_MS_MAX = 10_000;
/** An emptied Redis of some hundred megabytes answers late. */
const COMMAND_MS_MAX = 60_000;

export async function startBenchStores(parent: string): Promise<BenchStores> {
  const owner = identifySelf();
  const redis = await startTestServer({
    command: (port) => redisCommand({ directory: join(parent, 'redis'), port }),
    stopSignal: 'SIGTERM',
    owner,
  });
  const postgres = await startTestServer({
    command: (port) => postgresCommand({ directory: join(parent, 'postgres'), port }),
    stopSignal: 'SIGINT',
    owner,
  }).catch(async (error: unknown) => {
    await redis.stop();
    throw error;
  });
  return storesOf(redis, postgres);
}

function storesOf(redis: TestServer, postgres: TestServer): BenchStores {
  let made = 0;
  // The last resort of a process that ends without `stop()`.
  const killAll = (): void => {
    for (const { directory } of [redis, postgres]) {
      const record = readServerRecord(directory);
      if (record !== undefined) signalProcess(record.process, 'SIGKILL');
    }
  };
  process.once('exit', killAll);
  return {
    get redisPid() {
      return redis.pid;
    },
    get postgresPid() {
      return postgres.pid;
    },
    async renew() {
      // A contender whose run broke off may have left one of them down.
      const down = [redis, postgres].filter(({ isRunning }) => !isRunning);
      await Promise.all(down.map((server) => server.start()));
      made += 1;
      const database = `contender_${made}`;
      const urls = {
        redisUrl: redisUrl(redis.port),
        databaseUrl: postgresUrl(postgres.port, database),
      };
      const administration = { ...urls, databaseUrl: postgresUrl(postgres.port, 'postgres') };
      await withStores(administration, async ({ redis: client, pool }) => {
        await client.flushall('SYNC');
        await pool.query(`CREATE DATABASE ${database} TEMPLATE template0`);
      });
      return urls;
    },
    async crash() {
      await Promise.all([killWhole(redis), killWhole(postgres)]);
      await Promise.all([redis.start(), postgres.start()]);
    },
    async stop() {
      const running = [redis, postgres].filter(({ isRunning }) => isRunning);
      await Promise.all(running.map((server) => server.stop()));
      process.off('exit', killAll);
    },
  };
}

/** PostgreSQL does not start while a process has the old one's id, be it dead and not yet reaped. */
async function killWhole(server: TestServer): Promise<void> {
  const { pid } = server;
  await server.kill();
  await waitFor(() => (hasProcess(pid) ? undefined : true), REAPED_MS_MAX);
}

function hasProcess(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Opens both, and closes them after the work. */
export async function withStores<T>(
  { redisUrl: url, databaseUrl }: StoreUrls,
  work: (stores: OpenStores) => Promise<T>,
): Promise<T> {
  const redis = connectRedis(
    { url, name: 'holdfast-bench', onError: () => undefined },
    { commandTimeout: COMMAND_MS_MAX },
  );
  const pool: Pool = createPool({
    url: databaseUrl,
    applicationName: 'holdfast-bench',
    connectionsMax: 2,
    onIdleError: () => undefined,
  });
  try {
    await whenReady(redis, READY_MS_MAX);
    return await work({ redis, pool });
  } finally {
    redis.disconnect();
    await pool.end();
  }
}
