/** What reconcile reads of each store, as data: what `compare`, `diagnose` and `plan` work on. */
import type { Cell } from '../../engine/domain/cell.ts';
import type { CellField, Sku } from '../../engine/domain/ids.ts';
import type { ReservationRecord, ReservationState } from '../../engine/domain/reservation.ts';
import type { Location } from '../../engine/events/entry.ts';
import type { Place } from '../../engine/log/place.ts';

export interface CellName {
  readonly sku: Sku;
  readonly field: CellField;
}

export type Balances = Omit<Cell, 'version'>;
export const BALANCES = ['available', 'reserved', 'allocated'] as const;

/** A cell as it stands in Redis. */
export type RedisCell =
  | { readonly kind: 'absent' }
  | { readonly kind: 'unreadable'; readonly bytes: Buffer }
  | { readonly kind: 'cell'; readonly bytes: Buffer; readonly cell: Cell };

/** A row of `inventory`. */
export interface StoredCell extends Cell {
  readonly epoch: number;
  readonly seq: number;
  readonly suspect: string | null;
}

/** A row of the ledger that no entry made, or that stands twice. */
export interface ForgedMovement {
  readonly source: Location;
  readonly dest: Location;
  readonly quantity: number;
  /** `0-4294967297-12-3`. */
  readonly name: string;
}

/** All that is known of one cell, true together while its bytes in Redis are these. */
export interface CellEvidence {
  readonly name: CellName;
  /** Where Redis stood when it was read. */
  readonly at: Place;
  readonly redis: RedisCell;
  /** It was written between the looks: Redis and the row are of different moments. */
  readonly isMoving: boolean;
  readonly stored: StoredCell | undefined;
  /** Sums of the movements; undefined when there is none. */
  readonly ledger: Balances | undefined;
  /** Sums over the lines of reservations. */
  readonly lines: { readonly reserved: number; readonly allocated: number };
  readonly forged: readonly ForgedMovement[];
}

/** Where the record of an id stands. */
export interface RecordPlace {
  readonly id: string;
  readonly generation: number;
  readonly bucket: number;
}

export type RedisRecord =
  | { readonly kind: 'absent' }
  | { readonly kind: 'unreadable'; readonly bytes: Buffer }
  | { readonly kind: 'operation'; readonly bytes: Buffer }
  | { readonly kind: 'reservation'; readonly bytes: Buffer; readonly record: ReservationRecord };

/** Units of a line of a reservation at one cell. */
export interface LineUnits {
  readonly line: number;
  readonly name: CellName;
  readonly requested: number;
  readonly reserved: number;
  readonly allocated: number;
}

/** A row of `reservations` with its lines, and the record that Redis should have of it. */
export interface StoredReservation {
  readonly kind: 'reservation';
  readonly id: string;
  readonly generation: number;
  readonly createdEpoch: number;
  readonly createdSeq: number;
  readonly epoch: number;
  readonly seq: number;
  readonly version: number;
  readonly status: ReservationState;
  readonly deadlineS: number | undefined;
  readonly record: ReservationRecord;
  readonly bytes: Buffer;
  readonly lines: readonly LineUnits[];
}

/** A row of `operations`: a stock operation that was done. */
export interface StoredOperation {
  readonly kind: 'operation';
  readonly id: string;
  readonly generation: number;
  readonly bytes: Buffer;
}

export type StoredRecord = StoredReservation | StoredOperation;

/** What the ledger says of one reservation. */
export interface LedgerOfReservation {
  /** By `<sku> <field>`, cells whose sums are not zero. */
  readonly units: ReadonlyMap<string, { readonly reserved: number; readonly allocated: number }>;
}

export interface RecordEvidence {
  readonly place: RecordPlace;
  readonly at: Place;
  readonly redis: RedisRecord;
  readonly stored: StoredRecord | undefined;
  /** There are rows under the id, but none in the day in which Redis has it. */
  readonly isElsewhere: boolean;
  /** The entry that is said to have made the row was applied. */
  readonly hasEntry: boolean;
  readonly ledger: LedgerOfReservation | undefined;
  /** The deadlines name the record in the second that Redis, and that PostgreSQL says. */
  readonly isDueByRedis: boolean;
  readonly isDueByStored: boolean;
  /** The elements of the deadlines that name it in the second that Redis says, and without it. */
  readonly dueElements: readonly {
    readonly second: number;
    readonly seen: Buffer;
    readonly to: Buffer;
  }[];
}

export function showName({ sku, field }: CellName): string {
  return `${sku} ${field}`;
}

export function sameBalances(a: Balances, b: Balances): boolean {
  return BALANCES.every((balance) => a[balance] === b[balance]);
}
