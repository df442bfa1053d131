/**
 * A batch as the COPYs that bring it to PostgreSQL, in the order in which they run. Made outside of
 * the transaction, while the batch before it is being committed.
 */
import { CopyWriter } from './copy-writer.ts';
import type { Batch, CellRow, CreatedRow, SettledRow } from './rows.ts';
import {
  CELLS,
  CREATED,
  CREATED_LINES,
  ENTRIES,
  MOVEMENTS,
  OPERATIONS,
  type OwnedLine,
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
}

export class BatchEncoder {
  readonly #lane: number;
  readonly #out = new CopyWriter();

  constructor(lane: number) {
    this.#lane = lane;
  }

  encode(batch: Batch): EncodedBatch {
    return {
      entries: this.#rows(ENTRIES, batch.entries),
      settled: [
        ...this.#rows(SETTLED, batch.settled),
        ...this.#rows(SETTLED_LINES, linesOf(batch.settled)),
      ],
      created: [
        ...this.#rows(CREATED, batch.created),
        ...this.#rows(CREATED_LINES, linesOf(batch.created)),
        ...this.#rows(MOVEMENTS, batch.movements),
        ...this.#rows(OPERATIONS, batch.operations),
      ],
    };
  }

  /** Apart from the rest, because settling may mark cells. */
  encodeCells(cells: readonly CellRow[]): readonly Copy[] {
    return this.#rows(CELLS, cells);
  }

  /** One COPY, or none when there are no rows. */
  #rows<Row>(table: Table<Row>, rows: Iterable<Row>): Copy[] {
    let count = 0;
    for (const row of rows) {
      table.write(this.#out, row, this.#lane);
      count++;
    }
    return count === 0 ? [] : [{ statement: table.copy, bytes: this.#out.take() }];
  }
}

function* linesOf<Owner extends CreatedRow | SettledRow>(
  owners: readonly Owner[],
): Generator<OwnedLine<Owner>> {
  for (const owner of owners) {
    for (const line of owner.lines) yield { owner, line };
  }
}
