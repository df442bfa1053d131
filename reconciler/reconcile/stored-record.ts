/** Rows of PostgreSQL as the records that Redis should have of them, byte for byte. */
import { asSku, cellField } from '../../engine/domain/ids.ts';
import type {
  Placement,
  ReservationLine,
  ReservationRecord,
  ReservationState,
} from '../../engine/domain/reservation.ts';
import { encodeHold, encodeOperation } from '../../engine/events/hold-codec.ts';
import type { LineUnits, StoredOperation, StoredReservation } from './facts.ts';

export interface ReservationSql {
  readonly reservation_id: string;
  readonly generation: number;
  readonly created_epoch: number;
  readonly created_seq: number;
  readonly epoch: number;
  readonly seq: number;
  readonly status: ReservationState;
  readonly version: number;
  readonly fingerprint: Buffer;
  readonly created_s: number;
  readonly deadline_s: number | null;
  readonly commit_fingerprint: number;
  readonly closed_by: 'cancel' | 'ship' | null;
  readonly operations: readonly Buffer[];
  /** `line sku warehouse pool requested reserved allocated`, with commas between; null: none. */
  readonly lines: string | null;
}

/** To be followed by a WHERE on `r`. */
export const RESERVATION_SQL = `
  SELECT reservation_id, generation, created_epoch, created_seq, epoch, seq, status, version,
         fingerprint, created_s, deadline_s, commit_fingerprint, closed_by, operations,
         (SELECT string_agg(concat_ws(' ', line, sku_id, warehouse_id, pool, requested, reserved,
                                      allocated), ',' ORDER BY line, placement)
          FROM reservation_lines l
          WHERE l.reservation_id = r.reservation_id AND l.created_epoch = r.created_epoch
            AND l.created_seq = r.created_seq) AS lines
  FROM reservations r`;

export interface OperationSql {
  readonly operation_id: string;
  readonly generation: number;
  readonly fingerprint: Buffer;
  readonly created_s: number;
}
export const OPERATION_COLUMNS = 'operation_id, generation, fingerprint, created_s';

export function toOperation(row: OperationSql): StoredOperation {
  const bytes = encodeOperation(row.fingerprint, row.created_s);
  return { kind: 'operation', id: row.operation_id, generation: row.generation, bytes };
}

export function toReservation(row: ReservationSql): StoredReservation {
  const lines = parseLines(row.lines ?? '');
  const record = toRecord(row, lines);
  return {
    kind: 'reservation',
    id: row.reservation_id,
    generation: row.generation,
    createdEpoch: row.created_epoch,
    createdSeq: row.created_seq,
    epoch: row.epoch,
    seq: row.seq,
    version: row.version,
    status: row.status,
    deadlineS: row.deadline_s ?? undefined,
    record,
    bytes: encodeHold(record),
    lines,
  };
}

function toRecord(row: ReservationSql, lines: readonly LineUnits[]): ReservationRecord {
  const { fingerprint, version, operations } = row;
  const base = { fingerprint, createdS: row.created_s };
  const commitFingerprint = row.commit_fingerprint;
  switch (row.status) {
    case 'held':
      return {
        state: 'held',
        ...base,
        version,
        // A hand may have taken it away; 0 is no deadline that a script gives.
        deadlineS: row.deadline_s ?? 0,
        operations,
        lines: toLines(lines),
      };
    case 'committed':
      return {
        state: 'committed',
        ...base,
        version,
        commitFingerprint,
        operations,
        lines: toLines(lines),
      };
    case 'closed':
      return {
        state: 'closed',
        ...base,
        commitFingerprint,
        closedBy: row.closed_by ?? 'ship',
        operations,
      };
    case 'released':
    case 'expired':
      return { state: row.status, ...base };
    default:
      return row.status satisfies never;
  }
}

function toLines(units: readonly LineUnits[]): ReservationLine[] {
  const lines: (ReservationLine & { placements: Placement[] })[] = [];
  for (const { line, name, requested, reserved, allocated } of units) {
    const quantity = reserved + allocated;
    if (quantity <= 0) continue;
    const placement = { field: name.field, quantity };
    const last = lines.at(-1);
    if (last?.line === line && last.sku === name.sku) last.placements.push(placement);
    else lines.push({ line, sku: name.sku, requested, placements: [placement] });
  }
  return lines;
}

function parseLines(text: string): LineUnits[] {
  if (text === '') return [];
  return text.split(',').map((placed) => {
    const [line, sku = '', warehouse = '', pool = '', ...numbers] = placed.split(' ');
    const [requested = 0, reserved = 0, allocated = 0] = numbers.map(Number);
    const name = { sku: asSku(sku), field: cellField(warehouse, pool) };
    return { line: Number(line), name, requested, reserved, allocated };
  });
}
