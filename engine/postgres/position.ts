/** How far PostgreSQL has applied a lane's log: the row that every consumer starts from. */
import type { ConsumerPosition } from '../log/event-log.ts';
import type { Reader } from './reader.ts';

export interface LanePosition extends ConsumerPosition {
  /** Lane time of the last entry, ms. */
  readonly timeMs: number;
  /** Why the lane is stopped until a person looks. */
  readonly parked?: string;
}

interface PositionRow {
  readonly term: number;
  readonly epoch: number;
  readonly seq: number;
  readonly nonce: Buffer;
  readonly log_offset: number;
  readonly time_ms: number;
  readonly parked: string | null;
}

const SELECT_POSITION = `
  SELECT term, epoch, seq, nonce, log_offset, time_ms, parked FROM positions WHERE lane = $1`;

/** Throws when the lane has no row: the migrations make it. */
export async function readPosition(db: Reader, lane: number): Promise<LanePosition> {
  const { rows } = await db.query<PositionRow>(SELECT_POSITION, [lane]);
  const row = rows[0];
  if (row === undefined) {
    throw new Error(`PostgreSQL has no position for lane ${lane}: run \`holdfast migrate\``);
  }
  return {
    term: row.term,
    epoch: row.epoch,
    seq: row.seq,
    nonce: row.nonce,
    offset: BigInt(row.log_offset),
    timeMs: row.time_ms,
    ...(row.parked === null ? {} : { parked: row.parked }),
  };
}
