/**
 * PostgreSQL as it stood at one position: one REPEATABLE READ transaction, read only, from which
 * every question of the audit is answered. Big answers come through a cursor, in pieces.
 */
import type { QueryResultRow } from 'pg';
import type { Pool, PoolClient } from '../../engine/postgres/pool.ts';
import type { EntryId } from '../../engine/testing/auditor/decode.ts';
import type {
  CellBalances,
  ClosedBy,
  HeldUnits,
  ReservationState,
} from '../../engine/testing/auditor/decode-record.ts';
import type { FoldedReservation } from '../../engine/testing/auditor/reservation.ts';
import type { DoneOperation } from './compare.ts';
import type { Place } from './place.ts';

export interface StoredCell extends CellBalances {
  readonly sku: string;
  readonly field: string;
}

export interface StoredPosition extends EntryId {
  readonly term: number;
  readonly timeMs: number;
  readonly parked: string | undefined;
}

/** Sums over the whole ledger may take minutes; the audit is never in a hurry. */
const QUERY_TIMEOUT_MS = 600_000;
const PIECE_ROWS = 1000;

interface PositionRow {
  readonly term: number;
  readonly epoch: number;
  readonly seq: number;
  readonly nonce: Buffer;
  readonly time_ms: number;
  readonly parked: string | null;
}

export async function readStoredPosition(
  db: Pool | PoolClient,
  lane: number,
): Promise<StoredPosition> {
  const { rows } = await db.query<PositionRow>(
    'SELECT term, epoch, seq, nonce, time_ms, parked FROM positions WHERE lane = $1',
    [lane],
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`PostgreSQL has no position of lane ${lane}`);
  const { term, epoch, seq } = row;
  const nonce = row.nonce.toString('hex');
  return { term, epoch, seq, nonce, timeMs: row.time_ms, parked: row.parked ?? undefined };
}

export class Snapshot {
  readonly #client: PoolClient;
  readonly #lane: number;
  readonly position: StoredPosition;
  #cursors = 0;

  private constructor(client: PoolClient, lane: number, position: StoredPosition) {
    this.#client = client;
    this.#lane = lane;
    this.position = position;
  }

  static async open(pool: Pool, lane: number): Promise<Snapshot> {
    const client = await pool.connect();
    try {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      // Between two questions the audit reads Redis; nothing waits for its transaction.
      await client.query('SET LOCAL idle_in_transaction_session_timeout = 0');
      await client.query('SET LOCAL statement_timeout = 0');
      return new Snapshot(client, lane, await readStoredPosition(client, lane));
    } catch (error) {
      client.release(true);
      throw error;
    }
  }

  async close(): Promise<void> {
    try {
      await this.#client.query('ROLLBACK');
      this.#client.release();
    } catch {
      this.#client.release(true);
    }
  }

  async query<Row extends QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    const config = { text, values, query_timeout: QUERY_TIMEOUT_MS };
    return (await this.#client.query<Row>(config)).rows;
  }

  /** Rows of a big answer, in pieces. Other questions may be asked between two pieces. */
  async *pieces<Row extends QueryResultRow>(
    text: string,
    values: unknown[] = [],
  ): AsyncGenerator<Row[]> {
    this.#cursors += 1;
    const cursor = `audit_${this.#cursors}`;
    await this.query(`DECLARE ${cursor} NO SCROLL CURSOR FOR ${text}`, values);
    for (;;) {
      const rows = await this.query<Row>(`FETCH ${PIECE_ROWS} FROM ${cursor}`);
      if (rows.length === 0) break;
      yield rows;
    }
    await this.query(`CLOSE ${cursor}`);
  }

