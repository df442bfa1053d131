/** What the reservation services answer. The HTTP handlers turn it into bytes, nothing else does. */
import type { DurabilityLevel } from '../domain/durability.ts';
import type { OutcomeName } from '../domain/outcome.ts';
import type { ReservationRecord } from '../domain/reservation.ts';
import type { LaneRefusal } from '../redis/lane-port.ts';
import type { LaneStamp, Shortage } from '../redis/operation.ts';

/** The lane (or PostgreSQL) has spoken, and what it said may be relied on. */
export interface Decided {
  readonly kind: 'decided';
  readonly id: string;
  readonly outcome: OutcomeName;
  readonly replayed: boolean;
  readonly stamp: LaneStamp;
  /** The level at which the answer was confirmed; `memory` for answers that promise nothing. */
  readonly level: DurabilityLevel;
  readonly record: ReservationRecord | undefined;
  readonly shortages: readonly Shortage[] | undefined;
  /** The object from which this and many like it are answered, where that is so. */
  readonly known?: object;
}

/** Nothing was decided, or it is not known what; the same id resolves it. */
export interface Undecided {
  readonly kind: 'undecided';
  readonly id: string;
  readonly outcome: LaneRefusal['outcome'] | 'durability_unknown';
  readonly detail: string;
  readonly retryAfterMs: number;
}

/** The request cannot be right; no store was asked. */
export interface Refused {
  readonly kind: 'refused';
  readonly outcome: 'invalid_request' | 'idempotency_key_required' | 'ids_disagree' | 'id_expired';
  readonly detail: string;
  /** JSON pointer into the body; undefined when a header is at fault. */
  readonly pointer: string | undefined;
}

export type ReservationAnswer = Decided | Undecided | Refused;
export type Done = (answer: ReservationAnswer) => void;

export const RETRY_AFTER_MS = 1_000;

export function fromRefusal(id: string, refusal: LaneRefusal): Undecided {
  const { outcome, detail, retryAfterMs } = refusal;
  return { kind: 'undecided', id, outcome, detail, retryAfterMs };
}

export function unavailable(id: string, detail: string): Undecided {
  return {
    kind: 'undecided',
    id,
    outcome: 'store_unavailable',
    detail,
    retryAfterMs: RETRY_AFTER_MS,
  };
}

export function refused(
  outcome: Refused['outcome'],
  detail: string,
  pointer: string | undefined,
): Refused {
  return { kind: 'refused', outcome, detail, pointer };
}
