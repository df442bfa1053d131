/** What a lane has in Redis, and what PostgreSQL says that it should have, in one comparable form. */
import type { Redis } from 'ioredis';
import type { Pool } from '../../engine/postgres/pool.ts';
import { readPosition } from '../../engine/postgres/position.ts';
import type { RestoreChunk } from '../../engine/redis/lane-state.ts';
import { readRows } from '../rows.ts';
import { readChunk } from './chunks.ts';
import { KEYS, LANE } from './stack.ts';

/** `<key without prefix> <field in hex>`: value in hex. */
export type Dump = Readonly<Record<string, string>>;

/** Everything of the lane that recovery has to bring back, but for the due references. */
export async function dumpRedis(redis: Redis): Promise<Dump> {
  const dump: Record<string, string> = {};
  for (const key of (await redis.keys(`${KEYS.prefix}*`)).sort()) {
    const name = key.slice(KEYS.prefix.length);
    if (!/^(stock|hold|cart):/.test(name)) continue;
    const flat = await redis.callBuffer('HGETALL', key);
    if (!Array.isArray(flat)) throw new TypeError(`${key} is no hash`);
    for (let i = 0; i < flat.length; i += 2) dump[`${name} ${hex(flat[i])}`] = hex(flat[i + 1]);
  }
  return dump;
}

/** The same, made of PostgreSQL's rows. */
export async function dumpPostgres(pool: Pool): Promise<Dump> {
  const dump: Record<string, string> = {};
  const head = await readPosition(pool, LANE);
  for await (const chunk of readRows(pool, { lane: LANE, head })) addChunk(dump, chunk);
  return dump;
}

function addChunk(dump: Record<string, string>, chunk: RestoreChunk): void {
  for (const { key, field, value } of readChunk(chunk).hashes) {
    dump[`${key.slice(KEYS.prefix.length)} ${hex(field)}`] = hex(value);
  }
}

function hex(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('hex') : String(value);
}

/** Seconds in which something may be due. */
export async function dueSeconds(redis: Redis): Promise<readonly string[]> {
  return redis.zrange(KEYS.deadlines, '0', '-1');
}
