/**
 * One batch, one transaction. Its first statement moves the position row from exactly what the
 * batch was read from; whoever was overtaken finds no such row and leaves everything as it is. So
 * a crash, a lost answer to COMMIT, or a second persister can neither lose a batch nor apply it
 * twice.
 *
 * PostgreSQL is no judge of facts: what the log says is applied; what cannot be true is marked on
 * the cell and reported.
 */
import type { ConsumerPosition } from '../engine/log/event-log.ts';
import { breathe } from '../engine/log/pause.ts';
import type { Pool, PoolClient } from '../engine/postgres/pool.ts';
import { endingStalled } from '../engine/postgres/stalled.ts';
import { type CrashPoint, noCrashPoint } from '../engine/runtime/crash-point.ts';
import { CopyWriter } from './copy-writer.ts';
import { BatchEncoder, type Copy, type EncodedBatch, encodeCells } from './encode-batch.ts';
import type { Batch, CellRow } from './rows.ts';
import { runScript, type ScriptResult, type Statement, spellOut } from './script.ts';
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
  readonly batch: Batch;
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

const SQL = {
  session: readSql('session.sql'),
  position: readSql('position.sql'),
  settle: readSql('settle.sql'),
  products: readSql('products.sql'),
  cells: readSql('cells.sql'),
};

/** Keeps one connection, with its temporary tables, until something fails on it. */
export class Applier {
  readonly #pool: Pool;
  readonly #lane: number;
  readonly #crash: CrashPoint;
  readonly #encoder: BatchEncoder;
  readonly #cells = new CopyWriter();
  readonly #settle: Statement;
  #client: PoolClient | undefined;
  /** Months that have a partition, as the first day. */
  readonly #months = new Set<string>();

  constructor({ pool, lane, crash = noCrashPoint }: ApplierOptions) {
    this.#pool = pool;
    this.#lane = lane;
    this.#crash = crash;
    this.#encoder = new BatchEncoder(lane);
    this.#settle = { statement: spellOut(SQL.settle, [lane]) };
  }

  encode(batch: Batch): EncodedBatch {
    return this.#encoder.encode(batch);
  }

  /** The same, served between other work; the next one begins when this one has ended. */
  async encodeBreathing(batch: Batch): Promise<EncodedBatch> {
    const steps = this.#encoder.encodeInSteps(batch);
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
      if (!(await this.#movePosition(client, step))) {
        await client.query('ROLLBACK');
        return { outcome: 'overtaken' };
      }
      this.#crash('persister.after_position');
      const suspects = await this.#write(client, step);
      this.#crash('persister.before_commit');
      await client.query('COMMIT');
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
      await client.query(SQL.session);
    } catch (error) {
      client.release(true);
      throw error;
    }
    this.#client = client;
    return client;
  }

  async #ensurePartitions(client: PoolClient, batch: Batch): Promise<void> {
    const months = new Set<string>();
    for (const { timeMs } of batch.entries) {
      months.add(firstDay(timeMs, 0));
      // Made ahead, so that the turn of a month costs no sale a wait.
      months.add(firstDay(timeMs, 1));
    }
    for (const month of months) {
      if (this.#months.has(month)) continue;
      await client.query('SELECT ensure_movement_partition($1)', [month]);
      this.#months.add(month);
    }
  }

  /** Begins the transaction. */
  async #movePosition(client: PoolClient, { from, to, timeMs, parked }: Step): Promise<boolean> {
    const statement = spellOut(SQL.position, [
      this.#lane,
      ...[from.term, from.epoch, from.seq, from.nonce, from.offset],
      ...[to.term, to.epoch, to.seq, to.nonce, to.offset],
      timeMs ?? 0,
      parked,
    ]);
    const move = () => runScript(client, [{ statement: 'BEGIN' }, { statement }]);
    const { tags } = await endingStalled(this.#pool, client, move);
    return tags.at(-1) === 'UPDATE 1';
  }

  async #write(client: PoolClient, { batch, encoded }: Step): Promise<Suspect[]> {
    const { entries, settled, created } = encoded;
    const hasSettled = settled.length > 0;
    const { rows } = hasSettled
      ? await runScript(client, [...entries, ...settled, this.#settle])
      : { rows: [] };
    this.#crash('persister.after_settle');
    const copies = hasSettled ? created : [...entries, ...created];
    return await this.#create(client, batch, copies, rows.map(toSuspect));
  }

  /** What is new; and the cells, which `marked` says something about. */
  async #create(
    client: PoolClient,
    batch: Batch,
    copies: readonly Copy[],
    marked: readonly Suspect[],
  ): Promise<Suspect[]> {
    await defineProducts(client, batch.products);
    const cells = encodeCells(markCells(batch.cells, marked), this.#lane, this.#cells);
    const merge = cells.length === 0 ? [] : [{ statement: SQL.cells }];
    const statements = [...copies, ...cells, ...merge];
    if (statements.length === 0) return [...marked];
    const { rows } = await runScript(client, statements);
    this.#crash('persister.after_cells');
    if (merge.length === 0) return [...marked];
    return [...marked.filter(({ sku }) => sku === null), ...rows.map(toSuspect)];
  }
}

/** First day of the month, so many months after `timeMs`. */
function firstDay(timeMs: number, months: number): string {
  const date = new Date(timeMs);
  const first = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1));
  return first.toISOString().slice(0, 'YYYY-MM-DD'.length);
}

async function defineProducts(client: PoolClient, products: Batch['products']): Promise<void> {
  if (products.length === 0) return;
  await client.query(SQL.products, [
    products.map(({ sku }) => sku),
    products.map(({ epoch }) => epoch),
    products.map(({ seq }) => seq),
  ]);
}

function toSuspect(row: ScriptResult['rows'][number]): Suspect {
  const { sku_id: sku = null, warehouse_id: warehouse = null, pool = null, cause } = row;
  return { sku, warehouse, pool, cause: cause ?? '' };
}

function markCells(cells: readonly CellRow[], suspects: readonly Suspect[]): readonly CellRow[] {
  if (suspects.length === 0) return cells;
  const causes = new Map<string, string>();
  for (const { sku, warehouse, pool, cause } of suspects) {
    const name = `${sku} ${warehouse} ${pool}`;
    if (!causes.has(name)) causes.set(name, cause);
  }
  return cells.map((cell) => ({
    ...cell,
    suspect: cell.suspect ?? causes.get(`${cell.sku} ${cell.warehouse} ${cell.pool}`),
  }));
}
