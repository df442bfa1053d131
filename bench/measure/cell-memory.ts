/** A catalogue in Redis: how many bytes each of its cells takes. */
import type { Redis } from 'ioredis';
import type { Sku } from '../../engine/domain/ids.ts';
import { laneKeys } from '../../engine/redis/keys.ts';
import { type Anatomy, anatomyOf, footprintBytes, trimLog } from './footprint.ts';
import { openEmptyLane } from './lane-driver.ts';
import type { LaneSession } from './lane-session.ts';
import { skuNames, warehouseName } from './names.ts';

export interface CatalogueSize {
  readonly skus: number;
  /** In which each SKU stands. */
  readonly warehouses: number;
}

export interface CellMemory {
  readonly cells: number;
  readonly bytesPerCell: number;
  readonly anatomy: Anatomy;
  /** Units. */
  readonly received: number;
  readonly available: number;
}

/** SKUs that one receive fills: 2,000 cells of 50 warehouses, some milliseconds of Redis. */
const SKUS_AT_ONCE = 40;
const RECEIVES_IN_FLIGHT = 3;
const TRIMS = 10;

/** The Redis is emptied. `random`: numbers in [0, 1). */
export async function measureCells(
  redis: Redis,
  { skus, warehouses }: CatalogueSize,
  random: () => number,
  say: (what: string) => void,
): Promise<CellMemory> {
  const session = await openEmptyLane(redis, { batch: 1 });
  const names = skuNames('CELL', skus);
  const before = await footprintBytes(redis);
  let received = 0;
  let at = 0;
  const fill = async (): Promise<void> => {
    while (at < names.length) {
      const some = names.slice(at, at + SKUS_AT_ONCE);
      const isMark = at % Math.ceil(names.length / TRIMS) < SKUS_AT_ONCE;
      at += some.length;
      if (isMark) {
        say(`${(at * warehouses).toLocaleString('en')} of ${skus * warehouses} cells`);
        await trimLog(redis);
      }
      const units = await receiveEverywhere(session, some, warehouses, random);
      received += units;
    }
  };
  await Promise.all(Array.from({ length: RECEIVES_IN_FLIGHT }, fill));
  const bytes = (await footprintBytes(redis)) - before;
  const { available } = await session.balances(names);
  const cells = skus * warehouses;
  const anatomy = await anatomyOf(redis, laneKeys(session.lane.number).stock('CELL-'));
  return { cells, bytesPerCell: bytes / cells, anatomy, received, available };
}

async function receiveEverywhere(
  session: LaneSession,
  skus: readonly Sku[],
  warehouses: number,
  random: () => number,
): Promise<number> {
  const lines = skus.flatMap((sku) =>
    Array.from({ length: warehouses }, (_, i) => ({
      sku,
      field: warehouseName(i),
      units: unitsFrom(random),
    })),
  );
  await session.define(skus);
  await session.receive(lines);
  return lines.reduce((sum, { units }) => sum + units, 0);
}

/** As shelves are: mostly some dozens, here and there thousands. */
function unitsFrom(random: () => number): number {
  return 1 + Math.floor(random() * (random() < 0.7 ? 100 : 20_000));
}
