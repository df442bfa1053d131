/** Brings the stream to PostgreSQL with the persister's own parts, when a test says so. */
import { readPosition } from '../../engine/postgres/position.ts';
import { Applier } from '../../persister/apply.ts';
import { foldBatch } from '../../persister/batch.ts';
import { consume } from '../../persister/consume.ts';
import { LANE, type LaneStack } from './stack.ts';

/** At most so many entries; all that there are by default. Says how many it was. */
export async function persist(
  stack: LaneStack,
  entriesMax = Number.MAX_SAFE_INTEGER,
): Promise<number> {
  const { pool } = stack.database;
  const applier = new Applier({ pool, lane: LANE });
  let count = 0;
  try {
    while (count < entriesMax) {
      const from = await readPosition(pool, LANE);
      const tail = await stack.state.tail(from, Math.min(64, entriesMax - count));
      if (tail.entries.length === 0) break;
      const records = tail.entries.map((e) => ({ term: tail.term, offset: 0n, entry: e.bytes }));
      const { accepted, position: to, stop } = consume(from, records, 'stream');
      if (stop !== undefined) throw new Error(`${stop.kind}: ${stop.reason}`);
      const batch = foldBatch(accepted);
      const timeMs = accepted.at(-1)?.timeMs;
      const encoded = applier.encode(batch);
      const step = { from, to, timeMs, parked: undefined, batch, encoded };
      const { outcome } = await applier.apply(step);
      if (outcome !== 'applied') throw new Error(`the batch was ${outcome}`);
      count += accepted.length;
    }
  } finally {
    applier.close();
  }
  return count;
}
