/**
 * A batch as the COPYs that bring it to PostgreSQL, in the order in which they run. Made outside of
 * the transaction, while the batch before it is being committed.
 */
import { CopyWriter } from './copy-writer.ts';
import type { Batch } from './rows.ts';
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

export class BatchEncoder {
  readonly #lane: number;
  readonly #out = new CopyWriter();

  constructor(lane: number) {
    this.#lane = lane;
  }

  encode(batch: Batch): EncodedBatch {
    const steps = this.encodeInSteps(batch);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  /** The same, with pauses. Only one at a time: all of them write into one buffer. */
  *encodeInSteps(batch: Batch): Generator<undefined, EncodedBatch> {
    const { settled, created } = batch;
    // Whatever became of the one before.
    this.#out.clear();
    return {
      entries: yield* this.#rows(ENTRIES, batch.entries),
      settled: [
        ...(yield* this.#rows(SETTLED, settled)),
        ...(yield* this.#rows(SETTLED_LINES, settled.filter(hasLines))),
      ],
      created: [
        ...(yield* this.#rows(CREATED, created)),
        ...(yield* this.#rows(CREATED_LINES, created.filter(hasLines))),
        ...(yield* this.#rows(MOVEMENTS, batch.movements)),
        ...(yield* this.#rows(OPERATIONS, batch.operations)),
      ],
      cells: yield* this.#rows(CELLS, batch.cells),
    };
  }

  /** One COPY, or none when there are no rows. */
  *#rows<Row>(table: Table<Row>, rows: readonly Row[]): Generator<undefined, Copy[]> {
    let count = 0;
    for (const row of rows) {
      table.write(this.#out, row, this.#lane);
      count++;
      if (count % ROWS_PER_STEP === 0) yield;
    }
    return count === 0 ? [] : [{ statement: table.copy, bytes: this.#out.take() }];
  }
}

function hasLines({ lines }: { readonly lines: readonly unknown[] }): boolean {
  return lines.length > 0;
}
