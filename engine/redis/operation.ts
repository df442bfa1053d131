/** What the engine asks of a lane, and what the lane answers. `operation-codec.ts` has the bytes. */

import type { FENCE_REASONS } from '../../lua/constants.ts';
import type { CellField, Sku } from '../domain/ids.ts';
import type { OutcomeName } from '../domain/outcome.ts';
import type { ReservationRecord } from '../domain/reservation.ts';
import type { StockKind } from '../events/entry.ts';

export interface ReserveLine {
  readonly sku: Sku;
  readonly quantity: number;
  /** Cells in order of preference; empty: any cell of the SKU, the fullest first. */
  readonly fields: readonly CellField[];
}

/**
 * From sending, how long a script takes an id for fresh without a look. Behind that a reserve whose
 * reply was lost may be told as unknown, with its id, which then is not fresh any more. Longer than
 * Redis ever stands still without being given up for hung.
 */
export const FRESH_MS_MAX = 2_000;

export interface ReserveOperation {
  readonly kind: 'reserve';
  /** Packed (domain/reservation-id.ts). */
  readonly id: Buffer;
  /** The id was made for this very request, so nobody can have used it before. */
  readonly fresh: boolean;
  /** Stands in no run: it came back from one undecided. */
  readonly apart?: true;
  readonly fingerprint: Buffer;
  readonly ttlS: number;
  /** Take what there is of each line; at least one unit in all. */
  readonly partial: boolean;
  /** A line may be split over several cells. */
  readonly split: boolean;
  readonly lines: readonly ReserveLine[];
  /** JSON for the log; '' for none. */
  readonly attributes: string;
}

/** Units of a SKU, at one warehouse or wherever the reservation has them (field ''). */
export interface SettleLine {
  readonly sku: Sku;
  readonly field: CellField | '';
  readonly quantity: number;
}

/**
 * Commit only: when the hold is gone, take the units that `lines` name (each with its field) again.
 * Allowed when it expired, or when it is absent and `holdEpoch` is older than the lane's; and only
 * until `untilMs`, in the epoch that is open when it is sent: else `undecided`, nothing is changed.
 */
export interface Retake {
  readonly holdEpoch: number;
  readonly fingerprint: Buffer;
  /** Of the lane's monotonic clock, ms. */
  readonly untilMs: number;
}

export interface SettleOperation {
  readonly kind: 'commit' | 'release' | 'cancel' | 'ship';
  readonly id: Buffer;
  /** Undefined: all that there is. */
  readonly lines?: readonly SettleLine[];
  /** 8 bytes that name a partial release, cancel or ship; the same again is a replay. */
  readonly operationKey?: Buffer;
  /** Digest of the lines of a commit; 0 when it names none. */
  readonly commitFingerprint?: number;
  readonly retake?: Retake;
  /** The record as PostgreSQL has it, to go on with when it has left Redis. */
  readonly adopt?: ReservationRecord;
  readonly attributes: string;
}

export interface ExtendOperation {
  readonly kind: 'extend';
  readonly id: Buffer;
  /** From now, in seconds. */
  readonly ttlS: number;
}

/** Reads a record: `exists`, or `not_found`. */
export interface InspectOperation {
  readonly kind: 'inspect';
  readonly id: Buffer;
}

export type Operation = ReserveOperation | SettleOperation | ExtendOperation | InspectOperation;

/** Where the lane stood when its script ended. */
export interface LaneStamp {
  readonly epoch: number;
  readonly seq: number;
  /** Lane time, ms. */
  readonly timeMs: number;
  /** Lane time minus the clock of Redis, ms: wall time = lane time - offset. */
  readonly offsetMs: number;
}

export interface Shortage {
  /** Index of the line in the operation. */
  readonly line: number;
  /** Units that the line could have had; 0 for an unknown SKU or warehouse. */
  readonly available: number;
}

export interface OperationResult {
  readonly outcome: OutcomeName;
  readonly replayed: boolean;
  readonly stamp: LaneStamp;
  /** As it is after the operation: with success, `exists` and the settlements that lost. */
  readonly record?: ReservationRecord;
  /** With `insufficient`, `unknown_sku` and `unknown_warehouse`; with `created`, of a partial. */
  readonly shortages?: readonly Shortage[];
  /** With `unreadable`, and only then: because of what nothing could be decided. */
  readonly unreadable?: Unreadable;
}

/** A cell (field '': any of the SKU), or a record, that cannot be read as it stands in Redis. */
export type Unreadable =
  | { readonly kind: 'cell'; readonly sku: Sku; readonly field: CellField | '' }
  | { readonly kind: 'record'; readonly id: string };

/** Why a lane refused a whole batch. */
export type FenceReason = (typeof FENCE_REASONS)[number];

export interface StockOperation {
  readonly kind: StockKind;
  readonly id: Buffer;
  /** See ReserveOperation. */
  readonly fresh: boolean;
  readonly fingerprint: Buffer;
  readonly attributes: string;
  readonly lines: readonly {
    readonly sku: Sku;
    readonly field: CellField;
    readonly delta: number;
  }[];
}

export interface CellView {
  readonly field: CellField;
  readonly available: number;
  readonly reserved: number;
  readonly allocated: number;
  readonly version: number;
  /** Present: what stands there cannot be read, and the numbers are 0. */
  readonly unreadable?: true;
}

export interface SkuView {
  readonly sku: Sku;
  readonly known: boolean;
  readonly cells: readonly CellView[];
  /** Present: one of the cells cannot be read, or what stands there is no stock at all. */
  readonly unreadable?: true;
}

/** `stamp`: of the script that read it. */
export interface SkuReading extends SkuView {
  readonly stamp: LaneStamp;
}
