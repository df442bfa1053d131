/** Takes units from available to reserved, under an id, until a deadline. The hot path. */
import { isRefusal, type OperationAnswer } from '../redis/lane-port.ts';
import type { OperationResult, Shortage } from '../redis/operation.ts';
import type { Decided, Done } from './answer.ts';
import { fromRefusal, refused, unavailable } from './answer.ts';
import type { Wanted } from './assurance.ts';
import { assure } from './assurance.ts';
import type { Cart } from './cart.ts';
import type { ReservationDeps } from './deps.ts';
import type { IdentityClaim } from './identity.ts';
import { identify } from './identity.ts';
import { usualLevel } from './levels.ts';
import type { SoldOutCache } from './sold-out.ts';

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
  const { wish } = cart;
  if (wish !== undefined && identity.fresh) {
    // A partial reserve takes what there is.
    const known = deps.soldOut.find(wish, cart.partial ? 1 : (cart.lines[0]?.quantity ?? 1));
    if (known !== undefined) {
      done(knownAnswer(id, known));
      return;
    }
  }
  const askedAtMs = deps.soldOut.nowMs();
  deps.lane.submit(
    {
      kind: 'reserve',
      id: identity.packed,
      fresh: identity.fresh,
      fingerprint: cart.fingerprint,
      ttlS: cart.ttlS ?? deps.policy.ttlDefaultS,
      partial: cart.partial,
      split: cart.split,
      lines: cart.lines,
      attributes: cart.attributes,
    },
    (answer) => {
      if (wish !== undefined) remember(deps.soldOut, wish, answer, askedAtMs);
      if (isRefusal(answer)) done(fromRefusal(id, answer));
      else if (answer.outcome === 'unknown_warehouse') {
        judgeUnknown(id, answer, cart, wanted, deps, done);
      } else assure(id, answer, wanted, deps, done);
    },
    wanted.level ?? usualLevel('reserve', cart.lines, deps.policy),
  );
}

/** A refusal promises nothing, so no level is waited for (`levelOf`). */
function knownAnswer(id: string, known: OperationResult): Decided {
  const { outcome, replayed, stamp, record, shortages } = known;
  return {
    kind: 'decided',
    id,
    outcome,
    replayed,
    stamp,
    level: 'memory',
    record,
    shortages,
    known,
  };
}

/** What the answer to a cart of one line tells of the next one that wants the same. */
function remember(
  soldOut: SoldOutCache,
  wish: string,
  answer: OperationAnswer,
  askedAtMs: number,
): void {
  if (answer.outcome === 'created') soldOut.unlearn(wish);
  else if (answer.outcome === 'fenced' || answer.outcome === 'store_unavailable') soldOut.forget();
  else if (answer.outcome === 'insufficient' && !isRefusal(answer)) {
    soldOut.learn(wish, answer, askedAtMs);
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
