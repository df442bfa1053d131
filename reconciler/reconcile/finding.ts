/** A difference, named by its cause, and what is to be done about it. All of it is data. */
import type { Cell } from '../../engine/domain/cell.ts';
import type { ReservationRecord } from '../../engine/domain/reservation.ts';
import type { Location } from '../../engine/events/entry.ts';
import type { Place } from '../../engine/log/place.ts';
import type { Cause } from './causes.ts';
import type { Balances, CellName, LineUnits, RecordPlace } from './facts.ts';

export interface Finding {
  readonly cause: Cause;
  /** `cell TEA EU-1`, `reservation ik_...`, `deadline 1795263001`. */
  readonly where: string;
  readonly redis: string;
  readonly postgres: string;
  /** What the ledger, or another witness, says. */
  readonly witness: string;
  readonly why: string;
  readonly subject: Subject;
  /** Undefined: what is right cannot be decided from what the stores say. */
  readonly repair?: Repair;
}

/** What is read and judged again when the repair came too late. */
export type Subject =
  | { readonly kind: 'cell'; readonly name: CellName }
  | { readonly kind: 'record'; readonly place: RecordPlace }
  | { readonly kind: 'product'; readonly sku: string }
  | { readonly kind: 'deadline'; readonly second: number }
  | { readonly kind: 'lines'; readonly id: string }
  | { readonly kind: 'key'; readonly key: string };

export type Repair =
  /** Through the fenced script, and so by the log. */
  | ({ readonly by: 'log'; readonly action: string } & LaneRepair)
  /** A row that no entry will ever touch: compare and set in PostgreSQL. */
  | { readonly by: 'postgres'; readonly action: string; readonly statement: Statement };

export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Indexes of cells count the steps that are not removals, in order. */
export interface LaneRepair {
  readonly id: string;
  readonly generation: number;
  readonly products?: readonly string[];
  readonly cells?: readonly CellStep[];
  readonly records?: readonly RecordStep[];
  readonly elements?: readonly ElementStep[];
  readonly seconds?: readonly number[];
  readonly corrections?: readonly ({ readonly name: CellName } & Balances)[];
  readonly movements?: readonly MovementStep[];
  readonly reservation?: {
    readonly version: number;
    readonly record: ReservationRecord;
    readonly lines: readonly LineUnits[];
  };
}

export type CellStep =
  | {
      readonly how: 'put';
      readonly name: CellName;
      readonly seen: Buffer;
      readonly to: Cell;
    }
  | { readonly how: 'move'; readonly name: CellName; readonly at: Place; readonly by: Balances }
  | { readonly how: 'remove'; readonly name: CellName; readonly seen: Buffer };

export type RecordStep = { readonly place: RecordPlace; readonly seen: Buffer } & (
  | { readonly how: 'put'; readonly to: Buffer; readonly deadlineS: number }
  | { readonly how: 'remove' }
  | { readonly how: 'keep'; readonly deadlineS: number }
);

export interface ElementStep {
  readonly second: number;
  readonly seen: Buffer;
  readonly to: Buffer;
}

export interface MovementStep {
  readonly name: CellName;
  readonly source: Location;
  readonly dest: Location;
  readonly quantity: number;
}
