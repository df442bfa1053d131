/**
 * The scripts that have most to do for each operation: carts of several lines, as many as there is
 * room for in one, and a slice of the sweeper that gives such carts back.
 */
import type { Redis } from 'ioredis';
import { SCRIPT_WORK_MAX } from '../../engine/domain/script-limits.ts';
import type { ReserveOperation } from '../../engine/redis/operation.ts';
import { SLICE_WORK } from '../../engine/reservations/sweeper.ts';
import { openEmptyLane } from './lane-driver.ts';
import { type LaneSession, reserveOperation } from './lane-session.ts';
import { skuName, skuNames, warehouseName } from './names.ts';
import { costOfScript, type ScriptCost } from './script-cost.ts';

export interface CartScripts {
  readonly costs: readonly ScriptCost[];
  /** Units of accepted carts, and what the lane says of them before and after all have expired. */
  readonly sold: number;
  readonly reserved: number;
  readonly reservedAfter: number;
}

const CART_LINES = 8;
/** As many as one script has room for (operation-weight.ts). */
const CARTS = Math.floor(SCRIPT_WORK_MAX / (2 + 2 * CART_LINES));
/** The default of HOLDFAST_BATCH_OPERATIONS: their work is the bound. */
const BATCH = 512;
const PREFIX = 'CART';
const SKUS = 1_000;
const UNITS = 1_000_000;
const TTL_S = 60;
/** The lane's clock is moved beyond the deadline, by more than its grace. */
const LATER_MS = 100_000;

/** The Redis is emptied. */
export async function measureCarts(redis: Redis, batches: number): Promise<CartScripts> {
  const session = await openEmptyLane(redis, { batch: BATCH });
  const skus = skuNames(PREFIX, SKUS);
  const field = warehouseName(0);
  await session.define(skus);
  await session.receive(skus.map((sku) => ({ sku, field, units: UNITS })));
  let next = 0;
  const cart = (): ReserveOperation => {
    const from = next;
    next += CART_LINES;
    const lines = Array.from({ length: CART_LINES }, (_, i) => ({
      ...{ sku: skuName(PREFIX, (from + i) % SKUS), quantity: 1, fields: [field] },
    }));
    return { ...reserveOperation(session.makeId(), skuName(PREFIX, from), [field], TTL_S), lines };
  };
  const sell = (): Promise<void> =>
    session.submit({ count: CARTS, wanted: 'created', operation: cart });
  const what = `${CARTS} carts of ${CART_LINES} lines`;
  const costs = [await costOfScript(redis, what, batches, sell)];
  const { reserved } = await session.balances(skus);
  await redis.hincrby('hf:{0}:meta', 'offset', LATER_MS);
  let isMore = true;
  const expire = async (): Promise<void> => {
    if (isMore) isMore = await expireSlice(session);
  };
  const slice = `a slice of expiry, carts of ${CART_LINES} lines`;
  costs.push(await costOfScript(redis, slice, batches, expire));
  while (isMore) isMore = await expireSlice(session);
  const { reserved: reservedAfter } = await session.balances(skus);
  return { costs, sold: next, reserved, reservedAfter };
}

/** Whether more is due. */
async function expireSlice({ lane }: LaneSession): Promise<boolean> {
  const answer = await lane.expire(SLICE_WORK);
  if (answer.outcome !== 'expired') throw new Error(`the lane answered ${answer.outcome}`);
  return answer.more;
}
