/**
 * Movements of an entry that are not what it did, until a later entry of the log says that they were
 * put right, by exactly as much: the ledger is never changed, so a mistake in it stands for ever
 * beside the movement that undoes it.
 */
import type { Effect } from '../../engine/testing/auditor/effects.ts';
import type { Found } from './difference.ts';

const BALANCES = ['available', 'reserved', 'allocated', 'shipped', 'granted'] as const;
/** What reconcile calls a ledger that it found to be off. */
const CAUSES: ReadonlySet<string> = new Set(['double_apply', 'lost_movement']);
/** Beyond it only the first mistake of each cell is told; the report shows a thousand anyway. */
const KEPT_MAX = 10_000;

interface Standing {
  readonly off: Record<(typeof BALANCES)[number], number>;
  readonly found: Found[];
}

export class LedgerRepairs {
  readonly #standing = new Map<string, Standing>();
  #kept = 0;

  note(cell: string, booked: Effect | undefined, due: Effect | undefined, found: Found): void {
    const none = { available: 0, reserved: 0, allocated: 0, shipped: 0, granted: 0 };
    const standing = this.#standing.get(cell) ?? { off: none, found: [] };
    this.#standing.set(cell, standing);
    for (const balance of BALANCES) {
      standing.off[balance] += (booked?.[balance] ?? 0) - (due?.[balance] ?? 0);
    }
    // The first of each cell is kept whatever their number, so that none goes untold.
    if (standing.found.length > 0 && this.#kept >= KEPT_MAX) return;
    standing.found.push(found);
    this.#kept += 1;
  }

  /** `due`: what the repair's own movements come to, by cell. */
  repair(cause: string, due: ReadonlyMap<string, Effect>): void {
    if (!CAUSES.has(cause)) return;
    for (const [cell, effect] of due) {
      const standing = this.#standing.get(cell);
      if (standing === undefined) continue;
      if (BALANCES.every((balance) => standing.off[balance] + effect[balance] === 0)) {
        this.#standing.delete(cell);
      }
    }
  }

  standing(): Found[] {
    return [...this.#standing.values()].flatMap(({ found }) => found);
  }
}
