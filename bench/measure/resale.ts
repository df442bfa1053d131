/**
 * How soon a unit is sold again when its hold ends: somebody holds the last unit of a SKU until a
 * deadline, and a shopper who wants it tries again and again, from before the deadline on, so that
 * what the engine believes to be sold out counts as well.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createHttpClient, type HttpClient } from '../load/client.ts';
import { LatencyBook, type LatencySummary } from '../load/latency.ts';

export interface ResaleOptions {
  readonly url: string;
  /** Each has one unit. */
  readonly skus: readonly string[];
  readonly warehouse: string;
  /** How often each is held and sold again. */
  readonly rounds: number;
}

export interface Resale {
  /** From the deadline that was published to the answer of the shopper who got the unit. */
  readonly latency: LatencySummary;
  /** Holds that a shopper still has. */
  readonly held: number;
  readonly attempts: number;
  /** Units that were sold before the deadline that was published: there must be none. */
  readonly early: number;
}

const TTL_S = 1;
const LAST_TTL_S = 3_600;
const EVERY_MS = 10;
const BEFORE_MS = 100;
const GIVE_UP_MS = 30_000;
const CONNECTIONS = 32;
const RESALE = 'resale';

export async function measureResale(options: ResaleOptions): Promise<Resale> {
  const { hostname: host, port } = new URL(options.url);
  const client = createHttpClient({ host, port: Number(port), maxConnections: CONNECTIONS });
  const latencies = new LatencyBook();
  const count = { attempts: 0, early: 0 };
  const again = async (sku: string): Promise<void> => {
    let expiresAtMs = await hold(client, sku, options.warehouse, TTL_S);
    if (expiresAtMs === undefined) throw new Error(`${sku} has no unit to begin with`);
    for (let round = 1; round <= options.rounds; round++) {
      // The last one keeps it, so that in the end every unit is known to be held.
      const ttlS = round === options.rounds ? LAST_TTL_S : TTL_S;
      const deadlineMs = expiresAtMs;
      await sleep(Math.max(0, deadlineMs - BEFORE_MS - Date.now()));
      let next: number | undefined;
      while (next === undefined) {
        if (Date.now() > deadlineMs + GIVE_UP_MS) throw new Error(`${sku} was not sold again`);
        const triedMs = Date.now();
        count.attempts++;
        next = await hold(client, sku, options.warehouse, ttlS);
        if (next === undefined) await sleep(Math.max(0, triedMs + EVERY_MS - Date.now()));
      }
      const latencyMs = Date.now() - deadlineMs;
      if (latencyMs < 0) count.early++;
      latencies.record(RESALE, Math.max(0, latencyMs));
      expiresAtMs = next;
    }
  };
  try {
    await Promise.all(options.skus.map(again));
    return { latency: latencies.summary(RESALE), held: options.skus.length, ...count };
  } finally {
    client.close();
  }
}

/** When the hold ends, ms of wall time as it is published; undefined: sold out. */
async function hold(
  client: HttpClient,
  sku: string,
  warehouse: string,
  ttlS: number,
): Promise<number | undefined> {
  const body = JSON.stringify({
    items: [{ sku_id: sku, warehouse_id: warehouse, quantity: 1 }],
    ttl_seconds: ttlS,
  });
  const headers = { 'content-type': 'application/json' };
  const answer = await client.request('POST', '/api/v1/inventory/reserve', headers, body);
  if (answer.status === 409) return undefined;
  if (answer.status !== 201) throw new Error(`reserve: ${answer.status} ${answer.body}`);
  const { expires_at } = JSON.parse(answer.body) as { readonly expires_at: string };
  return Date.parse(expires_at);
}
