/** Reservations as PostgreSQL has them, for when their record has left Redis. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sku } from '../domain/ids.ts';
import { cellField } from '../domain/ids.ts';
import type {
  Placement,
  ReservationLine,
  ReservationRecord,
  ReservationState,
} from '../domain/reservation.ts';
import type { Pool } from '../postgres/pool.ts';
import { readPosition } from '../postgres/position.ts';
import { type Reader, readerUntil } from '../postgres/reader.ts';
import type { TellDemand } from '../redis/demands.ts';
import type { LaneStamp } from '../redis/operation.ts';

export interface Archive {
  /**
   * The newest reservation under the id, read when PostgreSQL had applied the log up to the stamp;
   * undefined when there is none. Rejects when PostgreSQL does not answer, or does not get there
   * in time; also when it hangs.
   */
  find(id: string, stamp: LaneStamp): Promise<ReservationRecord | undefined>;
}

export interface ArchiveOptions {
  readonly pool: Pool;
  readonly lane: number;
  /** Told where PostgreSQL is waited for. */
  readonly demand: TellDemand;
  /** How long PostgreSQL may take to get to the stamp and to answer, in all. */
  readonly waitMs: number;
}

/** The persister commits every 100 ms at most: four looks in that time. */
const POLL_MS = 25;

export function createArchive(options: ArchiveOptions): Archive {
  return {
    async find(id, stamp) {
      const deadline = performance.now() + options.waitMs;
      const reader = readerUntil(options.pool, deadline);
      await waitForPosition(options, reader, stamp, deadline);
      const { rows } = await reader.query<ArchivedRow>(SELECT_NEWEST, [id]);
      return toRecord(rows);
    },
  };
}

async function waitForPosition(
  options: ArchiveOptions,
  reader: Reader,
  stamp: LaneStamp,
  deadline: number,
): Promise<void> {
  for (;;) {
    const at = await readPosition(reader, options.lane);
    if (at.epoch > stamp.epoch || (at.epoch === stamp.epoch && at.seq >= stamp.seq)) return;
    options.demand('persisted', stamp);
    // No time is left for another look.
    if (performance.now() + POLL_MS >= deadline) {
      throw new Error(
        `it is at ${at.epoch}-${at.seq} of lane ${options.lane} and did not get to ` +
          `${stamp.epoch}-${stamp.seq} within ${options.waitMs} ms`,
      );
    }
    await sleep(POLL_MS);
  }
}

/** One statement, so that a reservation and its lines are of one snapshot. */
const SELECT_NEWEST = `
  WITH newest AS (
    SELECT * FROM reservations WHERE reservation_id = $1
    ORDER BY created_epoch DESC, created_seq DESC LIMIT 1
  )
  SELECT n.status, n.version, n.fingerprint, n.created_s, n.deadline_s, n.commit_fingerprint,
         n.closed_by, n.operations, l.line, l.sku_id, l.warehouse_id, l.pool, l.requested,
         CASE n.status WHEN 'held' THEN l.reserved ELSE l.allocated END AS units
  FROM newest n
  LEFT JOIN reservation_lines l USING (reservation_id, created_epoch, created_seq)
  ORDER BY l.line, l.placement`;

/** A line's columns are null together, when the reservation has no lines. */
export interface ArchivedRow {
  readonly status: ReservationState;
  readonly version: number;
  readonly fingerprint: Buffer;
  readonly created_s: number;
  readonly deadline_s: number | null;
  readonly commit_fingerprint: number;
  readonly closed_by: 'cancel' | 'ship' | null;
  readonly operations: readonly Buffer[];
  readonly line: number | null;
  readonly sku_id: string;
  readonly warehouse_id: string;
  readonly pool: string;
  readonly requested: number;
  readonly units: number;
}

/** The rows of one reservation, a placement each, in order. */
export function toRecord(rows: readonly ArchivedRow[]): ReservationRecord | undefined {
  const [first] = rows;
  if (first === undefined) return undefined;
  const { fingerprint, version, operations } = first;
  const commitFingerprint = first.commit_fingerprint;
  const created = { fingerprint, createdS: first.created_s };
  switch (first.status) {
    case 'held': {
      const deadlineS = first.deadline_s ?? 0;
      return { state: 'held', ...created, version, operations, deadlineS, lines: toLines(rows) };
    }
    case 'committed': {
      const lines = toLines(rows);
      return { state: 'committed', ...created, version, operations, commitFingerprint, lines };
    }
    case 'closed': {
      const closedBy = first.closed_by ?? 'ship';
      return { state: 'closed', ...created, commitFingerprint, closedBy, operations };
    }
    case 'released':
    case 'expired':
      return { state: first.status, ...created };
  }
}

function toLines(rows: readonly ArchivedRow[]): ReservationLine[] {
  const lines = new Map<number, ReservationLine & { placements: Placement[] }>();
  for (const row of rows) {
    if (row.line === null || row.units === 0) continue;
    const placement = { field: cellField(row.warehouse_id, row.pool), quantity: row.units };
    const line = lines.get(row.line);
    if (line !== undefined) line.placements.push(placement);
    else {
      lines.set(row.line, {
        line: row.line,
        sku: row.sku_id as Sku,
        requested: row.requested,
        placements: [placement],
      });
    }
  }
  return [...lines.values()];
}
