/** Every peer behind its server, and the audit's eyes: a peer that reads, then writes, sells too much. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  startRedis,
  type TestDatabase,
  type TestRedis,
  testDatabase,
} from '../../engine/testing/servers.ts';
import { type Audit, auditSale } from './audit.ts';
import { PEER_NAMES, type PeerName, type Recipe, recipeOf } from './catalogue.ts';
import { runDrop } from './drop.ts';
import { hasPackages } from './packages.ts';
import type { OpenStores } from './peer.ts';
import { createRedisHolds, type TakeUnits } from './redis-holds.ts';
import { type RedisStore, redisBooks, stockKey } from './redis-store.ts';
import { type PeerServer, startPeerServer } from './server.ts';
import { withStores } from './stores.ts';

const TIMEOUT_MS = 120_000;
const SKU = 'DROP';
const UNITS = 20;
const SHOPPERS = 150;

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

/** A server over one peer, on a database of its own and an emptied Redis. */
async function withServer<T>(
  recipe: Recipe,
  work: (server: PeerServer, stores: OpenStores) => Promise<T>,
): Promise<T> {
  const database: TestDatabase = await testDatabase();
  const urls = { redisUrl: redis.url, databaseUrl: database.url };
  try {
    return await withStores(urls, async (stores) => {
      await stores.redis.flushall();
      const peer = await recipe.create(urls);
      await peer.setUp({ [SKU]: UNITS });
      const server = await startPeerServer(peer);
      try {
        return await work(server, stores);
      } finally {
        await server.close();
      }
    });
  } finally {
    await database.drop();
  }
}

/** Sells the units, waits until no hold is left where holds end, and audits. */
function sell(recipe: Recipe): Promise<Audit> {
  const { books, holdsEnd } = recipe;
  return withServer(recipe, async ({ url }, stores) => {
    const { tally, soldIds } = await runDrop(url, SKU, { shoppers: SHOPPERS, units: UNITS });
    if (holdsEnd) {
      const held = async () => (await books.read(stores, SKU)).held;
      await expect.poll(held, { timeout: TIMEOUT_MS }).toBe(0);
    }
    return auditSale({
      units: UNITS,
      tally,
      soldIds: soldIds.length,
      soldIdsThere: await books.countSold(stores, soldIds),
      books: await books.read(stores, SKU),
      reserved: { answered: 0, taken: 0 },
    });
  });
}

async function reserve(url: string, key: string): Promise<{ status: number; id: unknown }> {
  const response = await fetch(`${url}/api/v1/inventory/reserve`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify({ items: [{ sku_id: SKU, quantity: 1 }], ttl_seconds: 60 }),
  });
  const { reservation_id } = (await response.json()) as { reservation_id: unknown };
  return { status: response.status, id: reservation_id };
}

const COUNTER: PeerName = 'Redis, DECR and INCR';
const isMedusa = (name: PeerName): boolean => name.startsWith('Medusa');
const isExact = (name: PeerName): boolean => name !== COUNTER && !isMedusa(name);

describe('a sale', () => {
  it.each(PEER_NAMES.filter(isExact))('by %s is exact', { timeout: TIMEOUT_MS }, async (name) => {
    const audit = await sell(recipeOf(name));
    expect(audit).toMatchObject({ ok: true, oversold: 0, leaked: 0, doubled: 0, lost: 0 });
    expect(audit.sold).toBeGreaterThan(0);
  });

  it(`by ${COUNTER} sells no unit twice`, { timeout: TIMEOUT_MS }, async () => {
    const audit = await sell(recipeOf(COUNTER));
    expect(audit).toMatchObject({ oversold: 0, lost: 0 });
  });

  const medusa = PEER_NAMES.filter(isMedusa);
  const hasMedusa = medusa.every((name) => hasPackages(recipeOf(name).packages ?? {}, process.env));
  it.runIf(hasMedusa).each(medusa)(
    'by %s keeps its orders',
    { timeout: TIMEOUT_MS },
    async (name) => {
      const audit = await sell(recipeOf(name));
      expect(audit).toMatchObject({ lost: 0 });
      if (name.endsWith('workflow')) expect(audit.oversold).toBe(0);
    },
  );
});

describe('a request that comes twice', () => {
  it.each(PEER_NAMES.filter(isExact))('is one reservation of %s', async (name) => {
    await withServer(recipeOf(name), async ({ url }) => {
      const first = await reserve(url, 'twice');
      expect(first.status).toBe(201);
      expect(await reserve(url, 'twice')).toEqual({ status: 200, id: first.id });
    });
  });

  it(`is two of ${COUNTER}`, async () => {
    await withServer(recipeOf(COUNTER), async ({ url }) => {
      const first = await reserve(url, 'twice');
      const second = await reserve(url, 'twice');
      expect([first.status, second.status]).toEqual([201, 201]);
      expect(second.id).not.toBe(first.id);
    });
  });
});

/** The first two read, and then write what they have read less their own: they sell the same units. */
function takeNaively({ redis: client }: RedisStore): TakeUnits {
  let readers = 0;
  let goOn: () => void = () => undefined;
  const twoHaveRead = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  return async (sku, quantity) => {
    const available = Number(await client.get(stockKey(sku)));
    if (available < quantity) return 'short';
    readers += 1;
    if (readers > 2) {
      await client.decrby(stockKey(sku), quantity);
      return 'taken';
    }
    if (readers === 2) goOn();
    await twoHaveRead;
    await client.set(stockKey(sku), String(available - quantity));
    return 'taken';
  };
}

it('the audit sees that a unit was sold twice', { timeout: TIMEOUT_MS }, async () => {
  const naive: Recipe = {
    create: (urls) => createRedisHolds(urls, takeNaively),
    books: redisBooks,
    holdsEnd: true,
  };
  const audit = await sell(naive);
  expect(audit.ok).toBe(false);
  expect(audit.oversold).toBeGreaterThan(0);
});
