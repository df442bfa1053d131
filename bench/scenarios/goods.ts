/** Puts goods on sale through the API, as many SKUs as a scenario wants, and counts what is there. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createHttpClient, type HttpClient, type Method } from '../load/client.ts';

export interface Cell {
  readonly skuId: string;
  readonly warehouseId: string;
  readonly quantity: number;
}

export interface Units {
  readonly available: number;
  readonly reserved: number;
  readonly allocated: number;
}

/** The warehouse that every world has (shop.ts). */
export const WAREHOUSE = 'A';
/** The engine batches what waits together, and each waits until PostgreSQL has it. */
const AT_ONCE = 256;
/** Each asks Redis for as many SKUs as one may: more at once would wait for each other. */
const COUNTED_AT_ONCE = 4;
const LINES_MAX = 1_000;
const SKUS_MAX = 1_000;
const TIMEOUT_MS = 120_000;
const POLL_MS = 50;
const TRIES_MAX = 60;
const AGAIN_MS = 500;

/** The same number of each. */
export function cellsOf(skuIds: readonly string[], quantity: number): readonly Cell[] {
  return skuIds.map((skuId) => ({ skuId, warehouseId: WAREHOUSE, quantity }));
}

/** Products, then their stock in bulk. Resolves when PostgreSQL has all of it. */
export async function putOnSale(
  url: string,
  cells: readonly Cell[],
  warehouseIds: readonly string[] = [],
): Promise<void> {
  await withClient(url, async (client) => {
    const ask = askerOf(client);
    for (const id of warehouseIds) {
      await ask('PUT', `/api/v1/warehouses/${id}`, { name: id, time_zone: 'UTC' });
    }
    const skuIds = [...new Set(cells.map(({ skuId }) => skuId))];
    await eachAtOnce(skuIds, async (skuId) => {
      await ask('PUT', `/api/v1/products/${encodeURIComponent(skuId)}`, { name: skuId });
    });
    await eachAtOnce(piecesOf(cells, LINES_MAX), async (piece) => {
      const lines = piece.map(({ skuId, warehouseId, quantity }) => ({
        ...{ sku_id: skuId, warehouse_id: warehouseId, quantity },
      }));
      await ask('POST', '/api/v1/stock/receive', { lines });
    });
  });
}

interface AvailabilityAnswer {
  readonly skus: readonly {
    readonly stale?: boolean;
    readonly unreadable?: boolean;
    readonly warehouses: readonly {
      readonly available_qty: number;
      readonly reserved_qty: number;
      readonly allocated_qty: number;
    }[];
  }[];
  readonly unknown: readonly string[];
}

/** Of all these SKUs, everywhere, as Redis has them. Throws when one is unknown or not to be read. */
export async function countUnits(url: string, skuIds: readonly string[]): Promise<Units> {
  const sum = { available: 0, reserved: 0, allocated: 0 };
  await withClient(url, async (client) => {
    const ask = askerOf(client);
    const count = async (piece: readonly string[]): Promise<void> => {
      for (const { unreadable, warehouses } of await skusInRedis(ask, piece)) {
        if (unreadable === true) throw new Error('a SKU of Redis cannot be read');
        for (const { available_qty, reserved_qty, allocated_qty } of warehouses) {
          sum.available += available_qty;
          sum.reserved += reserved_qty;
          sum.allocated += allocated_qty;
        }
      }
    };
    await eachAtOnce(piecesOf(skuIds, SKUS_MAX), count, COUNTED_AT_ONCE);
  });
  return sum;
}

/** Asks again while PostgreSQL answers in Redis' place: on a busy machine Redis may be late. */
async function skusInRedis(
  ask: Ask,
  skuIds: readonly string[],
): Promise<AvailabilityAnswer['skus']> {
  for (let tries = 1; ; tries += 1) {
    const answer = await ask('POST', '/api/v1/inventory/availability', { sku_ids: skuIds });
    const { skus, unknown } = answer as AvailabilityAnswer;
    if (unknown.length > 0) throw new Error(`unknown: ${unknown.slice(0, 10).join(', ')}`);
    if (skus.every(({ stale }) => stale !== true)) return skus;
    if (tries >= TRIES_MAX) throw new Error('Redis does not tell');
    await sleep(AGAIN_MS);
  }
}

/** Resolves when every deadline has done its work, with the seconds that it took. */
export async function whenNothingIsHeld(
  url: string,
  skuIds: readonly string[],
  secondsMax: number,
): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    const { reserved } = await countUnits(url, skuIds);
    const seconds = (performance.now() - startMs) / 1_000;
    if (reserved === 0) return seconds;
    if (seconds > secondsMax) {
      throw new Error(`${reserved} units are still held, ${secondsMax} s after the last deadline`);
    }
    await sleep(POLL_MS);
  }
}

type Ask = (method: Method, path: string, body: unknown) => Promise<unknown>;

/** Asks again under the same key while an engine on a busy machine answers 503. */
function askerOf(client: HttpClient): Ask {
  return async (method, path, body) => {
    const key = { 'idempotency-key': `goods-${randomUUID()}` };
    const headers = { 'content-type': 'application/json', ...(method === 'POST' && key) };
    for (let tries = 1; ; tries += 1) {
      const answer = await client.request(method, path, headers, JSON.stringify(body));
      if (answer.status < 300) return JSON.parse(answer.body) as unknown;
      if (answer.status !== 503 || tries >= TRIES_MAX) {
        throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
      }
      await sleep(AGAIN_MS);
    }
  };
}

async function withClient(url: string, work: (client: HttpClient) => Promise<void>): Promise<void> {
  const { hostname: host, port } = new URL(url);
  const limits = { maxConnections: AT_ONCE, timeoutMs: TIMEOUT_MS };
  const client = createHttpClient({ host, port: Number(port), ...limits });
  try {
    await work(client);
  } finally {
    client.close();
  }
}

function piecesOf<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, n) => items.slice(n * size, (n + 1) * size));
}

/** Stops at the first that rejects; what is under way then ends by itself. */
async function eachAtOnce<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
  atOnce = AT_ONCE,
): Promise<void> {
  const queue = items.values();
  const run = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, run));
}
