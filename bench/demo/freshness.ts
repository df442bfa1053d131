/** Servers that the environment names are used as they are, so they must be empty: the demo counts what it finds. */
import type { Stack } from '../../deploy/local/stack.ts';
import { createPool } from '../../engine/postgres/pool.ts';
import { connectRedis, whenReady } from '../../engine/redis/connect.ts';
import { laneKeys } from '../../engine/redis/keys.ts';

const READY_MS = 5_000;

export async function ensureFresh(stack: Stack): Promise<void> {
  const given = stack.servers.filter(({ source }) => source === 'environment');
  if (given.length === 0) return;
  const used = [
    (await hasLane(stack.redisUrl)) ? 'REDIS_URL' : undefined,
    (await hasSchema(stack.databaseUrl)) ? 'DATABASE_URL' : undefined,
  ].filter((variable) => variable !== undefined);
  if (used.length === 0) return;
  throw new Error(
    `${used.join(' and ')} name servers that hold data of Holdfast already, and the demo starts from nothing: ` +
      'unset the variables (the demo then starts servers of its own), or name empty ones',
  );
}

async function hasLane(url: string): Promise<boolean> {
  const redis = connectRedis({ url, name: 'holdfast-demo', onError: () => undefined });
  try {
    await whenReady(redis, READY_MS);
    return (await redis.exists(laneKeys(0).meta)) === 1;
  } finally {
    redis.disconnect();
  }
}

async function hasSchema(url: string): Promise<boolean> {
  const pool = createPool({
    url,
    applicationName: 'holdfast-demo',
    connectionsMax: 1,
    onIdleError: () => undefined,
  });
  try {
    const { rows } = await pool.query<{ found: string | null }>(
      `SELECT to_regclass('positions')::text AS found`,
    );
    return rows[0]?.found != null;
  } finally {
    await pool.end();
  }
}
