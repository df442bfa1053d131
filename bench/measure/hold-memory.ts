/** Live reservations in Redis, then their tombstones: how many bytes each takes. */
import type { Redis } from 'ioredis';
import type { Sku } from '../../engine/domain/ids.ts';
import { laneKeys } from '../../engine/redis/keys.ts';
import type { ReserveOperation } from '../../engine/redis/operation.ts';
import { type Anatomy, anatomyOf, dropDeadlines, footprintBytes, trimLog } from './footprint.ts';
import { openEmptyLane } from './lane-driver.ts';
import { type IdKind, nextId, reserveOperation } from './lane-session.ts';
import { skuNames, warehouseName } from './names.ts';

export interface HoldMemory {
  readonly kind: IdKind;
  readonly live: number;
  /** With the reference by which it expires. */
  readonly bytesLive: number;
  /** Settled before its deadline: the tombstone, and the reference, which waits for the deadline. */
  readonly bytesSettled: number;
  readonly bytesTombstone: number;
  /** Of the tombstones' buckets. */
  readonly anatomy: Anatomy;
  /** Units, while all were live and when all were released. */
  readonly reserved: number;
  readonly reservedAfter: number;
}

const SKUS = 200;
const BATCH = 512;
/** Deadlines are spread over as long, seconds. */
const TTL_S = 600;
/** Holds of one second: as many as came within it, in one batch. */
const OF_ONE_SECOND = 128;
/** The log of so many stands beside them until it is trimmed. */
const SLICE = 100_000;

/** The Redis is emptied. */
export async function measureHolds(
  redis: Redis,
  kind: IdKind,
  live: number,
  say: (what: string) => void,
): Promise<HoldMemory> {
  const session = await openEmptyLane(redis, { batch: BATCH });
  const skus = skuNames(kind.toUpperCase(), SKUS);
  await session.define(skus);
  await session.receive(skus.map((sku) => ({ sku, field: warehouseName(0), units: live })));
  const ids = Array.from({ length: live }, (_, i) => nextId(session, kind, i));
  const empty = await footprintBytes(redis);
  const bytesEach = async (): Promise<number> => ((await footprintBytes(redis)) - empty) / live;
  say(`${live.toLocaleString('en')} live reservations, ids ${kind}`);
  await inSlices(redis, ids, (some, from) =>
    session.submit({
      count: some.length,
      wanted: 'created',
      operation: (i) => reserve(idAt(some, i), from + i, skus),
    }),
  );
  const bytesLive = await bytesEach();
  const { reserved } = await session.balances(skus);
  say('releasing them');
  await inSlices(redis, ids, (some) =>
    session.submit({
      count: some.length,
      wanted: 'released',
      operation: (i) => ({ kind: 'release', id: idAt(some, i), attributes: '' }),
    }),
  );
  const bytesSettled = await bytesEach();
  await dropDeadlines(redis);
  const bytesTombstone = await bytesEach();
  const anatomy = await anatomyOf(redis, `${laneKeys(session.lane.number).prefix}hold:`);
  const { reserved: reservedAfter } = await session.balances(skus);
  return { kind, live, bytesLive, bytesSettled, bytesTombstone, anatomy, reserved, reservedAfter };
}

function reserve(id: Buffer, index: number, skus: readonly Sku[]): ReserveOperation {
  const sku = skus[index % skus.length] ?? ('' as Sku);
  const ttlS = TTL_S + (Math.floor(index / OF_ONE_SECOND) % TTL_S);
  return reserveOperation(id, sku, [warehouseName(0)], ttlS);
}

async function inSlices(
  redis: Redis,
  ids: readonly Buffer[],
  work: (some: readonly Buffer[], from: number) => Promise<void>,
): Promise<void> {
  for (let from = 0; from < ids.length; from += SLICE) {
    await work(ids.slice(from, from + SLICE), from);
    await trimLog(redis);
  }
}

function idAt(ids: readonly Buffer[], index: number): Buffer {
  const id = ids[index];
  if (id === undefined) throw new RangeError(`there is no id ${index}`);
  return id;
}
