/**
 * What recovery needs of a log when the log is the lane's stream: PostgreSQL's position row is the
 * fence. Raising its term makes every write under a lower one find no row; the tail is applied
 * here, in the persister's own transactions.
 */
import type { ConsumerPosition, FencedLog, LogRecord } from '../engine/log/event-log.ts';
import { showPlace } from '../engine/log/place.ts';
import type { Pool } from '../engine/postgres/pool.ts';
import { readPosition } from '../engine/postgres/position.ts';
import { endingStalled } from '../engine/postgres/stalled.ts';
import { type CrashPoint, noCrashPoint } from '../engine/runtime/crash-point.ts';
import { Applier, type Suspect } from './apply.ts';
import { foldBatch } from './batch.ts';
import { consume } from './consume.ts';

export interface EmbeddedLogOptions {
  readonly pool: Pool;
  /** Called when the tail marks cells. */
  readonly onSuspects?: (suspects: readonly Suspect[]) => void;
  readonly crash?: CrashPoint;
}

/** Entries of the tail that one transaction applies. */
const ENTRIES_MAX = 64;

/** Both methods throw LaneFenced when a higher term stands: this recovery is over. */
export class LaneFenced extends Error {
  override readonly name = 'LaneFenced';
}

export function createEmbeddedLog(options: EmbeddedLogOptions): FencedLog {
  const { pool, crash = noCrashPoint, onSuspects } = options;
  return {
    async fence(lane: number, term: number): Promise<void> {
      const rowCount = await raiseTerm(pool, lane, term);
      if (rowCount !== 1) throw new LaneFenced(`lane ${lane} has a higher term than ${term}`);
    },
    async appendTail(lane: number, term: number, entries: readonly Buffer[]): Promise<void> {
      const applier = new Applier({ pool, lane, crash });
      try {
        for (let i = 0; i < entries.length; i += ENTRIES_MAX) {
          const some = entries.slice(i, i + ENTRIES_MAX);
          const suspects = await appendSome(pool, applier, lane, term, some);
          if (suspects.length > 0) onSuspects?.(suspects);
        }
      } finally {
        applier.close();
      }
    },
  };
}

async function raiseTerm(pool: Pool, lane: number, term: number): Promise<number | null> {
  const client = await pool.connect();
  let isBroken = true;
  try {
    const raise = () =>
      client.query('UPDATE positions SET term = $2 WHERE lane = $1 AND term <= $2', [lane, term]);
    const { rowCount } = await endingStalled(pool, client, raise);
    isBroken = false;
    return rowCount;
  } finally {
    client.release(isBroken);
  }
}

async function appendSome(
  pool: Pool,
  applier: Applier,
  lane: number,
  term: number,
  entries: readonly Buffer[],
): Promise<readonly Suspect[]> {
  const from = await ownPosition(pool, lane, term);
  const records = entries.map((entry): LogRecord => ({ term, offset: 0n, entry }));
  const { accepted, position: to, stop } = consume(from, records, 'stream');
  if (stop?.kind === 'gap') throw new Error(`lane ${lane}: the tail does not fit: ${stop.reason}`);
  if (accepted.length === 0 && stop === undefined) return [];
  const batch = foldBatch(accepted);
  const applied = await applier.apply({
    from,
    to,
    timeMs: accepted.at(-1)?.timeMs,
    parked: stop?.reason,
    batch,
    encoded: applier.encode(batch),
  });
  if (applied.outcome === 'overtaken') {
    throw new LaneFenced(`lane ${lane}: the position moved away from ${showPlace(from)}`);
  }
  if (stop !== undefined) throw new Error(`lane ${lane} is parked: ${stop.reason}`);
  return applied.suspects;
}

async function ownPosition(pool: Pool, lane: number, term: number): Promise<ConsumerPosition> {
  const position = await readPosition(pool, lane);
  if (position.term !== term) {
    throw new LaneFenced(`lane ${lane} is at term ${position.term}, not at ${term}`);
  }
  if (position.parked !== undefined) throw new Error(`lane ${lane} is parked: ${position.parked}`);
  return position;
}
