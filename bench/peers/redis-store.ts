/** What the Redis recipes share: the keys of the counter and the holds, and the table of orders. */
import type { Redis } from 'ioredis';
import { createPool, type Pool } from '../../engine/postgres/pool.ts';
import { connectRedis, whenReady } from '../../engine/redis/connect.ts';
import type { Bookkeeper, Hold, StoreUrls } from './peer.ts';

export const stockKey = (sku: string): string => `stock:${sku}`;
export const holdKey = (id: string): string => `hold:${id}`;
/** Sorted set: ids of holds by their deadline, ms. */
export const DEADLINES = 'deadlines';

const READY_MS_MAX = 10_000;
/** The default of the client library, which few change. */
const CONNECTIONS_MAX = 10;

/** What is paid for goes to the database: no shop keeps its orders in a counter. */
const ORDERS = `
  CREATE TABLE orders (
    id uuid PRIMARY KEY,
    sku text NOT NULL,
    quantity integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
  )`;

export interface RedisStore {
  readonly redis: Redis;
  readonly setUp: (units: Readonly<Record<string, number>>) => Promise<void>;
  /** False: the order was there already. */
  readonly order: (hold: Hold) => Promise<boolean>;
  readonly hasOrder: (id: string) => Promise<boolean>;
  readonly findHold: (id: string) => Promise<Hold | undefined>;
  readonly close: () => Promise<void>;
}

export async function openRedisStore({ redisUrl, databaseUrl }: StoreUrls): Promise<RedisStore> {
  const redis = connectRedis({
    url: redisUrl,
    name: 'holdfast-bench-peer',
    onError: () => undefined,
  });
  const pool = createPool({
    url: databaseUrl,
    applicationName: 'holdfast-bench-peer',
    connectionsMax: CONNECTIONS_MAX,
    onIdleError: () => undefined,
  });
  await whenReady(redis, READY_MS_MAX);
  return {
    redis,
    async setUp(units) {
      await pool.query(ORDERS);
      for (const [sku, available] of Object.entries(units)) {
        await redis.set(stockKey(sku), String(available));
      }
    },
    order: (hold) => insertOrder(pool, hold),
    async hasOrder(id) {
      return (await pool.query('SELECT FROM orders WHERE id = $1', [id])).rowCount === 1;
    },
    async findHold(id) {
      const text = await redis.get(holdKey(id));
      return text === null ? undefined : (JSON.parse(text) as Hold);
    },
    async close() {
      redis.disconnect();
      await pool.end();
    },
  };
}

async function insertOrder(pool: Pool, { id, sku, quantity }: Hold): Promise<boolean> {
  const { rowCount } = await pool.query(
    'INSERT INTO orders (id, sku, quantity) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
    [id, sku, quantity],
  );
  return rowCount === 1;
}

export const redisBooks: Bookkeeper = {
  async read({ redis, pool }, sku) {
    const { rows } = await pool.query<{ sold: number }>(
      'SELECT coalesce(sum(quantity), 0)::integer AS sold FROM orders WHERE sku = $1',
      [sku],
    );
    const ids = await redis.zrangebyscore(DEADLINES, '-inf', '+inf');
    const held = ids.length === 0 ? [] : await redis.mget(ids.map(holdKey));
    const holds = held.flatMap((text) => (text === null ? [] : [JSON.parse(text) as Hold]));
    return {
      forSale: Number(await redis.get(stockKey(sku))),
      held: holds
        .filter((hold) => hold.sku === sku)
        .reduce((sum, { quantity }) => sum + quantity, 0),
      sold: rows[0]?.sold ?? 0,
    };
  },
  async countSold({ pool }, ids) {
    const { rows } = await pool.query<{ n: number }>(
      'SELECT count(*)::integer AS n FROM orders WHERE id = ANY($1::uuid[])',
      [ids],
    );
    return rows[0]?.n ?? 0;
  },
};
