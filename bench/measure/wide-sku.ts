/**
 * A SKU that stands in very many warehouses: its hash is no listpack any more, and a reserve that
 * names no warehouse reads all of it, once a batch.
 */
import type { Redis } from 'ioredis';
import type { CellField } from '../../engine/domain/ids.ts';
import { footprintBytes } from './footprint.ts';
import { openEmptyLane } from './lane-driver.ts';
import { type LaneSession, reserveOperation } from './lane-session.ts';
import { skuName, warehouseName } from './names.ts';
import { readRedis } from './redis-cpu.ts';
import { timeScripts } from './script-times.ts';

export interface WideCost {
  readonly what: string;
  /** CPU of Redis for a batch, which is one script. */
  readonly cpuUs: number;
  /** Of the script, by the clock. */
  readonly longestUs: number;
}

export interface WideSku {
  readonly warehouses: number;
  readonly bytesPerCell: number;
  readonly costs: readonly WideCost[];
  /** Units. */
  readonly received: number;
  readonly sold: number;
  readonly available: number;
  readonly reserved: number;
}

const SKU = skuName('WIDE', 0);
const UNITS = 1_000;
const CELLS_AT_ONCE = 2_000;
const BATCH = 128;
/** Warehouses that a ranked list names; 255 are the most. */
const RANKED = [10, 255] as const;
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
  const cost = async (
    what: string,
    batch: number,
    named: readonly CellField[],
  ): Promise<WideCost> => {
    const before = await readRedis(redis);
    const { longestUs } = await timeScripts(redis, 0, async () => {
      // One batch at a time: what is timed is a script, not a queue.
      for (let i = 0; i < batches; i++) await sellBatch(session, batch, named);
    });
    const after = await readRedis(redis);
    sold += batch * batches;
    return { what, cpuUs: (after.cpuUs - before.cpuUs) / batches, longestUs };
  };
  const costs = [
    await cost('one reserve that names one warehouse', 1, [warehouseName(0)]),
    await cost('one reserve that names none', 1, []),
    await cost(`${BATCH} reserves that name none`, BATCH, []),
  ];
  for (const ranked of RANKED) {
    const named = fields.slice(0, ranked);
    costs.push(await cost(`${BATCH} reserves, ${named.length} warehouses ranked`, BATCH, named));
  }
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
): Promise<void> {
  return session.submit({
    count,
    wanted: 'created',
    operation: () => reserveOperation(session.makeId(), SKU, named, TTL_S),
  });
}
