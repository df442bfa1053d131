/**
 * A careful shop around a counter in Redis: a key against double clicks, a record and a deadline for
 * each hold, and a job that gives back what is over. Each is a command of its own, so a process that
 * dies between two of them leaves units that nobody has, a key without its hold, or a payment without
 * its order. How the units
 * are taken is the recipe's (redis-take.ts).
 */
import { randomUUID } from 'node:crypto';
import type { Committed, Hold, Peer, Reserved, StoreUrls, Wish } from './peer.ts';
import { DEADLINES, holdKey, openRedisStore, type RedisStore, stockKey } from './redis-store.ts';

/** `busy`: nothing was taken, the caller may come again. */
export type TakeUnits = (sku: string, quantity: number) => Promise<'taken' | 'short' | 'busy'>;

const idempotencyKey = (key: string): string => `key:${key}`;

const DAY_S = 86_400;
/** Holds that one turn of the job gives back. */
const EXPIRED_MAX = 1_000;

export async function createRedisHolds(
  urls: StoreUrls,
  makeTake: (store: RedisStore) => TakeUnits | Promise<TakeUnits>,
): Promise<Peer> {
  const store = await openRedisStore(urls);
  const take = await makeTake(store);
  return {
    holdDurability: 'memory',
    commitDurability: 'persisted',
    setUp: store.setUp,
    reserve: (wish) => reserve(store, take, wish),
    commit: (id) => commit(store, id),
    expire: () => expire(store),
    close: store.close,
  };
}

async function reserve(store: RedisStore, take: TakeUnits, wish: Wish): Promise<Reserved> {
  const { redis } = store;
  const { key, sku, quantity, ttlS } = wish;
  const id = randomUUID();
  if (key !== undefined) {
    const claimed = await redis.set(idempotencyKey(key), id, 'EX', DAY_S, 'NX');
    if (claimed === null) return await findExisting(store, key);
  }
  const took = await take(sku, quantity);
  if (took !== 'taken') {
    if (key !== undefined) await redis.del(idempotencyKey(key));
    if (took === 'short') return { outcome: 'insufficient', available: 0 };
    return { outcome: 'overloaded', detail: 'Others hold the lock.' };
  }
  const hold: Hold = { id, sku, quantity, deadlineMs: Date.now() + ttlS * 1_000 };
  await redis.set(holdKey(id), JSON.stringify(hold), 'EX', DAY_S);
  await redis.zadd(DEADLINES, hold.deadlineMs, id);
  return { outcome: 'created', hold };
}

async function findExisting(store: RedisStore, key: string): Promise<Reserved> {
  const id = await store.redis.get(idempotencyKey(key));
  const hold = id === null ? undefined : await store.findHold(id);
  if (hold === undefined) {
    return { outcome: 'overloaded', detail: 'The first request with this key is under way.' };
  }
  return { outcome: 'exists', hold };
}

/** Who takes the id out of the deadlines decides about the hold: a commit, or the job below. */
async function commit(store: RedisStore, id: string): Promise<Committed> {
  const hold = await store.findHold(id);
  if (hold === undefined) return { outcome: 'not_found' };
  const isOurs = (await store.redis.zrem(DEADLINES, id)) === 1;
  if (isOurs) {
    await store.order(hold);
    return { outcome: 'committed', hold, isReplay: false };
  }
  if (await store.hasOrder(id)) return { outcome: 'committed', hold, isReplay: true };
  return { outcome: 'overloaded', detail: 'Another request decides about it at this moment.' };
}

async function expire({ redis, findHold }: RedisStore): Promise<void> {
  const due = await redis.zrangebyscore(DEADLINES, '-inf', Date.now(), 'LIMIT', 0, EXPIRED_MAX);
  for (const id of due) {
    const hold = await findHold(id);
    const isOurs = (await redis.zrem(DEADLINES, id)) === 1;
    if (hold === undefined || !isOurs) continue;
    await redis.del(holdKey(id));
    await redis.incrby(stockKey(hold.sku), hold.quantity);
  }
}
