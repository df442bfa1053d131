/** What a sale did to its units: answers on one side, the store's books on the other. Pure. */
import type { SaleTally } from '../load/sale.ts';
import type { Books } from './peer.ts';

export interface AuditInput {
  /** Put on sale. */
  readonly units: number;
  readonly tally: SaleTally;
  /** Reservations whose commit was acknowledged. */
  readonly soldIds: number;
  /** Of them, those that the store still had as sold after it was killed and started again. */
  readonly soldIdsThere: number;
  /** After that start too, when every hold must have expired. */
  readonly books: Books;
  /** Of the SKU that was only reserved: answers that said so, and units that its counter lost. */
  readonly reserved: { readonly answered: number; readonly taken: number };
}

export interface Audit {
  readonly units: number;
  /** Units that shoppers were told are theirs. */
  readonly sold: number;
  /** Beyond what there was: sold, or still for sale although sold. */
  readonly oversold: number;
  /** Neither sold nor for sale. */
  readonly leaked: number;
  /** Keys under which more than one reservation was made, and answers that contradict each other. */
  readonly doubled: number;
  /** Shoppers who were told that they hold units and could not buy them, within their time. */
  readonly heldInVain: number;
  /** Acknowledged sales that the store did not have after its restart. */
  readonly lost: number;
  /** Units of acknowledged reserves that the counter never lost: it will sell them again. */
  readonly uncounted: number;
  /** Shoppers who got no answer to rely on. */
  readonly unresolved: number;
  readonly ok: boolean;
}

export function auditSale(input: AuditInput): Audit {
  const { units, tally, soldIds, soldIdsThere, books, reserved } = input;
  const sold = tally.unitsBought;
  const balance = units - sold - books.forSale;
  const oversold = Math.max(0, -balance);
  const leaked = Math.max(0, balance);
  const doubled = tally.violations.length;
  const lost = soldIds - soldIdsThere;
  const uncounted = Math.max(0, reserved.answered - reserved.taken);
  const { lost: heldInVain, unresolved, refused } = tally.outcomes;
  return {
    units,
    sold,
    oversold,
    leaked,
    doubled,
    heldInVain,
    lost,
    uncounted,
    unresolved: unresolved + refused,
    ok: [oversold, leaked, doubled, lost, uncounted].every((count) => count === 0),
  };
}
