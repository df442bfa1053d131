/** Reservations of PostgreSQL as records of Redis, with the lines that still have units. */
import { asSku, cellField } from '../engine/domain/ids.ts';
import type {
  Placement,
  ReservationLine,
  ReservationRecord,
} from '../engine/domain/reservation.ts';
import { packId } from '../engine/domain/reservation-id.ts';
import { encodeHold } from '../engine/events/hold-codec.ts';
import type { PoolClient } from '../engine/postgres/pool.ts';
import type { RecordRow, RestoreChunk } from '../engine/redis/lane-state.ts';
import {
  type ChunkLimits,
  changedAfter,
  EMPTY_CHUNK,
  fetchRows,
  placeOf,
  type RowsWanted,
} from './row-reader.ts';

interface ReservationSql {
  readonly reservation_id: string;
  readonly generation: number;
  readonly status: ReservationRecord['state'];
  readonly version: number;
  readonly fingerprint: Buffer;
  readonly created_s: number;
  readonly deadline_s: number | null;
  readonly commit_fingerprint: number;
  readonly closed_by: 'cancel' | 'ship' | null;
  readonly operations: readonly Buffer[];
  /** Placements that still have units, in the order of the cart (see parseLines); null: none. */
  readonly lines: string | null;
}

/** Only the newest of each id; of those that are not held, only generations that Redis looks at. */
export async function* readReservations(
  client: PoolClient,
  wanted: RowsWanted,
  oldestGeneration: number,
  limits: ChunkLimits,
): AsyncGenerator<RestoreChunk> {
  const rows = fetchRows<ReservationSql>(
    client,
    `SELECT reservation_id, generation, status, version, fingerprint, created_s, deadline_s,
            commit_fingerprint, closed_by, operations,
            (SELECT string_agg(
                      concat_ws(' ', line, sku_id, warehouse_id, pool, requested,
                                reserved + allocated),
                      ',' ORDER BY line, placement)
             FROM reservation_lines l
             WHERE l.reservation_id = r.reservation_id AND l.created_epoch = r.created_epoch
               AND l.created_seq = r.created_seq AND l.reserved + l.allocated > 0) AS lines
     FROM reservations r
     WHERE lane = $1 AND ${changedAfter('epoch', 'seq')}
       AND (status = 'held' OR generation >= $4)
       AND NOT EXISTS (SELECT FROM reservations newer
                       WHERE newer.reservation_id = r.reservation_id
                         AND (newer.created_epoch, newer.created_seq)
                           > (r.created_epoch, r.created_seq))`,
    [...placeOf(wanted), oldestGeneration],
    limits.rowsMax,
  );
  for await (const chunk of rows) {
    for (const piece of cutByBytes(chunk.map(toRecord), limits.bytesMax)) {
      yield { ...EMPTY_CHUNK, records: piece };
    }
  }
}

function toRecord(row: ReservationSql): RecordRow {
  const { fingerprint, version, operations } = row;
  const lines = parseLines(row.lines ?? '');
  const base = { fingerprint, createdS: row.created_s };
  const address = { id: packId(row.reservation_id), generation: row.generation };
  switch (row.status) {
    case 'held': {
      if (row.deadline_s === null) {
        throw new Error(`the hold ${row.reservation_id} has no deadline in PostgreSQL`);
      }
      const deadlineS = row.deadline_s;
      const hold = { state: row.status, ...base, version, deadlineS, operations, lines };
      return { ...address, record: encodeHold(hold), deadlineS };
    }
    case 'committed': {
      const commitFingerprint = row.commit_fingerprint;
      const record = { state: row.status, ...base, version, commitFingerprint, operations, lines };
      return { ...address, record: encodeHold(record) };
    }
    case 'closed': {
      if (row.closed_by === null) {
        throw new Error(`PostgreSQL does not say what closed reservation ${row.reservation_id}`);
      }
      const { commit_fingerprint: commitFingerprint, closed_by: closedBy } = row;
      const record = { state: row.status, ...base, commitFingerprint, closedBy, operations };
      return { ...address, record: encodeHold(record) };
    }
    case 'released':
    case 'expired':
      return { ...address, record: encodeHold({ state: row.status, ...base }) };
    default:
      return row.status satisfies never;
  }
}

/**
 * `line sku warehouse pool requested units`, one for each placement, with commas between: no id may
 * have a space or a comma. A hold has reserved units, a committed one allocated ones, never both.
 */
function parseLines(text: string): ReservationLine[] {
  const lines: (ReservationLine & { placements: Placement[] })[] = [];
  if (text === '') return lines;
  for (const placed of text.split(',')) {
    const [line, sku = '', warehouse = '', pool = '', requested, units] = placed.split(' ');
    const placement = { field: cellField(warehouse, pool), quantity: Number(units) };
    const last = lines.at(-1);
    if (last?.line === Number(line) && last.sku === sku) last.placements.push(placement);
    else {
      lines.push({
        line: Number(line),
        sku: asSku(sku),
        requested: Number(requested),
        placements: [placement],
      });
    }
  }
  return lines;
}

function* cutByBytes(records: readonly RecordRow[], bytesMax: number): Generator<RecordRow[]> {
  let piece: RecordRow[] = [];
  let bytes = 0;
  for (const row of records) {
    if (bytes > 0 && bytes + row.record.length > bytesMax) {
      yield piece;
      piece = [];
      bytes = 0;
    }
    piece.push(row);
    bytes += row.record.length;
  }
  if (piece.length > 0) yield piece;
}
