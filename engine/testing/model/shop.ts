/**
 * An independent model of one shop: what an engine must answer, and what then stands where. It is
 * written from the design's words, knows no bytes, no lanes and no stores, and shares no code with
 * the engine. Where the design leaves a choice (which warehouse serves a line that names none), the
 * model takes the engine's choice and checks that it was allowed.
 *
 * Time is coarse. Holds live k * 1000 + 500 seconds and time jumps by whole thousands, so that a
 * deadline is never near now, however long the test itself takes.
 */
import type { Ask, ExtendAsk, LookAsk, Reply, ReserveAsk, SettleAsk, StockAsk } from './ask.ts';
import { judgeReserve } from './judge-reserve.ts';
import { judgeSettle } from './judge-settle.ts';

export interface Balance {
  available: number;
  reserved: number;
  allocated: number;
}

export interface HeldUnits {
  readonly line: number;
  readonly sku: string;
  readonly warehouse: string;
  units: number;
}

export type State = 'held' | 'committed' | 'released' | 'expired' | 'closed';

export interface Booking {
  readonly id: string;
  /** What a repeat must repeat. */
  readonly body: string;
  state: State;
  readonly createdS: number;
  deadlineS: number;
  units: HeldUnits[];
  /** The lines that the commit named, as text; undefined before. */
  committedAs: string | undefined;
  closedBy: 'cancel' | 'ship' | undefined;
  /** What was asked under each key of a partial settlement. */
  readonly settled: Map<string, string>;
  /** Day under which the record is remembered; after the next one it is only in the archive. */
  day: number;
}

/** The engine did what the model does not allow. */
export class Disagreement extends Error {
  override readonly name = 'Disagreement';
}

export const DAY_S = 86_400;
/** No extension moves a deadline further than this from the reserve. */
export const HOLD_AGE_MAX_S = 5_500;

export class Shop {
  readonly warehouses: ReadonlySet<string>;
  readonly skus: ReadonlySet<string>;
  readonly balances = new Map<string, Balance>();
  readonly bookings = new Map<string, Booking>();
  readonly operations = new Map<string, { readonly body: string; readonly day: number }>();
  /** The reservation that each Idempotency-Key stands for, once an engine has told. */
  readonly keys = new Map<string, string>();
  nowS: number;

  constructor(skus: Iterable<string>, warehouses: Iterable<string>, nowS: number) {
    this.skus = new Set(skus);
    this.warehouses = new Set(warehouses);
    this.nowS = nowS;
  }

  clone(): Shop {
    const copy = new Shop(this.skus, this.warehouses, this.nowS);
    for (const [cell, balance] of this.balances) copy.balances.set(cell, { ...balance });
    for (const [id, booking] of this.bookings) {
      const units = booking.units.map((held) => ({ ...held }));
      copy.bookings.set(id, { ...booking, units, settled: new Map(booking.settled) });
    }
    for (const [key, done] of this.operations) copy.operations.set(key, done);
    for (const [key, id] of this.keys) copy.keys.set(key, id);
    return copy;
  }

  /** Becomes the other shop. */
  adopt(other: Shop): void {
    this.balances.clear();
    this.bookings.clear();
    this.operations.clear();
    this.keys.clear();
    for (const [cell, balance] of other.balances) this.balances.set(cell, balance);
    for (const [id, booking] of other.bookings) this.bookings.set(id, booking);
    for (const [key, done] of other.operations) this.operations.set(key, done);
    for (const [key, id] of other.keys) this.keys.set(key, id);
    this.nowS = other.nowS;
  }

  /** Under which id the reply speaks of the reservation; a key always stands for the same. */
  idOf(ask: ReserveAsk, reply: Reply): string {
    if ('id' in ask.by) return ask.by.id;
    const told = String(reply.body.reservation_id ?? '');
    if ('fresh' in ask.by) {
      if (this.bookings.has(told)) throw new Disagreement(`expected a new id, not ${told}`);
      return told;
    }
    const known = this.keys.get(ask.by.key) ?? told;
    if (told !== known) throw new Disagreement(`expected key ${ask.by.key} to stand for ${known}`);
    this.keys.set(ask.by.key, known);
    return known;
  }

  get day(): number {
    return Math.floor(this.nowS / DAY_S);
  }

