/**
 * Asks before it is known what there is to ask for: plain data that fast-check makes and shrinks.
 * A draft names a reservation as "the nth newest"; `fill` makes an ask of it in a run.
 */
import fc from 'fast-check';
import type { Ask, Item, NamedUnits, ReserveAsk, Verb } from './ask.ts';
import type { Run } from './run.ts';
import { WAREHOUSES } from './run.ts';

interface ItemDraft {
  readonly sku: number;
  readonly quantity: number;
  readonly warehouses: readonly string[];
}

interface ReserveDraft {
  readonly kind: 'reserve';
  /** A new id, one of a few keys, one of a few ids of a client, or the nth newest reservation. */
  readonly by: readonly ['fresh' | 'key' | 'id' | 'old', number];
  readonly items: readonly ItemDraft[];
  readonly partial: boolean;
  readonly split: boolean;
  readonly ttlS: number;
}

interface LineDraft {
  /** Which of the reservation's placements. */
  readonly placement: number;
  readonly quantity: number;
  readonly isPlaced: boolean;
}

interface SettleDraft {
  readonly kind: 'settle';
  readonly verb: Verb;
  readonly nth: number;
  readonly lines: readonly LineDraft[] | undefined;
  readonly key: number | undefined;
}

interface ExtendDraft {
  readonly kind: 'extend';
  readonly nth: number;
  readonly ttlS: number;
}

interface StockDraft {
  readonly kind: 'stock';
  readonly verb: 'receive' | 'adjust';
  readonly key: number | undefined;
  readonly lines: readonly {
    readonly sku: number;
    readonly warehouse: string;
    readonly delta: number;
  }[];
}

/** A commit as the client library sends it: with its lines and the hold's epoch. */
interface InsistDraft {
  readonly kind: 'insist';
  readonly nth: number;
  /** Of the holds that were lost, if there are any. */
  readonly isLost: boolean;
}

interface LookDraft {
  readonly kind: 'look';
  readonly nth: number;
}

export type Draft = ReserveDraft | SettleDraft | InsistDraft | ExtendDraft | StockDraft | LookDraft;

const nth = fc.nat({ max: 5 });
const ttlS = fc.constantFrom(500, 1_500, 2_500);
const sku = fc.oneof({ weight: 12, arbitrary: fc.constantFrom(0, 0, 1, 2) }, fc.constant(9));
const somewhere = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...WAREHOUSES) },
  fc.constant('NOWHERE'),
);

const item = fc.record({
  sku,
  quantity: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 4 }) }, fc.constant(8)),
  warehouses: fc.oneof(fc.constant([]), fc.uniqueArray(somewhere, { minLength: 1, maxLength: 3 })),
});

const reserve: fc.Arbitrary<ReserveDraft> = fc.record({
  kind: fc.constant('reserve'),
  by: fc.tuple(fc.constantFrom('fresh', 'fresh', 'key', 'id', 'old'), fc.nat({ max: 3 })),
  items: fc.array(item, { minLength: 1, maxLength: 3 }),
  partial: fc.boolean(),
  split: fc.boolean(),
  ttlS,
});

const line = fc.record({
  placement: fc.nat({ max: 3 }),
  quantity: fc.integer({ min: 1, max: 3 }),
  isPlaced: fc.boolean(),
});

const settle: fc.Arbitrary<SettleDraft> = fc.record({
  kind: fc.constant('settle'),
  verb: fc.constantFrom<Verb>('commit', 'commit', 'release', 'cancel', 'ship', 'ship'),
  nth,
  lines: fc.option(fc.array(line, { minLength: 1, maxLength: 2 }), { nil: undefined }),
  key: fc.option(fc.nat({ max: 3 }), { nil: undefined, freq: 8 }),
});

const extend: fc.Arbitrary<ExtendDraft> = fc.record({ kind: fc.constant('extend'), nth, ttlS });

const delta = fc.integer({ min: 1, max: 6 });

const receive: fc.Arbitrary<StockDraft> = fc.record({
  kind: fc.constant('stock'),
  verb: fc.constant('receive'),
  key: fc.option(fc.nat({ max: 2 }), { nil: undefined }),
  lines: fc.array(fc.record({ sku, warehouse: somewhere, delta }), { minLength: 1, maxLength: 2 }),
});

const adjust: fc.Arbitrary<StockDraft> = fc.record({
  kind: fc.constant('stock'),
  verb: fc.constant('adjust'),
  key: fc.option(fc.nat({ max: 2 }), { nil: undefined }),
  lines: fc.array(
    fc.record({
      sku,
      warehouse: somewhere,
      delta: fc.oneof(
        delta,
        delta.map((n) => -n),
      ),
    }),
    { minLength: 1, maxLength: 2 },
  ),
});

