/**
 * What PostgreSQL says, each time in one REPEATABLE READ snapshot at or behind a place of the lane's
 * log, with that snapshot's own position.
 */
import type { QueryResultRow } from 'pg';
import { asSku, cellField } from '../../engine/domain/ids.ts';
import { comparePlaces, type Place, showPlace } from '../../engine/log/place.ts';
import type { Pool, PoolClient } from '../../engine/postgres/pool.ts';
import { type LanePosition, readPosition } from '../../engine/postgres/position.ts';
import type { TellDemand } from '../../engine/redis/demands.ts';
import type { CellName, StoredCell, StoredRecord } from './facts.ts';
import { showName } from './facts.ts';
import type { OperationSql, ReservationSql } from './stored-record.ts';
import { OPERATION_COLUMNS, RESERVATION_SQL, toOperation, toReservation } from './stored-record.ts';

/** PostgreSQL did not come to where Redis stands: there is nothing to compare with. */
export class StoredBehind extends Error {
  override readonly name = 'StoredBehind';
}

export interface StoredOptions {
  readonly pool: Pool;
  readonly lane: number;
  /** Told where PostgreSQL is waited for. */
  readonly demand: TellDemand;
  /** How long PostgreSQL's position may stand still while it is waited for. */
  readonly standStillMs: number;
  readonly signal: AbortSignal;
}

const POLL_MS = 10;
/** Sums over the whole ledger may take minutes, and nothing waits for them. */
const LONG_QUERY_TIMEOUT_MS = 1_800_000;
const CURSOR_ROWS = 500;

export class Stored {
  readonly lane: number;
  readonly #options: StoredOptions;
  #position: LanePosition | undefined;

  constructor(options: StoredOptions) {
    this.#options = options;
    this.lane = options.lane;
  }

  /** Where PostgreSQL stood when it was last asked. */
  get position(): Place {
    return this.#position ?? { epoch: 0, seq: 0 };
  }