  /** A record of today or yesterday is known to a retry. */
  remembers(day: number): boolean {
    return this.day - day <= 1;
  }

  balance(sku: string, warehouse: string): Balance | undefined {
    return this.balances.get(`${sku}@${warehouse}`);
  }

  /** Units move between two balances of a cell; undefined: in from, or out of, the building. */
  move(
    cell: { readonly sku: string; readonly warehouse: string },
    from: keyof Balance | undefined,
    to: keyof Balance | undefined,
    units: number,
  ): void {
    const balance = this.balance(cell.sku, cell.warehouse);
    if (balance === undefined) throw new Disagreement(`${cell.sku}@${cell.warehouse} has no stock`);
    if (from !== undefined) balance[from] -= units;
    if (to !== undefined) balance[to] += units;
    if (Math.min(balance.available, balance.reserved, balance.allocated) < 0) {
      throw new Disagreement(`${cell.sku}@${cell.warehouse} would go below zero`);
    }
  }

  /** Lane time moves on, and the sweeper has been everywhere. */
  pass(seconds: number): void {
    this.nowS += seconds;
    for (const booking of this.bookings.values()) {
      if (booking.state !== 'held' || booking.deadlineS > this.nowS) continue;
      for (const held of booking.units) this.move(held, 'reserved', 'available', held.units);
      booking.state = 'expired';
      booking.units = [];
    }
  }

  /** Checks the reply and does what it says; throws Disagreement, and is then of no more use. */
  judge(ask: Ask, reply: Reply): void {
    switch (ask.kind) {
      case 'reserve':
        judgeReserve(this, ask satisfies ReserveAsk, reply);
        return;
      case 'settle':
        judgeSettle(this, ask satisfies SettleAsk, reply);
        return;
      case 'extend':
        judgeExtend(this, ask, reply);
        return;
      case 'stock':
        judgeStock(this, ask, reply);
        return;
      case 'look':
        judgeLook(this, ask, reply);
    }
  }
}

/** Throws unless the reply is the expected one. */
export function must(
  reply: Reply,
  status: number,
  code: string | undefined,
  replayed = false,
): void {
  if (reply.status === status && reply.code === code && reply.replayed === replayed) return;
  const expected = `${status} ${code ?? 'success'}${replayed ? ' (replayed)' : ''}`;
  throw new Disagreement(`expected ${expected}`);
}

/** The reply shows the reservation as it is. */
export function mustShow(booking: Booking, reply: Reply): void {
  const { status, lines } = reply.body;
  if (status !== booking.state) throw new Disagreement(`expected it to be ${booking.state}`);
  const shown = showUnits(readUnits(lines));
  const units = showUnits(booking.units);
  if (shown !== units) throw new Disagreement(`expected its units to be ${units || 'none'}`);
}

export function showUnits(units: readonly HeldUnits[]): string {
  return units
    .filter((held) => held.units > 0)
    .map(({ line, sku, warehouse, units: count }) => `line ${line}: ${count} ${sku}@${warehouse}`)
    .sort()
    .join(', ');
}

/** The placements that a reply shows. */
export function readUnits(lines: unknown): HeldUnits[] {
  if (!Array.isArray(lines)) throw new Disagreement('expected lines');
  return lines.flatMap((each: ShownLine) =>
    each.placements.map(({ warehouse_id: warehouse, quantity: units }) => {
      return { line: each.line, sku: each.sku_id, warehouse, units };
    }),
  );
}

interface ShownLine {
  readonly line: number;
  readonly sku_id: string;
  readonly placements: readonly { readonly warehouse_id: string; readonly quantity: number }[];
}

const TOO_LATE = {
  committed: 'already_committed',
  released: 'already_released',
  expired: 'expired',
  closed: 'already_closed',
} as const;

function judgeExtend(shop: Shop, ask: ExtendAsk, reply: Reply): void {
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

function judgeStock(shop: Shop, ask: StockAsk, reply: Reply): void {
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

function judgeLook(shop: Shop, ask: LookAsk, reply: Reply): void {
  const booking = shop.bookings.get(ask.id);
  if (booking === undefined) {
    must(reply, 404, 'not_found');
    return;
  }
  must(reply, 200, undefined);
  mustShow(booking, reply);
}
