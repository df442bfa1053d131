/** What an extend, a stock operation and a look must come to. */
import type { ExtendAsk, LookAsk, Reply, StockAsk } from './ask.ts';
import { must, mustShow } from './check.ts';
import type { Shop } from './shop.ts';
import { HOLD_AGE_MAX_S } from './shop.ts';

const TOO_LATE = {
  committed: 'already_committed',
  released: 'already_released',
  expired: 'expired',
  closed: 'already_closed',
} as const;

export function judgeExtend(shop: Shop, ask: ExtendAsk, reply: Reply): void {
  const booking = shop.bookings.get(ask.id);
  if (booking === undefined) {
    must(reply, 404, 'not_found');
    return;
  }
  if (booking.state !== 'held') {
    must(reply, 409, TOO_LATE[booking.state]);
    return;
  }
  const latest = booking.createdS + HOLD_AGE_MAX_S;
  const wanted = Math.min(shop.nowS + ask.ttlS, latest);
  if (booking.deadlineS >= latest) must(reply, 409, 'extend_limit_reached');
  // Within the same coarse instant either may be a second later.
  else if (wanted === booking.deadlineS) must(reply, 200, undefined, reply.replayed);
  else must(reply, 200, undefined, wanted < booking.deadlineS);
  if (reply.status === 200) mustShow(booking, reply);
  booking.deadlineS = Math.max(booking.deadlineS, wanted);
}

export function judgeStock(shop: Shop, ask: StockAsk, reply: Reply): void {
  const body = JSON.stringify([ask.verb, ask.lines]);
  const done = ask.key === undefined ? undefined : shop.operations.get(ask.key);
  if (ask.lines.some(({ warehouse }) => !shop.warehouses.has(warehouse))) {
    must(reply, 404, 'unknown_warehouse');
    return;
  }
  if (done !== undefined && shop.remembers(done.day)) {
    if (done.body === body) must(reply, 200, undefined, true);
    else must(reply, 422, 'exists_with_different_payload');
    return;
  }
  if (ask.lines.some(({ sku }) => !shop.skus.has(sku))) {
    must(reply, 404, 'unknown_sku');
    return;
  }
  const after = new Map<string, number>();
  for (const { sku, warehouse, delta } of ask.lines) {
    const cell = `${sku}@${warehouse}`;
    const available = after.get(cell) ?? shop.balances.get(cell)?.available ?? 0;
    if (available + delta < 0) {
      must(reply, 409, 'insufficient');
      return;
    }
    after.set(cell, available + delta);
  }
  must(reply, 200, undefined);
  for (const [cell, available] of after) {
    const { reserved = 0, allocated = 0 } = shop.balances.get(cell) ?? {};
    shop.balances.set(cell, { available, reserved, allocated });
  }
  if (ask.key !== undefined) shop.operations.set(ask.key, { body, day: shop.day });
}

export function judgeLook(shop: Shop, ask: LookAsk, reply: Reply): void {
  const booking = shop.bookings.get(ask.id);
  if (booking === undefined) {
    must(reply, 404, 'not_found');
    return;
  }
  must(reply, 200, undefined);
  mustShow(booking, reply);
}
