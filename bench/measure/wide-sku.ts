/**
 * A SKU that stands in very many warehouses: its hash is no listpack any more, and a reserve that
 * names no warehouse reads all of it, once a batch.
 */
import type { Redis } from 'ioredis';
import type { CellField } from '../../engine/domain/ids.ts';
import { SCRIPT_WORK_MAX } from '../../engine/domain/script-limits.ts';
import { PREFERENCES_MAX } from '../../engine/reservations/policy.ts';
import { footprintBytes } from './footprint.ts';
import { openEmptyLane } from './lane-driver.ts';
import { type LaneSession, reserveOperation } from './lane-session.ts';
import { skuName, warehouseName } from './names.ts';
import { costOfScript, type ScriptCost } from './script-cost.ts';

export interface WideSku {
  readonly warehouses: number;
  readonly bytesPerCell: number;
  readonly costs: readonly ScriptCost[];
  /** Units. */
  readonly received: number;
  readonly sold: number;
  readonly available: number;
  readonly reserved: number;
}

const SKU = skuName('WIDE', 0);
/** More than all batches of a full run take of the ten warehouses that they name. */
const UNITS = 16_000;
const CELLS_AT_ONCE = 2_000;
const BATCH = 128;
/** Warehouses that a ranked list names: several of them, and the most that a request may name. */
const RANKED = [10, PREFERENCES_MAX] as const;
/** Cells that one line is split over: near the 255 that it may be. */
const SPLIT = 250;
const TTL_S = 3_600;

/** The Redis is emptied. `batches` of each kind are timed. */
export async function measureWide(
  redis: Redis,
  warehouses: number,
  batches: number,
): Promise<WideSku> {
  const session = await openEmptyLane(redis, { batch: BATCH });
  await session.define([SKU]);
  const before = await footprintBytes(redis);
  const fields = Array.from({ length: warehouses }, (_, i) => warehouseName(i));
  for (let at = 0; at < warehouses; at += CELLS_AT_ONCE) {
    const some = fields.slice(at, at + CELLS_AT_ONCE);
    await session.receive(some.map((field) => ({ sku: SKU, field, units: UNITS })));
  }
  const bytes = (await footprintBytes(redis)) - before;
  let sold = 0;
  const cost = (what: string, batch: number, named: readonly CellField[]): Promise<ScriptCost> => {
    sold += batch * batches;
    return costOfScript(redis, what, batches, () => sellBatch(session, batch, named));
  };
  const costs = [
    await cost('one reserve that names one warehouse', 1, [warehouseName(0)]),
    await cost('one reserve that names none', 1, []),
    await cost(`${BATCH} reserves that name none`, BATCH, []),
  ];
  for (const ranked of RANKED) {
    const named = fields.slice(0, ranked);
    // As many as one script has room for (operation-weight.ts).
    const batch = Math.min(BATCH, Math.floor(SCRIPT_WORK_MAX / (3 + named.length)));
    costs.push(await cost(`${batch} reserves, ${named.length} warehouses ranked`, batch, named));
  }
  // Once, because it empties what it takes from; of fewer warehouses all but one.
  const split = UNITS * Math.min(SPLIT, warehouses - 1);
  sold += split;
  costs.push(
    await costOfScript(redis, `one line split over ${split / UNITS} warehouses`, 1, () =>
      sellBatch(session, 1, [], split),
    ),
  );
  const balances = await session.balances([SKU]);
  return {
    warehouses,
    bytesPerCell: bytes / warehouses,
    costs,
    received: warehouses * UNITS,
    sold,
    ...balances,
  };
}

function sellBatch(
  session: LaneSession,
  count: number,
  named: readonly CellField[],
  quantity = 1,
): Promise<void> {
  return session.submit({
    count,
    wanted: 'created',
    operation: () => ({
      ...reserveOperation(session.makeId(), SKU, named, TTL_S),
      lines: [{ sku: SKU, quantity, fields: named }],
    }),
  });
}
