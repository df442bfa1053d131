/**
 * An entry of a lane's log: all the changes of one batch, each with its result, so that a reader
 * needs nothing else to follow. `entry-codec.ts` gives its bytes; `README.md` the layout.
 */
import type { Cell } from '../domain/cell.ts';
import type { CellField, ReservationId, Sku } from '../domain/ids.ts';
import type { ReservationRecord } from '../domain/reservation.ts';

/** Names one entry for ever. The nonce tells a fork (same epoch and seq, other history) apart. */
export interface EntryKey {
  readonly epoch: number;
  readonly seq: number;
  /** 8 bytes from the engine that wrote it. */
  readonly nonce: Buffer;
}

/** Before the first entry: the position of an empty Redis and of an empty PostgreSQL. */
export const NEVER: EntryKey = { epoch: 0, seq: 0, nonce: Buffer.alloc(8) };

export const ENTRY_KINDS = ['batch', 'opened', 'tick'] as const;
export type EntryKind = (typeof ENTRY_KINDS)[number];

/** A cell after the entry. */
export interface CellResult extends Cell {
  readonly sku: Sku;
  readonly field: CellField;
}

/** Units of one line at one cell; `cell` is an index into the entry's `cells`. */
export interface Move {
  readonly line: number;
  readonly cell: number;
  readonly quantity: number;
}

interface ReservationChange {
  readonly id: ReservationId;
  /** Generation in which the record stands in Redis (see domain/reservation-id.ts). */
  readonly generation: number;
}

export interface Reserved extends ReservationChange {
  readonly type: 'reserved';
  readonly fingerprint: Buffer;
  readonly deadlineS: number;
  /** JSON that the engine wrote (order, customer, channel, actor); empty for none. */
  readonly attributes: string;
  readonly lines: readonly {
    readonly line: number;
    readonly requested: number;
    readonly placements: readonly { readonly cell: number; readonly quantity: number }[];
  }[];
}

/** Reserved units become allocated; the rest of the hold is freed. */
export interface Committed extends ReservationChange {
  readonly type: 'committed';
  readonly version: number;
  readonly commitFingerprint: number;
  /**
   * True when the hold was gone (expired or lost) and the units were taken from available again:
   * then every move allocates, `fingerprint` and `requested = quantity` make a new record.
   */
  readonly retaken: boolean;
  readonly fingerprint: Buffer;
  readonly attributes: string;
  readonly moves: readonly (Omit<Move, 'quantity'> & {
    readonly allocated: number;
    readonly freed: number;
  })[];
}

/** Reserved units go back to available. `whole`: the reservation ends here. */
export interface Released extends ReservationChange {
  readonly type: 'released';
  readonly version: number;
  readonly whole: boolean;
  readonly operation: Buffer;
  readonly attributes: string;
  readonly moves: readonly Move[];
}

export interface Expired extends ReservationChange {
  readonly type: 'expired';
  readonly version: number;
  readonly moves: readonly Move[];
}

export interface Extended extends ReservationChange {
  readonly type: 'extended';
  readonly version: number;
  readonly deadlineS: number;
}

/** Allocated units go back to available (`cancelled`) or leave the building (`shipped`). */
export interface Fulfilled extends ReservationChange {
  readonly type: 'cancelled' | 'shipped';
  readonly version: number;
  /** No allocated unit is left: the reservation is closed. */
  readonly closed: boolean;
  /** 8 bytes of the operation's key, zeros when it had none. */
  readonly operation: Buffer;
  readonly attributes: string;
  readonly moves: readonly Move[];
}

export const STOCK_KINDS = ['receive', 'adjust'] as const;
export type StockKind = (typeof STOCK_KINDS)[number];

/** On-hand units came or went, under an operation's key. */
export interface StockMoved {
  readonly type: 'stock_moved';
  readonly id: ReservationId;
  readonly generation: number;
  readonly kind: StockKind;
  readonly fingerprint: Buffer;
  /** JSON: {reason?, reference_type?, reference_id?, actor?, lines: [{unit_cost?, currency?}]}. */
  readonly attributes: string;
  readonly deltas: readonly { readonly cell: number; readonly delta: number }[];
}

/** From now on the SKU is known to the lane. */
export interface ProductDefined {
  readonly type: 'product_defined';
  readonly sku: Sku;
}

/** Where units can stand. `drift`: nobody knows; only repairs name it. */
export const LOCATIONS = [
  'available',
  'reserved',
  'allocated',
  'customer',
  'supplier',
  'loss',
  'drift',
] as const;
export type Location = (typeof LOCATIONS)[number];

/**
 * What `holdfast reconcile` put right. The entry's cells are right from now on, whatever stood in
 * Redis before. None of the other kinds fits: they move a balance and the ledger by the same units,
 * and a repair is needed where only one of the two, or only one store, was wrong.
 */
export interface Repaired {
  readonly type: 'repaired';
  /** The reservation whose record was put right, else the name of the repair. */
  readonly id: ReservationId;
  readonly generation: number;
  readonly cause: string;
  /** JSON: {actor?}. */
  readonly attributes: string;
  /** By how much PostgreSQL's balances were off; nothing moves in its ledger for that. */
  readonly corrections: readonly {
    readonly cell: number;
    readonly available: number;
    readonly reserved: number;
    readonly allocated: number;
  }[];
  /** Rows of the ledger: they put it right, or (there and back) remember the repair. */
  readonly movements: readonly {
    readonly cell: number;
    readonly source: Location;
    readonly dest: Location;
    readonly quantity: number;
  }[];
  /** The whole reservation as it is; undefined when none was repaired, or its record was void. */
  readonly reservation?: {
    readonly version: number;
    readonly record: ReservationRecord;
    /** By how much PostgreSQL's lines were off. */
    readonly lines: readonly {
      readonly line: number;
      readonly cell: number;
      readonly requested: number;
      readonly reserved: number;
      readonly allocated: number;
    }[];
  };
}

export type Change =
  | Reserved
  | Committed
  | Released
  | Expired
  | Extended
  | Fulfilled
  | StockMoved
  | ProductDefined
  | Repaired;

export interface Entry {
  readonly kind: EntryKind;
  readonly key: EntryKey;
  /** The entry before this one, across epochs. NEVER for the first of all. */
  readonly predecessor: EntryKey;
  /** Lane time, ms. */
  readonly timeMs: number;
  readonly cells: readonly CellResult[];
  readonly changes: readonly Change[];
}
