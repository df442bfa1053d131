/**
 * What Redis, the log and PostgreSQL say when everything is over, as plain data: nothing here is
 * compared, and nothing is read with the product's codecs. `read-state.ts` reads it.
 */
import type { DecodedEntry, EntryId } from '../auditor/decode.ts';
import type { CellBalances } from '../auditor/decode-record.ts';

export interface StoredLine {
  readonly sku: string;
  readonly requested: number;
  readonly reserved: number;
  readonly allocated: number;
}

/** A row of `reservations` with its lines. */
export interface StoredReservation {
  readonly id: string;
  readonly createdEpoch: number;
  readonly createdSeq: number;
  readonly status: string;
  /** What the client called it; null where no client did. */
  readonly orderId: string | null;
  readonly lines: readonly StoredLine[];
}

export interface StoredCell extends CellBalances {
  /** Why PostgreSQL does not trust it; null when it does. */
  readonly suspect: string | null;
}

export interface FinalState {
  /** When they were seen to stand there, by performance.now(). */
  readonly readAtMs: number;
  /** Where all three stood when they were read. */
  readonly position: { readonly epoch: number; readonly seq: number };
  readonly redis: {
    readonly cells: ReadonlyMap<string, CellBalances>;
    /** State of each record that stands under one of the run's ids. */
    readonly records: ReadonlyMap<string, string>;
  };
  readonly postgres: {
    readonly cells: ReadonlyMap<string, StoredCell>;
    readonly reservations: readonly StoredReservation[];
    /** Units that the ledger says were received, by SKU. */
    readonly received: ReadonlyMap<string, number>;
    /** Whether PostgreSQL has applied an entry, by `showEntry`. */
    readonly entries: ReadonlySet<string>;
  };
  /**
   * Entries that count, oldest first, from the lane's first one. The stream of an embedded log lacks
   * those that a node lost and PostgreSQL had; Kafka lacks none. Undefined: the log was not read.
   */
  readonly log: readonly DecodedEntry[] | undefined;
  readonly isLogWhole: boolean;
}

export function showEntry({ epoch, seq, nonce }: EntryId): string {
  return `${epoch}-${seq} (${nonce})`;
}
