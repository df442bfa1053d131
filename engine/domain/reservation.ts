/**
 * A reservation as Redis keeps it and as every reader sees it.
 *
 * States: `held` (units reserved, a deadline runs) -> `committed` (units allocated) -> `closed`
 * (every unit shipped or cancelled); `held` -> `released` or `expired`. `released`, `expired` and
 * `closed` are terminal: their record is a tombstone without lines, kept for the idempotency window.
 */
import type { CellField, Sku } from './ids.ts';

export const RESERVATION_STATES = ['held', 'committed', 'released', 'expired', 'closed'] as const;
export type ReservationState = (typeof RESERVATION_STATES)[number];

export interface Placement {
  readonly field: CellField;
  /** Units: reserved while held, allocated (and neither shipped nor cancelled) once committed. */
  readonly quantity: number;
}

export interface ReservationLine {
  /** Position of the line in the cart that was reserved, from 0; stays when other lines go. */
  readonly line: number;
  readonly sku: Sku;
  /** Units that were asked for; more than what is placed after a partial reserve. */
  readonly requested: number;
  readonly placements: readonly Placement[];
}

/** Bytes of a request's digest; a repeat with another fingerprint is another request. */
export const FINGERPRINT_BYTES = 8;

interface Fingerprinted {
  readonly fingerprint: Buffer;
}

export interface HeldRecord extends Fingerprinted {
  readonly state: 'held';
  /** Counts the changes of this reservation, from 1. */
  readonly version: number;
  readonly createdS: number;
  /** Lane time in whole seconds at which the hold may be expired. */
  readonly deadlineS: number;
  readonly lines: readonly ReservationLine[];
  /** Keys of the partial settlements that were applied, 8 bytes each. */
  readonly operations: readonly Buffer[];
}

export interface CommittedRecord extends Fingerprinted {
  readonly state: 'committed';
  readonly version: number;
  readonly createdS: number;
  /** Digest of the lines that the commit named (0: whole), so that a repeat is recognised. */
  readonly commitFingerprint: number;
  readonly lines: readonly ReservationLine[];
  readonly operations: readonly Buffer[];
}

export interface EndedRecord extends Fingerprinted {
  readonly state: 'released' | 'expired';
  readonly createdS: number;
}

export interface ClosedRecord extends Fingerprinted {
  readonly state: 'closed';
  readonly createdS: number;
  readonly commitFingerprint: number;
  /** The verb that took the last unit, so that its repeat is recognised. */
  readonly closedBy: 'cancel' | 'ship';
  readonly operations: readonly Buffer[];
}

export type Tombstone = EndedRecord | ClosedRecord;

export type ReservationRecord = HeldRecord | CommittedRecord | Tombstone;

export function isTombstone(record: ReservationRecord): record is Tombstone {
  return record.state !== 'held' && record.state !== 'committed';
}
