/**
 * A batch as the statements that bring it to PostgreSQL, in the order in which they run. Made outside of
 * the transaction, while the batch before it is being committed: rows that are final when they come
 * are written at once, the others when the batch is over.
 */
import type { Entry } from '../engine/events/entry.ts';
import { ColumnArrays } from './column-arrays.ts';
import { CopyWriter } from './copy-writer.ts';
import { literal } from './literal.ts';
import { CELL_COLUMNS, LINE_COLUMNS, SETTLED_COLUMNS } from './merge-columns.ts';
import type {
  Batch,
  BatchEnd,
  CreatedRow,
  FinalRows,
  MovementRow,
  OperationRow,
  SettledRow,
} from './rows.ts';
import { callPrepared, type Statement } from './script.ts';
import { CREATED, CREATED_LINES, ENTRIES, MOVEMENTS, OPERATIONS, type Table } from './tables.ts';

export interface EncodedBatch {
  readonly entries: readonly Statement[];
  /** What rows that are there become. */
  readonly changed: readonly Statement[];
  /** What is new, and the ledger. */
  readonly created: readonly Statement[];
}

/** Rows after which the work may be interrupted: about a millisecond. */
const ROWS_PER_STEP = 1_024;

/** One batch at a time: it keeps its buffers for the next. */
export class BatchEncoder implements FinalRows {
  readonly #lane: number;
  readonly #entries: TableEncoder<Entry>;
  readonly #settled = new ColumnArrays(SETTLED_COLUMNS);
  readonly #lines = new ColumnArrays(LINE_COLUMNS);
  readonly #cells = new ColumnArrays(CELL_COLUMNS);
  readonly #created: TableEncoder<CreatedRow>;
  readonly #createdLines: TableEncoder<CreatedRow>;
  readonly #movements: TableEncoder<MovementRow>;
  readonly #operations: TableEncoder<OperationRow>;

  constructor(lane: number) {
    this.#lane = lane;
    this.#entries = new TableEncoder(ENTRIES, lane);
    this.#created = new TableEncoder(CREATED, lane);
    this.#createdLines = new TableEncoder(CREATED_LINES, lane);
    this.#movements = new TableEncoder(MOVEMENTS, lane);
    this.#operations = new TableEncoder(OPERATIONS, lane);
  }

  /** Forgets what came of a batch that was given up. */
  begin(): FinalRows {
    this.#entries.clear();
    this.#settled.clear();
    this.#lines.clear();
    this.#created.clear();
    this.#createdLines.clear();
    this.#movements.clear();
    this.#operations.clear();
    this.#cells.clear();
    return this;
  }

  entry(row: Entry): void {
    this.#entries.add(row);
  }

  movement(row: MovementRow): void {
    this.#movements.add(row);
  }

  operation(row: OperationRow): void {
    this.#operations.add(row);
  }

  /** A batch of which all rows are there. */
  encode(batch: Batch): EncodedBatch {
    this.begin();
    for (const row of batch.entries) this.entry(row);
    for (const row of batch.movements) this.movement(row);
    for (const row of batch.operations) this.operation(row);
    const steps = this.endInSteps(batch);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  /** The batch that was begun, with pauses. */
  *endInSteps({ settled, created, cells }: BatchEnd): Generator<undefined, EncodedBatch> {
    yield* inSteps(settled, (row) => this.#settle(row));
    yield* inSteps(created, (row) => this.#created.add(row));
    yield* inSteps(created.filter(hasLines), (row) => this.#createdLines.add(row));
    yield* inSteps(cells, (row) => this.#cells.add(row));
    return {
      entries: this.#entries.take(),
      changed: this.#takeChanged(),
      created: [
        ...this.#created.take(),
        ...this.#createdLines.take(),
        ...this.#movements.take(),
        ...this.#operations.take(),
      ],
    };
  }

  #settle(row: SettledRow): void {
    this.#settled.add(row);
    const settled = this.#settled.count;
    for (const line of row.lines) this.#lines.add({ settled, line });
  }

  #takeChanged(): Statement[] {
    if (this.#settled.count + this.#cells.count === 0) return [];
    const arrays = [this.#settled, this.#lines, this.#cells].flatMap((each) => each.take());
    return [callPrepared('merge', [literal(this.#lane), ...arrays])];
  }
}

function* inSteps<Row>(rows: readonly Row[], add: (row: Row) => void): Generator<undefined, void> {
  let count = 0;
  for (const row of rows) {
    add(row);
    count += 1;
    if (count % ROWS_PER_STEP === 0) yield;
  }
}

/** The rows of one table, as they come. */
class TableEncoder<Row> {
  readonly #table: Table<Row>;
  readonly #lane: number;
  readonly #out = new CopyWriter();
  #count = 0;

  constructor(table: Table<Row>, lane: number) {
    this.#table = table;
    this.#lane = lane;
  }

  add(row: Row): void {
    this.#table.write(this.#out, row, this.#lane);
    this.#count += 1;
  }

  /** One COPY, or none when no row came. */
  take(): Statement[] {
    if (this.#count === 0) return [];
    this.#count = 0;
    return [{ statement: this.#table.copy, bytes: this.#out.take() }];
  }

  clear(): void {
    this.#count = 0;
    this.#out.clear();
  }
}

function hasLines({ lines }: { readonly lines: readonly unknown[] }): boolean {
  return lines.length > 0;
}