  /** Resolves when PostgreSQL stands at or behind the place. */
  async reach(place: Place): Promise<void> {
    const { pool, lane, demand, standStillMs, signal } = this.#options;
    let last = '';
    let movedMs = performance.now();
    for (;;) {
      signal.throwIfAborted();
      const known = this.#position;
      if (known !== undefined && comparePlaces(known, place) >= 0) return;
      const position = await readPosition(pool, lane);
      this.#position = position;
      if (comparePlaces(position, place) >= 0) return;
      if (position.parked !== undefined)
        throw new StoredBehind(`the lane is parked: ${position.parked}`);
      if (last !== showPlace(position)) movedMs = performance.now();
      last = showPlace(position);
      if (performance.now() - movedMs > standStillMs) {
        throw new StoredBehind(
          `PostgreSQL stands still at ${last} for ${standStillMs} ms, Redis stood at ${showPlace(place)}: does the persister run?`,
        );
      }
      demand('persisted', place);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** One snapshot at or behind the place. */
  async snapshot<T>(place: Place, ask: (view: StoredView) => Promise<T>): Promise<T> {
    await this.reach(place);
    const client = await this.#options.pool.connect();
    let isOver = false;
    try {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      const position = await readPosition(client, this.lane);
      // A standby that was promoted behind: what stands here may be older than what was waited for.
      if (comparePlaces(position, place) < 0) {
        throw new StoredBehind(`PostgreSQL went back to ${showPlace(position)}: was it promoted?`);
      }
      this.#position = position;
      const result = await ask(new StoredView(client, this.lane, position));
      await client.query('COMMIT');
      isOver = true;
      return result;
    } finally {
      client.release(!isOver);
    }
  }
}

interface CellSql {
  readonly sku_id: string;
  readonly warehouse_id: string;
  readonly pool: string;
  readonly available_qty: number;
  readonly reserved_qty: number;
  readonly allocated_qty: number;
  readonly version: number;
  readonly epoch: number;
  readonly seq: number;
  readonly suspect: string | null;
}

export class StoredView {
  readonly position: LanePosition;
  readonly lane: number;
  readonly #client: PoolClient;
  #cursors = 0;

  constructor(client: PoolClient, lane: number, position: LanePosition) {
    this.#client = client;
    this.lane = lane;
    this.position = position;
  }

  async query<Row extends QueryResultRow>(
    text: string,
    values: readonly unknown[],
  ): Promise<Row[]> {
    return (await this.#client.query<Row>(text, [...values])).rows;
  }

  /** The rows of a long answer, in pieces; other questions may be asked in between. */
  async *pieces<Row extends QueryResultRow>(
    text: string,
    values: readonly unknown[],
  ): AsyncGenerator<Row[]> {
    await this.allowLong();
    this.#cursors += 1;
    const cursor = `reconcile_${this.#cursors}`;
    await this.#client.query({
      text: `DECLARE ${cursor} NO SCROLL CURSOR FOR ${text}`,
      values: [...values],
    });
    for (;;) {
      const config = {
        text: `FETCH ${CURSOR_ROWS} FROM ${cursor}`,
        query_timeout: LONG_QUERY_TIMEOUT_MS,
      };
      const { rows } = await this.#client.query<Row>(config);
      if (rows.length > 0) yield rows;
      if (rows.length < CURSOR_ROWS) break;
    }
    await this.#client.query(`CLOSE ${cursor}`);
  }

  /** For a question that reads a whole table, or a snapshot between two looks at Redis. */
  async allowLong(): Promise<void> {
    await this.#client.query('SET LOCAL statement_timeout = 0');
    await this.#client.query('SET LOCAL idle_in_transaction_session_timeout = 0');
  }

  async longQuery<Row extends QueryResultRow>(
    text: string,
    values: readonly unknown[],
  ): Promise<Row[]> {
    await this.allowLong();
    const config = { text, values: [...values], query_timeout: LONG_QUERY_TIMEOUT_MS };
    return (await this.#client.query<Row>(config)).rows;
  }

  /** By `<sku> <field>`, all cells of the SKUs. */
  async cellsOf(skus: readonly string[]): Promise<Map<string, StoredCell>> {
    const rows = await this.query<CellSql>(
      `SELECT sku_id, warehouse_id, pool, available_qty, reserved_qty, allocated_qty, version, epoch,
              seq, suspect
       FROM inventory WHERE lane = $1 AND sku_id = ANY ($2)`,
      [this.lane, [...new Set(skus)]],
    );
    return new Map(rows.map((row) => [showName(nameOf(row)), toCell(row)]));
  }

  /** SKUs that the log defined. */
  async definedOf(skus: readonly string[]): Promise<Set<string>> {
    const rows = await this.query<{ sku_id: string }>(
      'SELECT sku_id FROM products WHERE defined_epoch IS NOT NULL AND sku_id = ANY ($1)',
      [[...new Set(skus)]],
    );
    return new Set(rows.map((row) => row.sku_id));
  }

  /** Reservations and stock operations under each id, the newest first. */
  async recordsOf(ids: readonly string[]): Promise<Map<string, StoredRecord[]>> {
    const unique = [...new Set(ids)];
    const found = new Map<string, StoredRecord[]>();
    const add = (record: StoredRecord) => {
      const list = found.get(record.id);
      if (list === undefined) found.set(record.id, [record]);
      else list.push(record);
    };
    const rows = await this.query<ReservationSql>(
      `${RESERVATION_SQL} WHERE r.reservation_id = ANY ($1)
       ORDER BY created_epoch DESC, created_seq DESC`,
      [unique],
    );
    for (const row of rows) add(toReservation(row));
    const operations = await this.query<OperationSql>(
      `SELECT ${OPERATION_COLUMNS} FROM operations WHERE operation_id = ANY ($1)
       ORDER BY epoch DESC, seq DESC`,
      [unique],
    );
    for (const row of operations) add(toOperation(row));
    return found;
  }
}

/** Of the rows under an id, the one that stands in the generation; the newest when none does. */
export function rowIn(
  rows: readonly StoredRecord[] | undefined,
  generation: number,
): StoredRecord | undefined {
  return rows?.find((row) => row.generation === generation);
}

export function nameOf(row: { sku_id: string; warehouse_id: string; pool: string }): CellName {
  return { sku: asSku(row.sku_id), field: cellField(row.warehouse_id, row.pool) };
}

function toCell(row: CellSql): StoredCell {
  return {
    available: row.available_qty,
    reserved: row.reserved_qty,
    allocated: row.allocated_qty,
    version: row.version,
    epoch: row.epoch,
    seq: row.seq,
    suspect: row.suspect,
  };
}
