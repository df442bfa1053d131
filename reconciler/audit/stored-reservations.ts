/** Reservations as PostgreSQL has them: one row for each line with units, put together again. */
import type {
  ClosedBy,
  HeldUnits,
  ReservationState,
} from '../../engine/testing/auditor/decode-record.ts';
import type { FoldedReservation } from '../../engine/testing/auditor/reservation.ts';

/** What is asked stands in the WHERE clause between these two. */
export const selectReservations = (where: string): string => `
  SELECT reservation_id, r.created_epoch, r.created_seq, r.generation, r.status, r.version,
         encode(r.fingerprint, 'hex') AS fingerprint, r.created_s, r.deadline_s,
         r.commit_fingerprint, r.closed_by, nullif(r.operations, '{}') AS operations,
         l.line, l.sku_id, l.warehouse_id, l.pool, l.reserved + l.allocated AS units
  FROM reservations r LEFT JOIN reservation_lines l
    USING (reservation_id, created_epoch, created_seq)
  WHERE ${where}
  ORDER BY reservation_id, r.created_epoch DESC, r.created_seq DESC, l.line, l.placement`;

export interface ReservationRow {
  readonly reservation_id: string;
  readonly created_epoch: number;
  readonly created_seq: number;
  readonly generation: number;
  readonly status: ReservationState;
  readonly version: number;
  readonly fingerprint: string;
  readonly created_s: number;
  readonly deadline_s: number | null;
  readonly commit_fingerprint: number;
  readonly closed_by: ClosedBy | null;
  /** Null: none. */
  readonly operations: readonly Buffer[] | null;
  /** Null, and all that follow: it has no line. */
  readonly line: number | null;
  readonly sku_id: string;
  readonly warehouse_id: string;
  readonly pool: string;
  readonly units: number;
}

type Gathered = FoldedReservation & { readonly units: HeldUnits[] };

/** Puts rows together, as they come: those of one reservation stand behind one another. */
export class ReservationRows {
  #last: Gathered | undefined;

  /** Reservations of which no further row can come; the last one is kept until more is known. */
  feed(rows: readonly ReservationRow[]): FoldedReservation[] {
    const whole: FoldedReservation[] = [];
    for (const row of rows) {
      if (this.#last === undefined || !isOf(this.#last, row)) {
        if (this.#last !== undefined) whole.push(this.#last);
        this.#last = gather(row);
      }
      // Of a line whose units are all gone there is nothing to compare.
      if (row.line === null || row.units <= 0) continue;
      const { line, sku_id: sku, units } = row;
      this.#last.units.push({ line, sku, field: fieldOf(row), units });
    }
    return whole;
  }

  end(): FoldedReservation[] {
    const rest = this.#last === undefined ? [] : [this.#last];
    this.#last = undefined;
    return rest;
  }
}

function isOf(reservation: FoldedReservation, row: ReservationRow): boolean {
  return (
    reservation.id === row.reservation_id &&
    reservation.createdEpoch === row.created_epoch &&
    reservation.createdSeq === row.created_seq
  );
}

function gather(row: ReservationRow): Gathered {
  return {
    id: row.reservation_id,
    generation: row.generation,
    state: row.status,
    version: row.version,
    createdEpoch: row.created_epoch,
    createdSeq: row.created_seq,
    createdMs: row.created_s * 1000,
    fingerprint: row.fingerprint,
    deadlineS: row.deadline_s ?? 0,
    commitFingerprint: row.commit_fingerprint,
    closedBy: row.closed_by ?? undefined,
    units: [],
    operations: row.operations?.map((key) => key.toString('hex')) ?? [],
  };
}

/** The shared pool has no name of its own in Redis. */
export function fieldOf(row: { warehouse_id: string; pool: string }): string {
  return row.pool === 'shared' ? row.warehouse_id : `${row.warehouse_id}/${row.pool}`;
}
