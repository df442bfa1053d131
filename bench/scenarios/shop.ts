/** The shop that a scenario sells from: its API, its position, its audit. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { type AuditTargets, auditTargets } from '../../engine/cli/audit.ts';
import { decodeEntry } from '../../engine/events/entry-codec.ts';
import { createPool, type Pool } from '../../engine/postgres/pool.ts';
import { readPosition } from '../../engine/postgres/position.ts';
import { laneKeys } from '../../engine/redis/keys.ts';
import type { ServeProcess } from '../../engine/testing/serve-process.ts';
import type { LoadPlan } from '../measure/wire-load.ts';

export interface Shop {
  readonly url: string;
  /** Waits until the lane sells, and makes the warehouse. */
  open(): Promise<void>;
  /** Units by SKU, at the one warehouse. */
  receive(units: Readonly<Record<string, number>>): Promise<void>;
  buy(skuId: string): Promise<void>;
  reservePlan(skuId: string, connections: number, seconds: number): LoadPlan;
  emptyPlan(connections: number, seconds: number): LoadPlan;
  balances(skuId: string): Promise<{ available: number; reserved: number }>;
  /** Entries' changes that PostgreSQL has still to apply. */
  backlog(): Promise<number>;
  whenPersisted(): Promise<void>;
  /** Differences; none when Redis, the log and PostgreSQL agree. */
  audit(): Promise<readonly unknown[]>;
}

const LANE = 0;
const WAREHOUSE = 'A';
const READY_MS_MAX = 30_000;
const PERSISTED_MS_MAX = 300_000;
const POLL_MS = 20;

export function createShop(
  engine: Pick<ServeProcess, 'host' | 'port' | 'url'>,
  redis: Redis,
  env: Readonly<Record<string, string>>,
): Shop {
  const { host, port, url } = engine;
  const databaseUrl = env.DATABASE_URL ?? '';
  const keys = laneKeys(LANE);
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(url + path, {
      method,
      ...(body === undefined
        ? {}
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    if (!response.ok)
      throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return await response.json();
  };
  const cart = (skuId: string) => [{ sku_id: skuId, warehouse_id: WAREHOUSE, quantity: 1 }];
  const isPersisted = async (pool: Pool): Promise<boolean> => {
    const [epoch, seq] = await redis.hmget(keys.meta, 'epoch', 'seq');
    const at = await readPosition(pool, LANE);
    return at.epoch === Number(epoch) && at.seq === Number(seq);
  };
  return {
    url,
    async open() {
      await until('the engine is ready', READY_MS_MAX, () => isReady(url));
      await call('PUT', `/api/v1/warehouses/${WAREHOUSE}`, { name: 'Bench', time_zone: 'UTC' });
    },
    async receive(units) {
      for (const skuId of Object.keys(units)) {
        await call('PUT', `/api/v1/products/${skuId}`, { name: skuId });
      }
      const lines = Object.entries(units).map(([sku_id, quantity]) => ({
        sku_id,
        warehouse_id: WAREHOUSE,
        quantity,
      }));
      await call('POST', '/api/v1/stock/receive', { lines });
    },
    async buy(skuId) {
      await call('POST', '/api/v1/inventory/reserve', cart(skuId));
    },
    reservePlan: (skuId, connections, seconds) => ({
      host,
      port,
      connections,
      seconds,
      method: 'POST',
      path: '/api/v1/inventory/reserve',
      body: JSON.stringify(cart(skuId)),
    }),
    emptyPlan: (connections, seconds) => ({
      host,
      port,
      connections,
      seconds,
      method: 'GET',
      path: '/healthz',
    }),
    async balances(skuId) {
      const view = (await call('GET', `/api/v1/inventory/${skuId}/availability`)) as {
        warehouses: { available_qty: number; reserved_qty: number }[];
      };
      const [cell] = view.warehouses;
      if (cell === undefined) throw new Error(`${skuId} stands nowhere`);
      return { available: cell.available_qty, reserved: cell.reserved_qty };
    },
    backlog: () => withPool(databaseUrl, (pool) => countBacklog(redis, pool)),
    whenPersisted: () =>
      withPool(databaseUrl, (pool) =>
        until('PostgreSQL has all', PERSISTED_MS_MAX, () => isPersisted(pool)),
      ),
    audit: async () => (await auditTargets(targetsOf(env))).differences,
  };
}

function targetsOf(env: Readonly<Record<string, string>>): AuditTargets {
  const { REDIS_URL: redisUrl = '', DATABASE_URL: databaseUrl = '', KAFKA_BROKERS = '' } = env;
  const { HOLDFAST_LOG_TOPIC: logTopic } = env;
  return {
    ...{ redisUrl, databaseUrl },
    kafkaBrokers: KAFKA_BROKERS === '' ? [] : KAFKA_BROKERS.split(','),
    ...(logTopic !== undefined && { logTopic }),
  };
}

async function countBacklog(redis: Redis, pool: Pool): Promise<number> {
  let { epoch, seq } = await readPosition(pool, LANE);
  let changes = 0;
  for (;;) {
    const from = `(${epoch}-${seq}`;
    const piece = await redis.callBuffer('XRANGE', laneKeys(LANE).log, from, '+', 'COUNT', 256);
    const entries = piece as [Buffer, [Buffer, Buffer]][];
    for (const [id, [, bytes]] of entries) {
      [epoch = 0, seq = 0] = id.toString().split('-').map(Number);
      changes += decodeEntry(bytes).changes.length;
    }
    if (entries.length === 0) return changes;
  }
}

async function withPool<T>(url: string, work: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = createPool({
    url,
    applicationName: 'holdfast-bench',
    connectionsMax: 4,
    onIdleError: () => undefined,
  });
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}

async function until(what: string, msMax: number, check: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + msMax;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not within ${msMax / 1_000} s: ${what}`);
    await sleep(POLL_MS);
  }
}

/** Also a closed lane answers 200: what it cannot do yet stands in the body. */
async function isReady(url: string): Promise<boolean> {
  const said = (await (await fetch(`${url}/readyz`)).json()) as { readonly status: string };
  return said.status === 'ready';
}
