/** Takes units from available to reserved, under an id, until a deadline. The hot path. */
import { isRefusal, type OperationAnswer } from '../redis/lane-port.ts';
import type { OperationResult, Shortage } from '../redis/operation.ts';
import type { Done } from './answer.ts';
import { fromRefusal, refused, unavailable } from './answer.ts';
import type { Wanted } from './assurance.ts';
import { assure } from './assurance.ts';
import type { Cart, CartLine } from './cart.ts';
import { cartFingerprint } from './cart.ts';
import type { ReservationDeps } from './deps.ts';
import type { IdentityClaim } from './identity.ts';
import { identify } from './identity.ts';
import { usualLevel } from './levels.ts';
import type { SoldOut, SoldOutCache } from './sold-out.ts';

export interface ReserveRequest extends IdentityClaim {
  readonly cart: Cart;
  readonly level: Wanted['level'];
}

export function reserve(request: ReserveRequest, deps: ReservationDeps, done: Done): void {
  const { cart } = request;
  const identity = identify(request, deps.policy, deps.lane, deps.ids);
  if (identity.kind === 'refused') {
    const pointer = identity.field === undefined ? undefined : `/${identity.field}`;
    done(refused(identity.outcome, identity.detail, pointer));
    return;
  }
  const id = identity.text;
  const wanted: Wanted = { verb: 'reserve', level: request.level };
  const wish = cart.lines.length === 1 ? cart.lines[0] : undefined;
  if (wish !== undefined && identity.fresh) {
    const known = deps.soldOut.find(wish, cart.split, cart.partial);
    if (known !== undefined) {
      assure(id, soldOutAnswer(known), wanted, deps, done);
      return;
    }
  }
  const askedAtMs = deps.soldOut.nowMs();
  deps.lane.submit(
    {
      kind: 'reserve',
      id: identity.packed,
      fresh: identity.fresh,
      fingerprint: cartFingerprint(cart),
      ttlS: cart.ttlS ?? deps.policy.ttlDefaultS,
      partial: cart.partial,
      split: cart.split,
      lines: cart.lines,
      attributes: cart.attributes,
    },
    (answer) => {
      if (wish !== undefined) remember(deps.soldOut, cart, wish, answer, askedAtMs);
      if (isRefusal(answer)) done(fromRefusal(id, answer));
      else if (answer.outcome === 'unknown_warehouse') {
        judgeUnknown(id, answer, cart, wanted, deps, done);
      } else assure(id, answer, wanted, deps, done);
    },
    wanted.level ?? usualLevel('reserve', cart.lines, deps.policy),
  );
}

function soldOutAnswer({ stamp, available }: SoldOut): OperationResult {
  return { outcome: 'insufficient', replayed: false, stamp, shortages: [{ line: 0, available }] };
}

/** What the answer to a cart of one line tells of the next one that wants the same. */
function remember(
  soldOut: SoldOutCache,
  { split }: Cart,
  wish: CartLine,
  answer: OperationAnswer,
  askedAtMs: number,
): void {
  if (answer.outcome === 'created') soldOut.unlearn(wish, split);
  else if (answer.outcome === 'fenced' || answer.outcome === 'store_unavailable') soldOut.forget();
  else if (answer.outcome === 'insufficient' && !isRefusal(answer)) {
    const available = answer.shortages?.[0]?.available ?? 0;
    soldOut.learn(wish, split, { stamp: answer.stamp, available }, askedAtMs);
  }
}

/**
 * The lane knows only the warehouses where a SKU ever stood. One that the directory knows too has
 * none of the SKU: that is sold out; only one that nobody knows is a mistake of the client.
 */
function judgeUnknown(
  id: string,
  result: OperationResult,
  cart: Cart,
  wanted: Wanted,
  deps: ReservationDeps,
  done: Done,
): void {
  const lacking = result.shortages ?? [];
  const names = warehousesOf(cart, lacking);
  deps.directory.find(names).then(
    (found) => {
      const unknown = lacking.filter((shortage) =>
        warehousesOf(cart, [shortage]).some((name) => !found.has(name)),
      );
      const answer: OperationResult =
        unknown.length === 0
          ? { ...result, outcome: 'insufficient' }
          : { ...result, shortages: unknown };
      assure(id, answer, wanted, deps, done);
    },
    (error: unknown) =>
      done(unavailable(id, `The warehouses cannot be looked up: ${String(error)}`)),
  );
}

function warehousesOf(cart: Cart, lacking: readonly Shortage[]): string[] {
  return lacking.flatMap(({ line }) => cart.lines[line]?.fields ?? []);
}
