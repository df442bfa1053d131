/** How much memory the data of a lane takes, without its log and without buffers of connections. */
import type { Redis } from 'ioredis';
import { NEVER } from '../../engine/events/entry.ts';
import { laneKeys } from '../../engine/redis/keys.ts';
import { laneScripts } from '../../engine/redis/lane-scripts.ts';

const LANE = 0;
/** Behind every entry that can be: then `tail` reads none. */
const BEYOND = { ...NEVER, epoch: Number.MAX_SAFE_INTEGER };

/** Trims the log but for its last entry, as the persister does with what PostgreSQL has. */
export async function trimLog(redis: Redis): Promise<void> {
  const state = laneScripts(redis, LANE);
  const { last } = await state.tail(BEYOND, 1);
  let removed: number;
  do removed = await state.trim(last, 0);
  while (removed > 0);
  if (removed < 0) throw new Error('the lane is closed: its log was not trimmed');
}

/** Bytes that Redis allocated, the log trimmed and its rest left out. */
export async function footprintBytes(redis: Redis): Promise<number> {
  await trimLog(redis);
  const info = await redis.info('memory');
  const field = (name: string): number => {
    const [, digits] = new RegExp(`^${name}:(\\d+)`, 'm').exec(info) ?? [];
    return Number(digits ?? 0);
  };
  const log = Number((await redis.memory('USAGE', laneKeys(LANE).log, 'SAMPLES', '0')) ?? 0);
  return field('used_memory') - field('mem_clients_normal') - field('mem_aof_buffer') - log;
}

/** Forgets when holds end, and nothing else: what is left of a settled hold is its tombstone. */
export async function dropDeadlines(redis: Redis): Promise<void> {
  const keys = laneKeys(LANE);
  const seconds = await redis.zrange(keys.deadlines, '0', '-1');
  for (const second of seconds) await redis.del(keys.due(Number(second)));
  await redis.del(keys.deadlines);
}

export interface Anatomy {
  /** Fields of a hash. */
  readonly entries: number;
  /** Of an entry's name and value, without what Redis adds. */
  readonly payloadBytes: number;
  /** Of an entry's share in its hash as it was allocated, the key's name included. */
  readonly hashBytes: number;
}

/** Means over a few of the hashes whose key begins so; what is not in `hashBytes` is the keyspace. */
export async function anatomyOf(redis: Redis, prefix: string): Promise<Anatomy> {
  const keys = await someKeys(redis, `${prefix}*`);
  let entries = 0;
  let payload = 0;
  let bytes = 0;
  for (const key of keys) {
    const flat = (await redis.callBuffer('HGETALL', key)) as readonly Buffer[];
    entries += flat.length / 2;
    payload += flat.reduce((sum, { length }) => sum + length, 0);
    bytes += Number((await redis.memory('USAGE', key, 'SAMPLES', '0')) ?? 0);
  }
  return {
    entries: entries / keys.length,
    payloadBytes: payload / entries,
    hashBytes: bytes / entries,
  };
}

const KEYS_LOOKED_AT = 200;

async function someKeys(redis: Redis, pattern: string): Promise<readonly string[]> {
  const found: string[] = [];
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', 1_000);
    found.push(...keys);
    cursor = next;
  } while (cursor !== '0' && found.length < KEYS_LOOKED_AT);
  return found.slice(0, KEYS_LOOKED_AT);
}
