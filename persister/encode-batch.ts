/**
 * A batch as the COPYs that bring it to PostgreSQL, in the order in which they run. Made outside of
 * the transaction, while the batch before it is being committed: rows that are final when they come
 * are written at once, the others when the batch is over.
 */
import type { Entry } from '../engine/events/entry.ts';
import { CopyWriter } from './copy-writer.ts';
import type {
  Batch,
  BatchEnd,
  CellRow,
  CreatedRow,
  FinalRows,
  MovementRow,
  OperationRow,
  SettledRow,
} from './rows.ts';
import {
  CELLS,
  CREATED,
  CREATED_LINES,
  ENTRIES,
  MOVEMENTS,
  OPERATIONS,
  SETTLED,
  SETTLED_LINES,
  type Table,
} from './tables.ts';

export interface Copy {
  readonly statement: string;
  readonly bytes: Buffer;
}

export interface EncodedBatch {
  readonly entries: readonly Copy[];
  readonly settled: readonly Copy[];
  /** What is new, and the ledger. */
  readonly created: readonly Copy[];
  readonly cells: readonly Copy[];
}

/** Rows after which the work may be interrupted: about a millisecond. */
const ROWS_PER_STEP = 1_024;

/** One batch at a time: it keeps its buffers for the next. */
export class BatchEncoder implements FinalRows {
  readonly #entries: TableEncoder<Entry>;
  readonly #settled: TableEncoder<SettledRow>;
  readonly #settledLines: TableEncoder<SettledRow>;
  readonly #created: TableEncoder<CreatedRow>;
  readonly #createdLines: TableEncoder<CreatedRow>;
  readonly #movements: TableEncoder<MovementRow>;
  readonly #operations: TableEncoder<OperationRow>;
  readonly #cells: TableEncoder<CellRow>;

  constructor(lane: number) {
    this.#entries = new TableEncoder(ENTRIES, lane);
    this.#settled = new TableEncoder(SETTLED, lane);
    this.#settledLines = new TableEncoder(SETTLED_LINES, lane);
    this.#created = new TableEncoder(CREATED, lane);
    this.#createdLines = new TableEncoder(CREATED_LINES, lane);
    this.#movements = new TableEncoder(MOVEMENTS, lane);
    this.#operations = new TableEncoder(OPERATIONS, lane);
    this.#cells = new TableEncoder(CELLS, lane);
  }

  /** Forgets what came of a batch that was given up. */
  begin(): FinalRows {
    this.#entries.clear();
    this.#settled.clear();
    this.#settledLines.clear();
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
    yield* this.#settled.addInSteps(settled);
    yield* this.#settledLines.addInSteps(settled.filter(hasLines));
    yield* this.#created.addInSteps(created);
    yield* this.#createdLines.addInSteps(created.filter(hasLines));
    yield* this.#cells.addInSteps(cells);
    return {
      entries: this.#entries.take(),
      settled: [...this.#settled.take(), ...this.#settledLines.take()],
      created: [
        ...this.#created.take(),
        ...this.#createdLines.take(),
        ...this.#movements.take(),
        ...this.#operations.take(),
      ],
      cells: this.#cells.take(),
    };
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

  *addInSteps(rows: readonly Row[]): Generator<undefined, void> {
    for (const row of rows) {
      this.add(row);
      if (this.#count % ROWS_PER_STEP === 0) yield;
    }
  }

  /** One COPY, or none when no row came. */
  take(): Copy[] {
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