const insist: fc.Arbitrary<InsistDraft> = fc.record({
  kind: fc.constant('insist'),
  nth,
  isLost: fc.boolean(),
});

const look: fc.Arbitrary<LookDraft> = fc.record({ kind: fc.constant('look'), nth });

/** What is answered as soon as Redis has it, while PostgreSQL hears nothing. */
export const fleeting: fc.Arbitrary<Draft> = fc.oneof(
  reserve.map((from) => ({ ...from, by: ['fresh', 0] as const })),
  nth.map(
    (n) => ({ kind: 'settle', verb: 'release', nth: n, lines: undefined, key: undefined }) as const,
  ),
);

export const draft: fc.Arbitrary<Draft> = fc.oneof(
  { weight: 8, arbitrary: reserve },
  { weight: 10, arbitrary: settle },
  { weight: 2, arbitrary: insist },
  { weight: 2, arbitrary: extend },
  { weight: 2, arbitrary: receive },
  { weight: 1, arbitrary: adjust },
  { weight: 1, arbitrary: look },
);

/** The draft as an ask of the run. */
export function fill(run: Run, from: Draft): Ask {
  switch (from.kind) {
    case 'reserve': {
      const { partial, split } = from;
      const by = fillBy(run, from.by);
      return {
        kind: 'reserve',
        by,
        items: from.items.map((each) => fillItem(run, each)),
        partial,
        split,
        ttlS: from.ttlS,
      };
    }
    case 'settle': {
      const id = nthNewest(run, from.nth);
      const lines = from.lines?.map((each) => fillLine(run, id, each));
      const key = from.key === undefined ? {} : { key: `${run.prefix}s${from.key}` };
      return { kind: 'settle', verb: from.verb, id, ...(lines && { lines }), ...key };
    }
    case 'insist':
      return fillInsist(run, from);
    case 'extend':
      return { kind: 'extend', id: nthNewest(run, from.nth), ttlS: from.ttlS };
    case 'stock': {
      const lines = from.lines.map((each) => ({ ...each, sku: skuOf(run, each.sku) }));
      const key = from.key === undefined ? {} : { key: `${run.prefix}o${from.key}` };
      return { kind: 'stock', verb: from.verb, lines, ...key };
    }
    case 'look':
      return { kind: 'look', id: nthNewest(run, from.nth) };
  }
}

function fillBy(run: Run, [how, n]: ReserveDraft['by']): ReserveAsk['by'] {
  if (how === 'key') return { key: `${run.prefix}k${n}` };
  if (how === 'id') return { id: `${run.prefix}c${n}` };
  const old = how === 'old' ? [...run.shop.bookings.keys()].at(-1 - n) : undefined;
  return old === undefined ? { fresh: true } : { id: old };
}

function fillItem(run: Run, item: ItemDraft): Item {
  const { quantity, warehouses } = item;
  return { sku: skuOf(run, item.sku), quantity, warehouses };
}

/** The units are those that the hold had; of one that expired, what the test remembers of it. */
function fillInsist(run: Run, { nth: n, isLost }: InsistDraft): Ask {
  const { lost, bookings } = run.shop;
  const from = isLost && lost.size > 0 ? lost : bookings;
  const booking = [...from.values()].at(-1 - n) ?? [...from.values()].at(-1);
  if (booking === undefined) return { kind: 'look', id: `${run.prefix}nobody` };
  const { id, epoch } = booking;
  const lines = (run.carts.get(id) ?? booking.units).map(({ sku, warehouse, units }) => {
    return { sku, warehouse, quantity: units };
  });
  if (lines.length === 0) return { kind: 'look', id };
  return { kind: 'settle', verb: 'commit', id, lines, holdEpoch: epoch };
}

/** A placement of the reservation where it has some; else a SKU of the run. */
function fillLine(run: Run, id: string, line: LineDraft): NamedUnits {
  const units = run.shop.bookings.get(id)?.units ?? [];
  const placed = units[line.placement % Math.max(1, units.length)];
  const { quantity } = line;
  if (placed === undefined) return { sku: skuOf(run, line.placement), quantity };
  return { sku: placed.sku, quantity, ...(line.isPlaced && { warehouse: placed.warehouse }) };
}

function skuOf(run: Run, n: number): string {
  return run.skus[n] ?? `${run.prefix}GHOST`;
}

function nthNewest(run: Run, n: number): string {
  const ids = [...run.shop.bookings.keys()];
  return ids[ids.length - 1 - n] ?? `${run.prefix}nobody`;
}
