/**
 * What the log says has changed since the snapshot of PostgreSQL: the audit reads Redis while the
 * lane goes on, and compares each piece with the snapshot *plus* these changes, at the position at
 * which the piece was read. On a quiet lane it stays empty.
 */
import type {
  CellAfter,
  DecodedEntry,
  EntryId,
  ReservationChange,
  StockChange,
} from '../../engine/testing/auditor/decode.ts';

/** The log does not go on where the tail ended: it was trimmed meanwhile. The audit starts again. */
export class TailGap extends Error {
  override readonly name = 'TailGap';
}

/** So much was written during the audit that its memory would not be bounded. */
export class TailTooLong extends Error {
  override readonly name = 'TailTooLong';
}

export interface TailChange {
  readonly change: ReservationChange;
  readonly entry: DecodedEntry;
}

export class LogTail {
  readonly #cells = new Map<string, CellAfter>();
  readonly #reservations = new Map<string, TailChange[]>();
  readonly #operations = new Map<string, { change: StockChange; entry: DecodedEntry }>();
  readonly #products = new Set<string>();
  readonly #changesMax: number;
  #position: EntryId;
  #changes = 0;

  constructor(from: EntryId, changesMax: number) {
    this.#position = from;
    this.#changesMax = changesMax;
  }

  get position(): EntryId {
    return this.#position;
  }

  get changes(): number {
    return this.#changes;
  }

  feed(entries: readonly DecodedEntry[]): void {
    for (const entry of entries) this.#feedOne(entry);
  }

  #feedOne(entry: DecodedEntry): void {
    const { predecessor } = entry;
    const { epoch, seq, nonce } = this.#position;
    if (predecessor.epoch !== epoch || predecessor.seq !== seq || predecessor.nonce !== nonce) {
      const follows = `${predecessor.epoch}-${predecessor.seq} (${predecessor.nonce})`;
      throw new TailGap(
        `entry ${entry.id.epoch}-${entry.id.seq} follows ${follows}, not ${epoch}-${seq} (${nonce})`,
      );
    }
    this.#changes += entry.changes.length;
    if (this.#changes > this.#changesMax) {
      throw new TailTooLong(
        `${this.#changes} changes were written since the audit began; audit a quieter hour`,
      );
    }
    for (const cell of entry.cells) this.#cells.set(`${cell.sku} ${cell.field}`, cell);
    for (const change of entry.changes) {
      if (change.type === 'product_defined') this.#products.add(change.sku);
      else if (change.type === 'stock_moved') this.#operations.set(change.id, { change, entry });
      else {
        const list = this.#reservations.get(change.id) ?? [];
        this.#reservations.set(change.id, list);
        list.push({ change, entry });
      }
    }
    this.#position = entry.id;
  }

  cell(sku: string, field: string): CellAfter | undefined {
    return this.#cells.get(`${sku} ${field}`);
  }

  changesOf(id: string): readonly TailChange[] {
    return this.#reservations.get(id) ?? [];
  }

  operation(id: string): { change: StockChange; entry: DecodedEntry } | undefined {
    return this.#operations.get(id);
  }

  defines(sku: string): boolean {
    return this.#products.has(sku);
  }
}
