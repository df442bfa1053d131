/** Random histories of a simulated lane, and the entries that tell them. */
import * as fc from 'fast-check';
import { asReservation, asSku } from '../../engine/domain/ids.ts';
import type { Entry } from '../../engine/events/entry.ts';
import { at, type SimulatedLane } from './simulated-lane.ts';
import type { Want } from './simulated-state.ts';

type Verb = 'commit' | 'release' | 'expire' | 'extend' | 'cancelled' | 'shipped' | 'retake';

export type Happening =
  | { readonly kind: 'reserve'; readonly id: number; readonly lines: readonly Want[] }
  | {
      readonly kind: Verb;
      readonly id: number;
      /** Units left of each placement, where the verb may be partial. */
      readonly spare: number;
      readonly lines: readonly Want[];
    }
  | { readonly kind: 'stock'; readonly move: 'receive' | 'adjust'; readonly lines: readonly Want[] }
  | { readonly kind: 'define'; readonly sku: number }
  /** The entry ends here; `ms` pass. */
  | { readonly kind: 'entry'; readonly ms: number }
  | { readonly kind: 'tick' }
  | { readonly kind: 'reopen' };

const SKUS = ['A-1', 'B.2', 'c:3'].map(asSku);
const FIELDS = [at('W1'), at('W2'), at('W2', 'web')];
/** Few, so that they meet again. */
const IDS = 8;

const want: fc.Arbitrary<Want> = fc.record({
  sku: fc.constantFrom(...SKUS),
  field: fc.constantFrom(...FIELDS),
  quantity: fc.integer({ min: 1, max: 5 }),
});
const cart = fc.uniqueArray(want, {
  minLength: 1,
  maxLength: 4,
  selector: ({ sku, field }) => `${sku} ${field}`,
});
const id = fc.integer({ min: 0, max: IDS - 1 });

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('reserve' as const), id, lines: cart }) },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom<Verb>(
        'commit',
        'release',
        'expire',
        'extend',
        'cancelled',
        'shipped',
        'retake',
      ),
      id,
      spare: fc.constantFrom(0, 0, 1, 2),
      lines: cart,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('stock' as const),
      move: fc.constantFrom('receive' as const, 'adjust' as const),
      lines: cart,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('define' as const),
      sku: fc.integer({ min: 0, max: SKUS.length - 1 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('entry' as const),
      ms: fc.constantFrom(0, 7, 900, 86_400_000),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'tick' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'reopen' as const }) },
);

export const history = fc.array(happening, { minLength: 1, maxLength: 120 });

/** What happens to a lane that opens, receives some stock, and then lives through the history. */
export function play(lane: SimulatedLane, happenings: readonly Happening[]): Entry[] {
  const entries = [lane.open(1)];
  for (const sku of SKUS) lane.define(sku);
  const stock = SKUS.flatMap((sku) => FIELDS.map((field) => ({ sku, field, quantity: 20 })));
  lane.moveStock('opening', 'receive', stock);
  entries.push(lane.batch());
  const flush = () => {
    if (lane.pendingChanges > 0) entries.push(lane.batch());
  };
  happenings.forEach((each, i) => {
    if (each.kind === 'entry') {
      flush();
      lane.timeMs += each.ms;
    } else if (each.kind === 'tick' || each.kind === 'reopen') {
      flush();
      entries.push(each.kind === 'tick' ? lane.tick() : lane.open(lane.last.epoch + 1));
    } else {
      happen(lane, each, `happening-${i}`);
    }
  });
  flush();
  return entries;
}

function happen(
  lane: SimulatedLane,
  each: Exclude<Happening, { kind: 'entry' | 'tick' | 'reopen' }>,
  key: string,
): void {
  if (each.kind === 'define') {
    lane.define(SKUS[each.sku] ?? asSku('A-1'));
    return;
  }
  if (each.kind === 'stock') {
    lane.moveStock(key, each.move, each.lines);
    return;
  }
  const reservation = asReservation(`order-${each.id}`);
  if (each.kind === 'reserve') {
    lane.reserve(reservation, each.lines);
    return;
  }
  const less = (units: number) => Math.max(0, units - each.spare);
  switch (each.kind) {
    case 'commit':
      lane.commit(reservation, less);
      return;
    case 'release':
      lane.release(reservation, less, key);
      return;
    case 'expire':
      lane.expire(reservation);
      return;
    case 'extend':
      lane.extend(reservation, 900);
      return;
    case 'retake':
      lane.retake(reservation, each.lines);
      return;
    case 'cancelled':
    case 'shipped':
      lane.fulfil(each.kind, reservation, less, key);
      return;
    default:
      each satisfies never;
  }
}