  async cellsOf(skus: readonly string[]): Promise<Map<string, StoredCell>> {
    const rows = await this.query<CellRow>(
      `${SELECT_CELLS} WHERE lane = $1 AND sku_id = ANY ($2)`,
      [this.#lane, skus],
    );
    return new Map(rows.map(toCell).map((cell) => [`${cell.sku} ${cell.field}`, cell]));
  }

  async *cells(): AsyncGenerator<StoredCell[]> {
    const text = `${SELECT_CELLS} WHERE lane = $1 ORDER BY sku_id, warehouse_id, pool`;
    for await (const rows of this.pieces<CellRow>(text, [this.#lane])) yield rows.map(toCell);
  }

  /** SKUs that the log defined. */
  async definedSkus(skus: readonly string[]): Promise<Set<string>> {
    const rows = await this.query<{ sku_id: string }>(
      'SELECT sku_id FROM products WHERE defined_epoch IS NOT NULL AND sku_id = ANY ($1)',
      [skus],
    );
    return new Set(rows.map((row) => row.sku_id));
  }

  /** All reservations under each id, the newest first: a client may use an id again. */
  async reservations(ids: readonly string[]): Promise<Map<string, FoldedReservation[]>> {
    const rows = await this.query<ReservationRow>(
      `SELECT ${RESERVATION_COLUMNS} FROM reservations
       WHERE reservation_id = ANY ($1)
       ORDER BY reservation_id, created_epoch DESC, created_seq DESC`,
      [ids],
    );
    const lines = await this.query<LineRow>(
      `SELECT reservation_id, created_epoch, created_seq, line, sku_id, warehouse_id, pool,
              reserved, allocated
       FROM reservation_lines
       WHERE reservation_id = ANY ($1) AND (reserved > 0 OR allocated > 0)`,
      [ids],
    );
    const units = new Map<string, HeldUnits[]>();
    for (const line of lines) {
      const key = `${line.reservation_id} ${line.created_epoch}-${line.created_seq}`;
      const list = units.get(key) ?? [];
      units.set(key, list);
      list.push({
        line: line.line,
        sku: line.sku_id,
        field: fieldOf(line),
        units: line.reserved + line.allocated,
      });
    }
    const found = new Map<string, FoldedReservation[]>();
    for (const row of rows) {
      const key = `${row.reservation_id} ${row.created_epoch}-${row.created_seq}`;
      const list = found.get(row.reservation_id) ?? [];
      found.set(row.reservation_id, list);
      list.push(toReservation(row, units.get(key) ?? []));
    }
    return found;
  }

  /** Ids that must be in Redis: live holds, and all that a retry may ask for since `sinceDay`. */
  async *idsInRedis(sinceDay: number): AsyncGenerator<RecordAt[]> {
    const text = `
      SELECT reservation_id AS id, generation FROM reservations
      WHERE lane = $1 AND (status = 'held' OR generation >= $2)
      UNION ALL
      SELECT operation_id, generation FROM operations WHERE lane = $1 AND generation >= $2`;
    yield* this.pieces<RecordAt>(text, [this.#lane, sinceDay]);
  }

  async operations(ids: readonly string[]): Promise<Map<string, DoneOperation>> {
    const rows = await this.query<OperationRow>(
      `SELECT DISTINCT ON (operation_id) operation_id, generation, fingerprint, created_s
       FROM operations WHERE operation_id = ANY ($1)
       ORDER BY operation_id, epoch DESC, seq DESC`,
      [ids],
    );
    return new Map(
      rows.map((row) => {
        const fingerprint = row.fingerprint.toString('hex');
        const { operation_id: id, generation, created_s: createdS } = row;
        return [id, { id, generation, fingerprint, createdS }];
      }),
    );
  }

  /** Entries that were applied behind `from`, in order. */
  async *entries(from: Place): AsyncGenerator<EntryRow[]> {
    const text = `
      SELECT epoch, seq, nonce, pred_epoch, pred_seq, pred_nonce FROM entries
      WHERE lane = $1 AND (epoch, seq) >= ($2, $3) ORDER BY epoch, seq`;
    yield* this.pieces<EntryRow>(text, [this.#lane, from.epoch, from.seq]);
  }

  /** Movements of the entries behind `from`, in the order of the entries. */
  async *movements(from: Place): AsyncGenerator<MovementRow[]> {
    const text = `
      SELECT epoch, seq, sku_id, source_warehouse, dest_warehouse, pool,
             source_location, dest_location, quantity
      FROM stock_movements
      WHERE lane = $1 AND (epoch, seq) >= ($2, $3) ORDER BY epoch, seq`;
    yield* this.pieces<MovementRow>(text, [this.#lane, from.epoch, from.seq]);
  }
}

export interface RecordAt {
  readonly id: string;
  readonly generation: number;
}

export interface EntryRow {
  readonly epoch: number;
  readonly seq: number;
  readonly nonce: Buffer;
  readonly pred_epoch: number;
  readonly pred_seq: number;
  readonly pred_nonce: Buffer;
}

export interface MovementRow {
  readonly epoch: number;
  readonly seq: number;
  readonly sku_id: string;
  readonly source_warehouse: string | null;
  readonly dest_warehouse: string | null;
  readonly pool: string;
  readonly source_location: string;
  readonly dest_location: string;
  readonly quantity: number;
}

interface CellRow {
  readonly sku_id: string;
  readonly warehouse_id: string;
  readonly pool: string;
  readonly available_qty: number;
  readonly reserved_qty: number;
  readonly allocated_qty: number;
  readonly version: number;
}

const SELECT_CELLS = `
  SELECT sku_id, warehouse_id, pool, available_qty, reserved_qty, allocated_qty, version
  FROM inventory`;

function toCell(row: CellRow): StoredCell {
  return {
    sku: row.sku_id,
    field: fieldOf(row),
    available: row.available_qty,
    reserved: row.reserved_qty,
    allocated: row.allocated_qty,
    version: row.version,
  };
}

/** The shared pool has no name of its own in Redis. */
export function fieldOf(row: { warehouse_id: string; pool: string }): string {
  return row.pool === 'shared' ? row.warehouse_id : `${row.warehouse_id}/${row.pool}`;
}

interface ReservationRow {
  readonly reservation_id: string;
  readonly created_epoch: number;
  readonly created_seq: number;
  readonly generation: number;
  readonly status: ReservationState;
  readonly version: number;
  readonly fingerprint: Buffer;
  readonly created_s: number;
  readonly deadline_s: number | null;
  readonly commit_fingerprint: number;
  readonly closed_by: ClosedBy | null;
  readonly operations: readonly Buffer[];
}

const RESERVATION_COLUMNS = `
  reservation_id, created_epoch, created_seq, generation, status, version, fingerprint, created_s,
  deadline_s, commit_fingerprint, closed_by, operations`;

interface LineRow {
  readonly reservation_id: string;
  readonly created_epoch: number;
  readonly created_seq: number;
  readonly line: number;
  readonly sku_id: string;
  readonly warehouse_id: string;
  readonly pool: string;
  readonly reserved: number;
  readonly allocated: number;
}

interface OperationRow {
  readonly operation_id: string;
  readonly generation: number;
  readonly fingerprint: Buffer;
  readonly created_s: number;
}

function toReservation(row: ReservationRow, units: readonly HeldUnits[]): FoldedReservation {
  return {
    id: row.reservation_id,
    generation: row.generation,
    state: row.status,
    version: row.version,
    createdEpoch: row.created_epoch,
    createdSeq: row.created_seq,
    createdMs: row.created_s * 1000,
    fingerprint: row.fingerprint.toString('hex'),
    deadlineS: row.deadline_s ?? 0,
    commitFingerprint: row.commit_fingerprint,
    closedBy: row.closed_by ?? undefined,
    units,
    operations: row.operations.map((key) => key.toString('hex')),
  };
}
