/**
 * One batch, one transaction, one message. Its first statement moves the position row from exactly
 * what the batch was read from; whoever was overtaken finds no such row, fails, and leaves everything
 * as it is. So a crash, a lost answer, or a second persister can neither lose a batch nor apply it
 * twice.
 *
 * PostgreSQL is no judge of facts: what the log says is applied; what cannot be true is marked on
 * the cell and reported.
 */
import pg from 'pg';
import type { ConsumerPosition } from '../engine/log/event-log.ts';
import { breathe } from '../engine/log/pause.ts';
import type { Pool, PoolClient } from '../engine/postgres/pool.ts';
import { endingStalled } from '../engine/postgres/stalled.ts';
import { type CrashPoint, noCrashPoint } from '../engine/runtime/crash-point.ts';
import { BatchEncoder, type EncodedBatch } from './encode-batch.ts';
import { literal, spellOut } from './literal.ts';
import type { Batch, BatchEnd, FinalRows } from './rows.ts';
import { callPrepared, runScript, type ScriptResult, type Statement } from './script.ts';
import { SESSION } from './session.ts';
import { readSql } from './sql-files.ts';

export interface Step {
  /** What the position row must say. */
  readonly from: ConsumerPosition;
  /** What it says afterwards. */
  readonly to: ConsumerPosition;
  /** Lane time of the last entry; undefined when there is none. */
  readonly timeMs: number | undefined;
  /** Why the lane stops here until a person looks. */
  readonly parked: string | undefined;
  readonly batch: Pick<BatchEnd, 'products' | 'days'>;
  readonly encoded: EncodedBatch;
}

/** A cell that was marked, with what it broke; without a cell when only a reservation is known. */
export interface Suspect {
  readonly sku: string | null;
  readonly warehouse: string | null;
  readonly pool: string | null;
  readonly cause: string;
}

export type Applied =
  | { readonly outcome: 'applied'; readonly suspects: readonly Suspect[] }
  | { readonly outcome: 'overtaken' };

export interface ApplierOptions {
  readonly pool: Pool;
  readonly lane: number;
  readonly crash?: CrashPoint;
}

/** Raised by sql/session.sql. */
const OVERTAKEN_SQLSTATE = 'HF001';
const PRODUCTS = readSql('products.sql');
const DAY_MS = 86_400_000;

/** Keeps one connection, with its prepared statements, until something fails on it. */
export class Applier {
  readonly #pool: Pool;
  readonly #lane: number;
  readonly #crash: CrashPoint;
  readonly #encoder: BatchEncoder;
  #client: PoolClient | undefined;
  /** Months that have a partition, as the first day. */
  readonly #months = new Set<string>();

  constructor({ pool, lane, crash = noCrashPoint }: ApplierOptions) {
    this.#pool = pool;
    this.#lane = lane;
    this.#crash = crash;
    this.#encoder = new BatchEncoder(lane);
  }

  encode(batch: Batch): EncodedBatch {
    return this.#encoder.encode(batch);
  }

  /** For the rows of the next batch; what came of one that was given up is forgotten. */
  begin(): FinalRows {
    return this.#encoder.begin();
  }

  /** The batch that was begun, served between other work. */
  async endBreathing(end: BatchEnd): Promise<EncodedBatch> {
    const steps = this.#encoder.endInSteps(end);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      await breathe();
    }
  }

  /** Throws when PostgreSQL fails; then it is not known whether the batch was committed. */
  async apply(step: Step): Promise<Applied> {
    const client = await this.#connection();
    try {
      await this.#ensurePartitions(client, step.batch);
      this.#crash('persister.before_begin');
      const suspects = await this.#commit(client, this.#transaction(step));
      if (suspects === undefined) return { outcome: 'overtaken' };
      this.#crash('persister.after_commit');
      return { outcome: 'applied', suspects };
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Gives the connection up, and with it a transaction that is under way. */
  close(): void {
    this.#client?.release(true);
    this.#client = undefined;
  }

  async #connection(): Promise<PoolClient> {
    if (this.#client !== undefined) return this.#client;
    const client = await this.#pool.connect();
    // A connection that breaks between two batches fails the next one; without a listener the
    // process would end.
    client.on('error', () => this.close());
    try {
      await client.query(SESSION);
    } catch (error) {
      client.release(true);
      throw error;
    }
    this.#client = client;
    return client;
  }

  async #ensurePartitions(client: PoolClient, { days }: Step['batch']): Promise<void> {
    const months = new Set<string>();
    for (const day of days) {
      months.add(firstDay(day, 0));
      // Made ahead, so that the turn of a month costs no sale a wait.
      months.add(firstDay(day, 1));
    }
    for (const month of months) {
      if (this.#months.has(month)) continue;
      await client.query('SELECT ensure_movement_partition($1)', [month]);
      this.#months.add(month);
    }
  }

  #transaction({ from, to, timeMs, parked, batch, encoded }: Step): Statement[] {
    const move = [
      this.#lane,
      ...[from.term, from.epoch, from.seq, from.nonce, from.offset],
      ...[to.term, to.epoch, to.seq, to.nonce, to.offset],
      timeMs ?? 0,
      parked,
    ];
    return [
      { statement: 'BEGIN' },
      callPrepared('move_position', move.map(literal)),
      ...encoded.entries,
      ...encoded.changed,
      ...(batch.products.length > 0 ? [defineProducts(batch.products)] : []),
      ...encoded.created,
      { statement: 'COMMIT' },
    ];
  }

  /** What is suspect; undefined: overtaken. */
  async #commit(client: PoolClient, transaction: Statement[]): Promise<Suspect[] | undefined> {
    const run = () => runScript(client, transaction, this.#crash);
    try {
      const { rows } = await endingStalled(this.#pool, client, run);
      return rows.map(toSuspect);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== OVERTAKEN_SQLSTATE) throw error;
      await client.query('ROLLBACK');
      return undefined;
    }
  }
}

/** First day of the month, so many months after that of the day, which counts from 1970. */
function firstDay(day: number, months: number): string {
  const date = new Date(day * DAY_MS);
  const first = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1));
  return first.toISOString().slice(0, 'YYYY-MM-DD'.length);
}

function defineProducts(products: Batch['products']): Statement {
  const rows = products.map(({ sku, epoch, seq }) => ({ sku_id: sku, epoch, seq }));
  return { statement: spellOut(PRODUCTS, [JSON.stringify(rows)]) };
}

function toSuspect(row: ScriptResult['rows'][number]): Suspect {
  const { sku_id: sku = null, warehouse_id: warehouse = null, pool = null, cause } = row;
  return { sku, warehouse, pool, cause: cause ?? '' };
}
