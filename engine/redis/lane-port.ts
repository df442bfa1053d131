/** A lane as the capabilities see it: operations in, results out. `lane.ts` implements it. */
import type { DurabilityLevel } from '../domain/durability.ts';
import type { Sku } from '../domain/ids.ts';
import type { OutcomeName } from '../domain/outcome.ts';
import type {
  LaneStamp,
  Operation,
  OperationResult,
  Shortage,
  SkuReading,
  SkuView,
  StockOperation,
} from './operation.ts';

export const LANE_REFUSALS = [
  'fenced',
  'overloaded',
  'log_full',
  'undecided',
  'store_unavailable',
  'unreadable',
] as const satisfies readonly OutcomeName[];

/**
 * The lane could not take the operation; `store_unavailable`: it may have been applied. `unreadable`
 * is the refusal of this one alone, because of a cell or record that it needs; nothing was changed.
 */
export interface LaneRefusal {
  readonly outcome: (typeof LANE_REFUSALS)[number];
  /** For people and logs. */
  readonly detail: string;
  readonly retryAfterMs: number;
  /** With `store_unavailable`: it was sent, and may still be on its way. */
  readonly mayArrive?: boolean;
}

export type OperationAnswer = OperationResult | LaneRefusal;

export interface StockResult {
  readonly outcome:
    | 'applied'
    | 'exists_with_different_payload'
    | 'unknown_sku'
    | 'insufficient'
    | 'out_of_range';
  readonly replayed: boolean;
  readonly stamp: LaneStamp;
  /** Balances of the named cells after the operation (as they are now, for a replay). */
  readonly cells: readonly (SkuView['cells'][number] & { readonly sku: Sku })[];
  readonly shortages?: readonly Shortage[];
}

export interface AvailabilityResult {
  readonly outcome: 'applied';
  /** Of the last of its scripts. */
  readonly stamp: LaneStamp;
  /** In the order in which they were asked for; those with one stamp are of one instant. */
  readonly skus: readonly SkuReading[];
}

export function isRefusal(answer: { readonly outcome: string }): answer is LaneRefusal {
  return REFUSALS.has(answer.outcome);
}
const REFUSALS: ReadonlySet<string> = new Set(LANE_REFUSALS);

export interface Lane {
  /** Home number of the lane. */
  readonly number: number;
  /** Lane time now, as far as this engine knows it: the last stamp plus what passed since. */
  nowMs(): number;
  /**
   * The hot path: `done` is called once, never before `submit` returned, as soon as the script has
   * answered. `level`: what the answer will probably wait for, so that Redis can be asked to
   * confirm it in the same write; `memory` by default.
   */
  submit(
    operation: Operation,
    done: (answer: OperationAnswer) => void,
    level?: DurabilityLevel,
  ): void;
  stock(operation: StockOperation): Promise<StockResult | LaneRefusal>;
  /** In several scripts where the cells are many (availability-read.ts). */
  availability(skus: readonly Sku[]): Promise<AvailabilityResult | LaneRefusal>;
  defineProducts(
    skus: readonly Sku[],
  ): Promise<{ outcome: 'applied'; stamp: LaneStamp } | LaneRefusal>;
  /**
   * Gives expired units back, a slice of so much work (script-limits.ts); `more` says that another is due at once, `putOff`
   * how many are tried again later, because they or their cells cannot be read.
   */
  expire(
    workMax: number,
  ): Promise<{ outcome: 'expired'; expired: number; more: boolean; putOff: number } | LaneRefusal>;
}

/** What a lane forgets: records whose idempotency window is over. */
export interface ForgetfulLane {
  /**
   * Drops a piece of a generation's buckets, if it is the one that is `due`; 0: none is.
   */
  drop(
    generation: number,
    firstBucket: number,
    buckets: number,
  ): Promise<{ outcome: 'applied'; stamp: LaneStamp; due: number } | LaneRefusal>;
}

export interface Watermarks {
  /**
   * Calls `done(true)` when `level` covers the stamp, `done(false)` when it did not within the
   * bound or the epoch ended before: then the outcome is unknown and the id resolves it.
   */
  wait(level: DurabilityLevel, stamp: LaneStamp, done: (reached: boolean) => void): void;
  /** The strongest level that is known to cover the stamp, without waiting; at least `level`. */
  known(stamp: LaneStamp, level: DurabilityLevel): DurabilityLevel;
  /**
   * A final no (`not_found`, `hold_lost`, `expired`) needs a sign of life that began after the
   * script's reply: true when the lane was seen open at the stamp's epoch since.
   */
  confirmOpen(stamp: LaneStamp, done: (alive: boolean) => void): void;
}
