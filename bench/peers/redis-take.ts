/** Two ways to take units from a counter in Redis: a script a request, and a lock around it. */
import type Redlock from 'redlock';
import type { TakeUnits } from './redis-holds.ts';
import { type RedisStore, stockKey } from './redis-store.ts';

const SCRIPT = `
  local available = tonumber(redis.call('GET', KEYS[1]) or '0')
  local wanted = tonumber(ARGV[1])
  if available < wanted then return -1 end
  return redis.call('DECRBY', KEYS[1], wanted)`;

/** Check and decrement as one: an EVALSHA for each request. */
export async function takeByScript({ redis }: RedisStore): Promise<TakeUnits> {
  const digest = String(await redis.script('LOAD', SCRIPT));
  return async (sku, quantity) => {
    const left = Number(await redis.evalsha(digest, 1, stockKey(sku), quantity));
    return left < 0 ? 'short' : 'taken';
  };
}

/** As the package's README has it. */
const LOCK_MS = 5_000;

/** Read and decrement as two commands, between the taking and the giving back of a lock. */
export async function takeUnderLock({ redis }: RedisStore): Promise<TakeUnits> {
  const { default: Lock, ExecutionError } = await import('redlock');
  // One Redis, which favours it: with more, each lock asks them all.
  const locks: Redlock = new Lock([redis]);
  return async (sku, quantity) => {
    try {
      const lock = await locks.acquire([`lock:${sku}`], LOCK_MS);
      try {
        const available = Number(await redis.get(stockKey(sku)));
        if (available < quantity) return 'short';
        await redis.decrby(stockKey(sku), quantity);
        return 'taken';
      } finally {
        // One that cannot be released ends by itself; what was taken is taken.
        await lock.release().catch(() => undefined);
      }
    } catch (error) {
      // Ten tries, 200 ms apart, have not got it.
      if (error instanceof ExecutionError) return 'busy';
      throw error;
    }
  };
}
