/** What a deployment may set about reservations. Each bound has a unit and a reason. */
import type { LevelPolicy } from './levels.ts';

export const SETTLEMENTS = ['commit', 'release', 'cancel', 'ship'] as const;
export type Settlement = (typeof SETTLEMENTS)[number];

/** What a client asks of one reservation. */
export type ReservationVerb = 'reserve' | 'extend' | 'look_up' | Settlement;

export interface ReservationPolicy extends LevelPolicy {
  readonly ttlDefaultS: number;
  readonly ttlMinS: number;
  /** Far below the idempotency window, so that a hold's record never leaves Redis while it lives. */
  readonly ttlMaxS: number;
  /** How long an id is remembered: an `hf_` id that is older is refused. */
  readonly idAgeMaxMs: number;
  /**
   * While a lane is closed its time stands still, and ids that its refusals name run ahead of it. One from
   * further ahead than an outage lasts was not made by us.
   */
  readonly idAheadMaxMs: number;
  /** For PostgreSQL to reach the position at which Redis no longer had a record. */
  readonly archiveWaitMs: number;
  /**
   * From the arrival of a commit until it may no longer take the units of a gone hold again. An
   * engine that dies leaves such a commit on its way, so for this long a client that lost its engine
   * cannot take a no as final; and a commit whose reply was lost is answered only then. As long as
   * PostgreSQL may take to say that it has no record of the reservation.
   */
  readonly retakeMsMax: number;
}

export const DEFAULT_RESERVATION_POLICY: ReservationPolicy = Object.freeze({
  ttlDefaultS: 600,
  ttlMinS: 1,
  ttlMaxS: 3_600,
  idAgeMaxMs: 86_400_000,
  idAheadMaxMs: 86_400_000,
  archiveWaitMs: 2_000,
  retakeMsMax: 2_000,
  // A hold is a promise of minutes and may be taken again; a commit is money.
  levels: Object.freeze({
    reserve: 'memory',
    extend: 'memory',
    release: 'memory',
    commit: 'logged',
    cancel: 'logged',
    ship: 'logged',
    stock: 'persisted',
  }),
  classLevels: new Map(),
  classOf: () => undefined,
  lacks: Object.freeze({}),
});

/** Lines of one cart; the largest of the real orders has 593. */
export const CART_LINES_MAX = 1_000;
/** Lines that a settlement may name: one a placement, so more than a cart has. */
export const SETTLE_LINES_MAX = 4_000;
/** Warehouses in the preference list of one line. */
export const PREFERENCES_MAX = 32;
