/** Puts goods on sale through the API, as many SKUs as a scenario wants, and counts what is there. */
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
const LINES_MAX = 1_000;
const SKUS_MAX = 1_000;
const TIMEOUT_MS = 120_000;
const POLL_MS = 50;

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
    const insist = insisting(client);
    for (const id of warehouseIds) {
      await insist('PUT', `/api/v1/warehouses/${id}`, { name: id, time_zone: 'UTC' });
    }
    const skuIds = [...new Set(cells.map(({ skuId }) => skuId))];
    await eachAtOnce(skuIds, async (skuId) => {
      await insist('PUT', `/api/v1/products/${encodeURIComponent(skuId)}`, { name: skuId });
    });
    await eachAtOnce(piecesOf(cells, LINES_MAX), async (piece) => {
      const lines = piece.map(({ skuId, warehouseId, quantity }) => ({
        ...{ sku_id: skuId, warehouse_id: warehouseId, quantity },
      }));
      await insist('POST', '/api/v1/stock/receive', { lines });
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

/** Of all these SKUs, everywhere, as Redis has them. Throws when one is unknown or not from Redis. */
export async function countUnits(url: string, skuIds: readonly string[]): Promise<Units> {
  const sum = { available: 0, reserved: 0, allocated: 0 };
  await withClient(url, async (client) => {
    const insist = insisting(client);
    await eachAtOnce(piecesOf(skuIds, SKUS_MAX), async (piece) => {
      const answer = await insist('POST', '/api/v1/inventory/availability', { sku_ids: piece });
      const { skus, unknown } = answer as AvailabilityAnswer;
      if (unknown.length > 0) throw new Error(`unknown: ${unknown.slice(0, 10).join(', ')}`);
      for (const { stale, unreadable, warehouses } of skus) {
        if (stale === true || unreadable === true) throw new Error('Redis does not tell');
        for (const { available_qty, reserved_qty, allocated_qty } of warehouses) {
          sum.available += available_qty;
          sum.reserved += reserved_qty;
          sum.allocated += allocated_qty;
        }
      }
    });
  });
  return sum;
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

type Insist = (method: Method, path: string, body: unknown) => Promise<unknown>;

function insisting(client: HttpClient): Insist {
  return async (method, path, body) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await client.request(method, path, headers, JSON.stringify(body));
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
    return JSON.parse(answer.body) as unknown;
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
async function eachAtOnce<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const run = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, run));
}
