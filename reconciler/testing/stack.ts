/**
 * A lane on a real Redis and a real PostgreSQL, for the tests of recovery, and what a shop does to it.
 */
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { CellField, Sku } from '../../engine/domain/ids.ts';
import { IdMaker, packId } from '../../engine/domain/reservation-id.ts';
import { connectRedis, whenReady } from '../../engine/redis/connect.ts';
import { laneKeys } from '../../engine/redis/keys.ts';
import { createLane } from '../../engine/redis/lane.ts';
import type { Lane, OperationAnswer } from '../../engine/redis/lane-port.ts';
import { laneScripts } from '../../engine/redis/lane-scripts.ts';
import type { LaneState } from '../../engine/redis/lane-state.ts';
import type { Operation } from '../../engine/redis/operation.ts';
import { reserve, settle, stockOperation } from '../../engine/redis/testing/test-lane.ts';
import { Line } from '../../engine/runtime/line.ts';
import { startRedis, type TestRedis } from '../../engine/testing/servers.ts';
import { type MigratedDatabase, migratedDatabase } from '../../persister/testing/database.ts';

export const LANE = 0;
export const KEYS = laneKeys(LANE);
const line = new Line();

/** Whatever its Redis is. */
export interface LaneStack {
  readonly redis: Redis;
  readonly state: LaneState;
  readonly lane: Lane;
  readonly database: MigratedDatabase;
  end(): Promise<void>;
}

/** On one plain Redis of its own. */
export interface Stack extends LaneStack {
  readonly server: TestRedis;
}

/** On a database of its own, unless it is given one. */
export async function startStack(given?: MigratedDatabase): Promise<Stack> {
  const [server, database] = await Promise.all([startRedis(), given ?? migratedDatabase()]);
  const redis = connectRedis({ url: server.url, name: 'test', onError: () => undefined });
  await whenReady(redis, 5_000);
  return {
    server,
    redis,
    state: laneScripts(redis, LANE),
    lane: connectLane(redis),
    database,
    end: async () => {
      redis.disconnect();
      await Promise.all([server.stop(), database.end()]);
    },
  };
}

/** An engine's view of the lane, which has seen nothing yet. */
export function connectLane(redis: Redis): Lane {
  return createLane({
    redis,
    number: LANE,
    line,
    limits: {
      batchOperationsMax: 512,
      batchLinesMax: 1_000,
      queueWaitMsMax: 10_000,
      holdAgeSMax: 7_200,
    },
    hooks: {
      onBatch: () => undefined,
      onFenced: () => undefined,
      onStoreError: () => undefined,
      onUnreadable: () => undefined,
    },
  });
}

export function submit(lane: Lane, operation: Operation): Promise<OperationAnswer> {
  return new Promise((resolve) => lane.submit(operation, resolve));
}

const ids = new IdMaker(randomBytes);

/** Units by `SKU@WAREHOUSE`; throws unless they came. */
export async function receive(lane: Lane, units: Readonly<Record<string, number>>): Promise<void> {
  const lines = Object.entries(units).map(([at, delta]) => {
    const [sku = '', field = ''] = at.split('@');
    return { sku: sku as Sku, field: field as CellField, delta };
  });
  await lane.defineProducts(lines.map(({ sku }) => sku));
  const result = await lane.stock(stockOperation(ids.make(lane.nowMs(), LANE), lines));
  if (result.outcome !== 'applied') throw new Error(`receive: ${JSON.stringify(result)}`);
}

/**
 * A shop's morning: carts of one line and of many, made ids and clients' ids, and every way in which
 * a reservation may go on.
 */
export async function trade(lane: Lane, name: string, carts: number): Promise<void> {
  const big = Array.from({ length: 40 }, (_, i) => `BIG-${i}@north`);
  const stock = Object.fromEntries(big.map((cell) => [cell, 1_000] as const));
  await receive(lane, { 'A@north': 10_000, 'A@south/web': 10_000, 'B@north': 10_000, ...stock });
  const bigCart = Object.fromEntries(big.map((cell) => [cell, 2] as const));
  const salt = randomBytes(3).toString('hex');
  for (let from = 0; from < carts; from += CARTS_AT_ONCE) {
    const some = Array.from({ length: Math.min(CARTS_AT_ONCE, carts - from) }, (_, i) => from + i);
    await Promise.all(
      some.map((i) => {
        const id = i % 3 === 0 ? packId(`${name}-${salt}-${i}`) : ids.make(lane.nowMs(), LANE);
        return tradeOne(lane, id, i, bigCart);
      }),
    );
  }
}

const CARTS_AT_ONCE = 16;
const WAYS = ['hold', 'extend', 'release', 'commit', 'part', 'ship', 'cancel', 'close'] as const;

async function tradeOne(
  lane: Lane,
  id: Buffer,
  i: number,
  bigCart: Record<string, number>,
): Promise<void> {
  const way = WAYS[i % WAYS.length];
  const cart = i % 11 === 0 ? bigCart : { 'A@south/web,north': 3, 'B@north': 2 };
  const done = async (operation: Operation): Promise<void> => {
    const answer = await submit(lane, operation);
    const isFine = /^(created|extended|released|committed|shipped|cancelled)$/.test(answer.outcome);
    if (!isFine) throw new Error(`${way} ${i}: ${answer.outcome}`);
  };
  const first = i % 11 === 0 ? 'BIG-0' : 'B';
  await done(reserve(id, cart, { ttlS: 600 + i }));
  if (way === 'hold') return;
  if (way === 'extend') return done({ kind: 'extend', id, ttlS: 3_000 });
  if (way === 'release') return done(settle('release', id));
  if (way === 'part') {
    await done(settle('release', id, { [first]: 1 }, { operationKey: randomBytes(8) }));
    return done(settle('commit', id, { [first]: 1 }, { commitFingerprint: 77 }));
  }
  await done(settle('commit', id));
  if (way === 'commit') return;
  if (way === 'close') return done(settle(i % 16 === 7 ? 'ship' : 'cancel', id));
  const kind = way === 'ship' ? 'ship' : 'cancel';
  return done(settle(kind, id, { [first]: 1 }, { operationKey: randomBytes(8) }));
}
