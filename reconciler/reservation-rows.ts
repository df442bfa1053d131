/** Reservations of PostgreSQL as records of Redis, with the lines that still have units. */
import { asSku, type CellField, cellField } from '../engine/domain/ids.ts';
import type { ReservationLine, ReservationRecord } from '../engine/domain/reservation.ts';
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
  readonly created_epoch: number;
  readonly created_seq: number;
  readonly generation: number;
  readonly status: ReservationRecord['state'];
  readonly version: number;
  readonly fingerprint: Buffer;
  readonly created_s: number;
  readonly deadline_s: number | null;
  readonly commit_fingerprint: number;
  readonly closed_by: 'cancel' | 'ship' | null;
  readonly operations: readonly Buffer[];
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
    `SELECT reservation_id, created_epoch, created_seq, generation, status, version, fingerprint,
            created_s, deadline_s, commit_fingerprint, closed_by, operations
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
    const lines = await readLines(client, chunk);
    const records = chunk.map((row) => toRecord(row, lines.get(keyOf(row)) ?? []));
    for (const piece of cutByBytes(records, limits.bytesMax)) {
      yield { ...EMPTY_CHUNK, records: piece };
    }
  }
}

function toRecord(row: ReservationSql, lines: readonly ReservationLine[]): RecordRow {
  const { fingerprint, version, operations } = row;
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

interface LineSql {
  readonly reservation_id: string;
  readonly created_epoch: number;
  readonly created_seq: number;
  readonly line: number;
  readonly sku_id: string;
  readonly warehouse_id: string;
  readonly pool: string;
  readonly requested: number;
  /** A hold has reserved units, a committed one allocated ones, never both. */
  readonly units: number;
}

/** Lines with units that are still reserved or allocated, in the order of the cart. */
async function readLines(
  client: PoolClient,
  of: readonly ReservationSql[],
): Promise<ReadonlyMap<string, ReservationLine[]>> {
  const live = of.filter((row) => row.status === 'held' || row.status === 'committed');
  const byReservation = new Map<string, ReservationLine[]>();
  if (live.length === 0) return byReservation;
  const { rows } = await client.query<LineSql>(
    `SELECT l.reservation_id, l.created_epoch, l.created_seq, l.line, l.sku_id, l.warehouse_id,
            l.pool, l.requested, l.reserved + l.allocated AS units
     FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (id, epoch, seq)
     JOIN reservation_lines l
       ON l.reservation_id = k.id AND l.created_epoch = k.epoch AND l.created_seq = k.seq
     WHERE l.reserved + l.allocated > 0
     ORDER BY l.reservation_id, l.created_epoch, l.created_seq, l.line, l.placement`,
    [
      live.map((row) => row.reservation_id),
      live.map((row) => row.created_epoch),
      live.map((row) => row.created_seq),
    ],
  );
  for (const row of rows) addPlacement(byReservation, row);
  return byReservation;
}

function addPlacement(byReservation: Map<string, ReservationLine[]>, row: LineSql): void {
  const lines = byReservation.get(keyOf(row)) ?? [];
  byReservation.set(keyOf(row), lines);
  const field: CellField = cellField(row.warehouse_id, row.pool);
  const placement = { field, quantity: row.units };
  const last = lines.at(-1);
  if (last?.line === row.line && last.sku === row.sku_id) {
    lines[lines.length - 1] = { ...last, placements: [...last.placements, placement] };
    return;
  }
  const { line, requested } = row;
  lines.push({ line, sku: asSku(row.sku_id), requested, placements: [placement] });
}

function keyOf(row: Pick<ReservationSql, 'reservation_id' | 'created_epoch' | 'created_seq'>) {
  return `${row.reservation_id} ${row.created_epoch} ${row.created_seq}`;
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
