/**
 * The recipe of most articles: DECR, and INCR again when it fell below zero; a key with a time to
 * live says who holds. Nothing tells a retry from a second wish, and when the key is gone nobody
 * knows that its units should come back (README.md has the sources).
 */
import { randomUUID } from 'node:crypto';
import type { Hold, Peer, StoreUrls } from './peer.ts';
import { holdKey, openRedisStore, stockKey } from './redis-store.ts';

export async function createRedisCounter(urls: StoreUrls): Promise<Peer> {
  const store = await openRedisStore(urls);
  const { redis } = store;
  return {
    holdDurability: 'memory',
    commitDurability: 'persisted',
    setUp: store.setUp,
    async reserve({ sku, quantity, ttlS }) {
      const left = await redis.decrby(stockKey(sku), quantity);
      if (left < 0) {
        await redis.incrby(stockKey(sku), quantity);
        return { outcome: 'insufficient', available: 0 };
      }
      const hold: Hold = {
        id: randomUUID(),
        sku,
        quantity,
        deadlineMs: Date.now() + ttlS * 1_000,
      };
      await redis.set(holdKey(hold.id), JSON.stringify(hold), 'EX', ttlS);
      return { outcome: 'created', hold };
    },
    async commit(id) {
      const hold = await store.findHold(id);
      if (hold === undefined) return { outcome: 'not_found' };
      return { outcome: 'committed', hold, isReplay: !(await store.order(hold)) };
    },
    expire: () => Promise.resolve(),
    close: store.close,
  };
}
