/** What a reserve may come to: which outcome, and whether the units that it took were there. */
import type { HeldUnits, Item, Reply, ReserveAsk } from './ask.ts';
import { textOf } from './ask.ts';
import { must, mustShow, readUnits } from './check.ts';
import type { Booking, Shop } from './shop.ts';
import { DAY_S, Disagreement } from './shop.ts';

/** Same wish, same line: its quantities add up, in the place of the first. */
function merge(items: readonly Item[]): Item[] {
  const merged = new Map<string, Item>();
  for (const item of items) {
    const wish = JSON.stringify([item.sku, item.warehouses]);
    const before = merged.get(wish)?.quantity ?? 0;
    merged.set(wish, { ...item, quantity: before + item.quantity });
  }
  return [...merged.values()];
}

export function judgeReserve(shop: Shop, ask: ReserveAsk, reply: Reply): void {
  const lines = merge(ask.items);
  const body = JSON.stringify([lines, ask.partial, ask.split, ask.ttlS]);
  const id = idOf(shop, ask, reply);
  const booking = shop.bookings.get(id);
  if (isTooOld(shop, id)) {
    must(reply, 422, 'id_expired');
    return;
  }
  if (booking !== undefined && shop.remembers(booking.day)) {
    if (booking.body !== body) {
      must(reply, 422, 'exists_with_different_payload');
      return;
    }
    must(reply, 200, undefined, true);
    mustShow(booking, reply);
    return;
  }
  const refusal = refusalOf(shop, lines);
  const verdict = verdictOf(shop, ask, lines);
  // What a partial cart cannot have at an unknown warehouse does not keep it from having the rest.
  const isServed = ask.partial && refusal === 'unknown_warehouse' && verdict === 'created';
  if (refusal !== undefined && !isServed) {
    must(reply, 404, refusal);
    return;
  }
  if (verdict === 'insufficient' || (verdict === 'either' && reply.code === 'insufficient')) {
    must(reply, 409, 'insufficient');
    return;
  }
  must(reply, 201, undefined);
  book(shop, ask, lines, { id, body }, reply);
}

/** Under which id the reply speaks of the reservation; a key always stands for the same. */
function idOf(shop: Shop, ask: ReserveAsk, reply: Reply): string {
  if ('id' in ask.by) return ask.by.id;
  const told = textOf(reply.body.reservation_id) ?? '';
  if ('fresh' in ask.by) {
    if (shop.bookings.has(told) || shop.lost.has(told))
      throw new Disagreement(`expected a new id, not ${told}`);
    return told;
  }
  const known = shop.keys.get(ask.by.key) ?? told;
  if (told !== known) throw new Disagreement(`expected key ${ask.by.key} to stand for ${known}`);
  shop.keys.set(ask.by.key, known);
  return known;
}

/** An id that an engine made tells its age; after a day a retry cannot be told from a new wish. */
export function isTooOld(shop: Shop, id: string): boolean {
  if (!id.startsWith('hf_')) return false;
  const [day = 0, ms = 0] = [id.slice(3, 7), id.slice(7, 15)].map((hex) =>
    Number.parseInt(hex, 16),
  );
  const madeS = day * DAY_S + ms / 1000;
  return shop.nowS - madeS >= DAY_S;
}

function refusalOf(shop: Shop, lines: readonly Item[]): string | undefined {
  if (lines.some(({ sku }) => !shop.skus.has(sku))) return 'unknown_sku';
  // A line that lists several warehouses is served by those that are known.
  const isLost = ({ sku, warehouses }: Item) =>
    warehouses.some((warehouse) => !shop.warehouses.has(warehouse)) &&
    warehouses.every((warehouse) => shop.balance(sku, warehouse) === undefined);
  return lines.some(isLost) ? 'unknown_warehouse' : undefined;
}

/** Units of the SKU at the places that the line may be served from. */
function unitsFor(shop: Shop, { sku, warehouses }: Item): number[] {
  const from = warehouses.length === 0 ? [...shop.warehouses] : warehouses;
  return from.map((warehouse) => shop.balance(sku, warehouse)?.available ?? 0);
}

/** What the line can have when it is alone with its SKU. */
function most(shop: Shop, ask: ReserveAsk, line: Item): number {
  const units = unitsFor(shop, line);
  const there = ask.split ? units.reduce((sum, each) => sum + each, 0) : Math.max(0, ...units);
  return Math.min(line.quantity, there);
}

type Verdict = 'created' | 'insufficient' | 'either';

/**
 * Two lines of one SKU may stand in each other's way, depending on where the first is served from:
 * then both outcomes are allowed, and what was taken is still checked.
 */
function verdictOf(shop: Shop, ask: ReserveAsk, lines: readonly Item[]): Verdict {
  const skus = new Set(lines.map(({ sku }) => sku));
  const got = lines.map((line) => most(shop, ask, line));
  if (ask.partial) return got.some((units) => units > 0) ? 'created' : 'insufficient';
  if (got.some((units, i) => units < (lines[i]?.quantity ?? 0))) return 'insufficient';
  return skus.size === lines.length ? 'created' : 'either';
}

function book(
  shop: Shop,
  ask: ReserveAsk,
  lines: readonly Item[],
  made: { readonly id: string; readonly body: string },
  reply: Reply,
): void {
  const units = readUnits(reply.body.lines);
  checkPlacements(shop, ask, lines, units);
  for (const held of units) shop.move(held, 'available', 'reserved', held.units);
  const booking: Booking = {
    ...made,
    state: 'held',
    createdS: shop.nowS,
    deadlineS: shop.nowS + ask.ttlS,
    units,
    committedAs: undefined,
    closedBy: undefined,
    settled: new Map(),
    day: shop.day,
    epoch: Number(reply.body.epoch),
  };
  mustShow(booking, reply);
  shop.bookings.set(made.id, booking);
}

function checkPlacements(
  shop: Shop,
  ask: ReserveAsk,
  lines: readonly Item[],
  units: readonly HeldUnits[],
): void {
  const isAlone = new Set(lines.map(({ sku }) => sku)).size === lines.length;
  lines.forEach((line, index) => {
    const placed = units.filter((held) => held.line === index);
    const got = placed.reduce((sum, held) => sum + held.units, 0);
    const wanted = ask.partial ? most(shop, ask, line) : line.quantity;
    if (isAlone ? got !== wanted : got > wanted) {
      throw new Disagreement(`expected line ${index} to get ${wanted} units`);
    }
    if (!ask.split && placed.length > 1) {
      throw new Disagreement(`expected line ${index} to come from one warehouse`);
    }
    for (const { sku, warehouse } of placed) {
      const isNamed = line.warehouses.length === 0 || line.warehouses.includes(warehouse);
      if (sku !== line.sku || !isNamed) {
        throw new Disagreement(`expected line ${index} not to come from ${sku}@${warehouse}`);
      }
    }
    if (isAlone) checkRank(shop, line, placed, got);
  });
}

/** Of a ranked list the first warehouse that has all of it serves the line. */
function checkRank(shop: Shop, line: Item, placed: readonly HeldUnits[], got: number): void {
  const first = line.warehouses.find((warehouse) => {
    return (shop.balance(line.sku, warehouse)?.available ?? 0) >= got;
  });
  if (got === 0 || first === undefined) return;
  if (placed.length !== 1 || placed[0]?.warehouse !== first) {
    throw new Disagreement(`expected line ${placed[0]?.line} to come from ${first}`);
  }
}
