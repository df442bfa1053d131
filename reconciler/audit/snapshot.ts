/**
 * PostgreSQL as it stood at one position: one REPEATABLE READ transaction, read only, from which
 * every question of the audit is answered. Big answers come through a cursor, in pieces. A second
 * transaction may stand on the same snapshot, for what PostgreSQL can reckon meanwhile.
 */
import type { QueryResultRow } from 'pg';
import type { Pool, PoolClient } from '../../engine/postgres/pool.ts';
import type { EntryId } from '../../engine/testing/auditor/decode.ts';
import type { CellBalances } from '../../engine/testing/auditor/decode-record.ts';
import type { FoldedReservation } from '../../engine/testing/auditor/reservation.ts';
import type { DoneOperation } from './compare.ts';
import type { Place } from './place.ts';
import {
  fieldOf,
  type ReservationRow,
  ReservationRows,
  selectReservations,
} from './stored-reservations.ts';

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
  readonly #pool: Pool;
  readonly #client: PoolClient;
  readonly #lane: number;
  readonly position: StoredPosition;
  #cursors = 0;
  #beside: Snapshot | undefined;
  #isClosed = false;

  private constructor(pool: Pool, client: PoolClient, lane: number, position: StoredPosition) {
    this.#pool = pool;
    this.#client = client;
    this.#lane = lane;
    this.position = position;
  }

  static async open(pool: Pool, lane: number): Promise<Snapshot> {
    return Snapshot.#open(pool, lane);
  }

  /** The same on a connection of its own, which is closed with this one. */
  async beside(): Promise<Snapshot> {
    const [exported] = await this.query<{ id: string }>('SELECT pg_export_snapshot() AS id');
    this.#beside ??= await Snapshot.#open(this.#pool, this.#lane, exported?.id);
    return this.#beside;
  }

  static async #open(pool: Pool, lane: number, exported?: string): Promise<Snapshot> {
    const client = await pool.connect();
    try {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      if (exported !== undefined) {
        await client.query(`SET TRANSACTION SNAPSHOT ${client.escapeLiteral(exported)}`);
      }
      // Between two questions the audit reads Redis; nothing waits for its transaction.
      await client.query('SET LOCAL idle_in_transaction_session_timeout = 0');
      await client.query('SET LOCAL statement_timeout = 0');
      // Every cursor is read to its end, and to compile a query takes longer than most of them do.
      await client.query('SET LOCAL cursor_tuple_fraction = 1');
      await client.query('SET LOCAL jit = off');
      return new Snapshot(pool, client, lane, await readStoredPosition(client, lane));
    } catch (error) {
      client.release(true);
      throw error;
    }
  }

  /** Waits for the question that is asked; who asks another one is refused. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#beside?.close();
    try {
      await this.#client.query('ROLLBACK');
      this.#client.release();
    } catch {
      this.#client.release(true);
    }
  }

  async query<Row extends QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    // Its connection may be another's by now.
    if (this.#isClosed) throw new Error('the snapshot is closed');
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
    const fetch = async (): Promise<Row[]> =>
      await this.query<Row>(`FETCH ${PIECE_ROWS} FROM ${cursor}`);
    let next = fetch();
    for (;;) {
      const rows = await next;
      if (rows.length === 0) break;
      // PostgreSQL makes the next piece while this one is looked at; who leaves early ends it unread.
      const isLast = rows.length < PIECE_ROWS;
      next = isLast ? Promise.resolve([]) : fetch();
      next.catch(() => undefined);
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

  /** Those of these SKUs that the log defined. */
  async definedSkus(skus: readonly string[]): Promise<Set<string>> {
    const rows = await this.query<{ sku_id: string }>(
      'SELECT sku_id FROM products WHERE defined_epoch IS NOT NULL AND sku_id = ANY ($1)',
      [skus],
    );
    return new Set(rows.map((row) => row.sku_id));
  }

  /** All reservations under each id, the newest first: a client may use an id again. */
  async reservations(ids: readonly string[]): Promise<Map<string, FoldedReservation[]>> {
    const text = selectReservations('reservation_id = ANY ($1)');
    const rows = new ReservationRows();
    const all = [...rows.feed(await this.query<ReservationRow>(text, [ids])), ...rows.end()];
    const found = new Map<string, FoldedReservation[]>();
    for (const each of all) {
      const list = found.get(each.id) ?? [];
      found.set(each.id, list);
      list.push(each);
    }
    return found;
  }

  /** By id, the newest first: live holds, and all that a retry may ask for since `sinceDay`. */
  async *reservationsInRedis(sinceDay: number): AsyncGenerator<FoldedReservation[]> {
    const text = selectReservations(`r.lane = $1 AND (r.status = 'held' OR r.generation >= $2)`);
    const gathered = new ReservationRows();
    for await (const rows of this.pieces<ReservationRow>(text, [this.#lane, sinceDay])) {
      yield gathered.feed(rows);
    }
    yield gathered.end();
  }

  /** Those that a retry may ask for since `sinceDay`. */
  async *operationsInRedis(sinceDay: number): AsyncGenerator<DoneOperation[]> {
    const text = `SELECT ${OPERATION_COLUMNS} FROM operations WHERE lane = $1 AND generation >= $2`;
    for await (const rows of this.pieces<OperationRow>(text, [this.#lane, sinceDay])) {
      yield rows.map(toOperation);
    }
  }

  async operations(ids: readonly string[]): Promise<Map<string, DoneOperation>> {
    const rows = await this.query<OperationRow>(
      `SELECT DISTINCT ON (operation_id) ${OPERATION_COLUMNS} FROM operations WHERE operation_id = ANY ($1)
       ORDER BY operation_id, epoch DESC, seq DESC`,
      [ids],
    );
    return new Map(rows.map((row) => [row.operation_id, toOperation(row)]));
  }

  /** Entries that were applied behind `from`, in order. */
  async *entries(from: Place): AsyncGenerator<EntryRow[]> {
    const text = `
      SELECT epoch, seq, nonce, pred_epoch, pred_seq, pred_nonce FROM entries
      WHERE lane = $1 AND (epoch, seq) >= ($2, $3) ORDER BY epoch, seq`;
    yield* this.pieces<EntryRow>(text, [this.#lane, from.epoch, from.seq]);
  }

  /** Movements of the entries behind `from`, in their order; like ones of an entry as their sum. */
  async *movements(from: Place): AsyncGenerator<MovementRow[]> {
    const text = `
      SELECT epoch, seq, sku_id, source_warehouse, dest_warehouse, pool,
             source_location, dest_location, sum(quantity)::bigint AS quantity
      FROM stock_movements
      WHERE lane = $1 AND (epoch, seq) >= ($2, $3)
      GROUP BY epoch, seq, sku_id, source_warehouse, dest_warehouse, pool,
               source_location, dest_location
      ORDER BY epoch, seq`;
    yield* this.pieces<MovementRow>(text, [this.#lane, from.epoch, from.seq]);
  }
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

const OPERATION_COLUMNS = `operation_id, generation, encode(fingerprint, 'hex') AS fingerprint,
  created_s`;

interface OperationRow {
  readonly operation_id: string;
  readonly generation: number;
  readonly fingerprint: string;
  readonly created_s: number;
}

function toOperation(row: OperationRow): DoneOperation {
  const { operation_id: id, generation, fingerprint, created_s: createdS } = row;
  return { id, generation, fingerprint, createdS };
}
