/** Applies entries batch by batch, as the persister does, without a log between. */
import type { Entry } from '../../engine/events/entry.ts';
import type { Pool } from '../../engine/postgres/pool.ts';
import { readPosition } from '../../engine/postgres/position.ts';
import { type Applied, Applier } from '../apply.ts';
import { foldBatch } from '../batch.ts';

/** The entries in pieces of the sizes, which are taken in turn. Stops when overtaken. */
export async function applyEntries(
  pool: Pool,
  entries: readonly Entry[],
  sizes: readonly number[] = [entries.length],
): Promise<Applied[]> {
  const applier = new Applier({ pool, lane: 0 });
  const done: Applied[] = [];
  try {
    for (let i = 0, k = 0; i < entries.length; k++) {
      const some = entries.slice(i, i + (sizes[k % sizes.length] ?? 1));
      i += some.length;
      const from = await readPosition(pool, 0);
      const last = some.at(-1);
      const to = { ...from, ...last?.key, term: Math.max(from.term, last?.key.epoch ?? 0) };
      const batch = foldBatch(some);
      const encoded = applier.encode(batch);
      const timeMs = last?.timeMs;
      const applied = await applier.apply({ from, to, timeMs, parked: undefined, batch, encoded });
      done.push(applied);
      if (applied.outcome === 'overtaken') break;
    }
    return done;
  } finally {
    applier.close();
  }
}
