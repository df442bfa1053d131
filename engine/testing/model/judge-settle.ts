/** What a commit, release, cancel or ship must come to. */
import type { HeldUnits, NamedUnits, Reply, SettleAsk } from './ask.ts';
import { must, mustShow } from './check.ts';
import { isTooOld } from './judge-reserve.ts';
import type { Booking, Shop } from './shop.ts';
import { Disagreement } from './shop.ts';

/** The lines as a set: same place, one line; those that insist on a warehouse first. */
function merge(lines: readonly NamedUnits[]): NamedUnits[] {
  const merged = new Map<string, NamedUnits>();
  for (const line of lines) {
    const place = `${line.warehouse === undefined ? 1 : 0} ${line.sku} ${line.warehouse ?? ''}`;
    const before = merged.get(place)?.quantity ?? 0;
    merged.set(place, { ...line, quantity: before + line.quantity });
  }
  return [...merged.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => line);
}

/** What two settlements have in common that name the same units. */
function nameLines(lines: readonly NamedUnits[] | undefined): string {
  if (lines === undefined) return 'all';
  return lines.map(({ sku, warehouse = '', quantity }) => `${quantity} ${sku}@${warehouse}`).join();
}

const VERB_NEEDS = {
  commit: 'held',
  release: 'held',
  cancel: 'committed',
  ship: 'committed',
} as const;

export function judgeSettle(shop: Shop, ask: SettleAsk, reply: Reply): void {
  const lines = ask.lines === undefined ? undefined : merge(ask.lines);
  const named = nameLines(lines);
  const isKeyed = lines !== undefined && ask.verb !== 'commit';
  if (isKeyed && ask.key === undefined) {
    must(reply, 400, 'idempotency_key_required');
    return;
  }
  const booking = shop.bookings.get(ask.id);
  if (mayTakeAgain(shop, ask, booking) && lines !== undefined) {
    takeAgain(shop, ask, booking, lines, reply);
    return;
  }
  if (booking === undefined) {
    must(reply, 404, 'not_found');
    return;
  }
  const key = isKeyed ? ask.key : undefined;
  const before = key === undefined ? undefined : booking.settled.get(key);
  const remembersKeys = booking.state !== 'released' && booking.state !== 'expired';
  if (before !== undefined && remembersKeys) {
    if (before === `${ask.verb} ${named}`) {
      must(reply, 200, undefined, true);
      mustShow(booking, reply);
    } else must(reply, 422, 'exists_with_different_payload');
    return;
  }
  if (booking.state !== VERB_NEEDS[ask.verb]) {
    judgeLate(booking, ask, named, reply);
    return;
  }
  const takes = take(booking.units, lines);
  if (takes === undefined) {
    must(reply, 422, 'exceeds_reservation');
    return;
  }
  must(reply, 200, undefined);
  apply(shop, booking, ask, takes);
  if (ask.verb === 'commit') booking.committedAs = named;
  if (key !== undefined) booking.settled.set(key, `${ask.verb} ${named}`);
  // A record that was only in the archive is written anew, and remembered from today on.
  if (!shop.remembers(booking.day)) booking.day = shop.day;
  mustShow(booking, reply);
}

/** Another settlement has won, or this one was asked before. */
function judgeLate(booking: Booking, ask: SettleAsk, named: string, reply: Reply): void {
  const isReplay =
    (ask.verb === 'commit' && booking.committedAs === named) ||
    (ask.verb === 'release' && booking.state === 'released') ||
    (ask.lines === undefined && ask.verb === booking.closedBy);
  if (isReplay) {
    must(reply, 200, undefined, true);
    mustShow(booking, reply);
    return;
  }
  const code = {
    held: 'not_committed',
    committed: 'already_committed',
    released: 'already_released',
    expired: 'expired',
    closed: 'already_closed',
  }[booking.state];
  must(reply, 409, code);
}

interface Take {
  readonly held: HeldUnits;
  readonly units: number;
}

/** Units by placement, in their order; undefined: more than there is. */
function take(
  placed: readonly HeldUnits[],
  lines: readonly NamedUnits[] | undefined,
): Take[] | undefined {
  const takes = placed.map((held) => ({ held, units: lines === undefined ? held.units : 0 }));
  for (const { sku, warehouse, quantity } of lines ?? []) {
    let left = quantity;
    for (const each of takes) {
      const { held } = each;
      if (held.sku !== sku || (warehouse !== undefined && held.warehouse !== warehouse)) continue;
      const units = Math.min(left, held.units - each.units);
      each.units += units;
      left -= units;
    }
    if (left > 0) return undefined;
  }
  return takes;
}

function apply(shop: Shop, booking: Booking, ask: SettleAsk, takes: readonly Take[]): void {
  for (const { held, units } of takes) {
    const { verb } = ask;
    if (verb === 'commit') {
      shop.move(held, 'reserved', 'allocated', units);
      shop.move(held, 'reserved', 'available', held.units - units);
      held.units = units;
      continue;
    }
    if (verb === 'release') shop.move(held, 'reserved', 'available', units);
    else shop.move(held, 'allocated', verb === 'cancel' ? 'available' : undefined, units);
    held.units -= units;
  }
  booking.units = booking.units.filter((held) => held.units > 0);
  if (ask.verb === 'commit') booking.state = 'committed';
  else if (booking.units.length === 0) end(booking, ask.verb);
}

function end(booking: Booking, verb: 'release' | 'cancel' | 'ship'): void {
  booking.state = verb === 'release' ? 'released' : 'closed';
  if (verb !== 'release') booking.closedBy = verb;
  if (booking.state === 'closed' && booking.committedAs === undefined) {
    throw new Disagreement('it was closed and never committed');
  }
}

/** A commit that repeats its lines and the hold's epoch need not fail because the hold is gone. */
function mayTakeAgain(shop: Shop, ask: SettleAsk, booking: Booking | undefined): boolean {
  if (ask.verb !== 'commit' || ask.holdEpoch === undefined) return false;
  if (booking !== undefined) return booking.state === 'expired';
  return ask.holdEpoch < shop.epoch && !isTooOld(shop, ask.id);
}

function takeAgain(
  shop: Shop,
  ask: SettleAsk,
  before: Booking | undefined,
  lines: readonly NamedUnits[],
  reply: Reply,
): void {
  const units = lines.map(({ sku, warehouse = '', quantity }, line) => {
    return { line, sku, warehouse, units: quantity };
  });
  const isThere = units.every(({ sku, warehouse, units: count }) => {
    return (shop.balance(sku, warehouse)?.available ?? 0) >= count;
  });
  if (!isThere) {
    must(reply, 409, 'hold_lost');
    return;
  }
  must(reply, 200, undefined);
  for (const each of units) shop.move(each, 'available', 'allocated', each.units);
  const isRemembered = before !== undefined && shop.remembers(before.day);
  const booking: Booking = {
    id: ask.id,
    // Nobody knows any more what the cart of a lost hold said: no reserve repeats it.
    body: before?.body ?? 'lost',
    state: 'committed',
    createdS: shop.nowS,
    deadlineS: 0,
    units,
    committedAs: nameLines(lines),
    closedBy: undefined,
    settled: new Map(),
    day: isRemembered ? before.day : shop.day,
    epoch: ask.holdEpoch ?? 0,
  };
  mustShow(booking, reply);
  shop.bookings.set(ask.id, booking);
  shop.lost.delete(ask.id);
}
