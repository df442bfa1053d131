/** How much the persister takes on at a time, and how long it waits for what. */
import type { LogForm } from './consume.ts';

export interface PersisterLimits {
  /** Changes at which a batch is full. An entry is never split, so a batch may pass it by one entry. */
  readonly eventsMax: number;
  readonly recordsMax: number;
  readonly bytesMax: number;
  /**
   * A batch is closed so long after the one before it, when PostgreSQL is free by then; at once when
   * there was none for so long. So nobody waits for it: who does says so.
   */
  readonly gatherMs: number;
  /** The same of a batch for which somebody waits. */
  readonly demandedMs: number;
  /**
   * How long after one look at the log the next one is taken while a batch is open. Embedded each
   * look is a script; but what has come is folded while PostgreSQL is busy with something else.
   */
  readonly look: { readonly firstMs: number; readonly maxMs: number };
  /** How long to wait for a first record before looking around. */
  readonly idleMs: number;
  /** How often the position is read while another persister is at work, or the lane is parked. */
  readonly standbyMs: number;
  readonly trimEveryMs: number;
  /** Lane time for which entries stay in the stream although PostgreSQL has them. */
  readonly trimMarginMs: number;
  readonly backoff: { readonly firstMs: number; readonly maxMs: number };
}

const LIMITS: PersisterLimits = {
  // At 80,000 events a second ten transactions a second: their fixed cost is then below 3 %.
  eventsMax: 8_192,
  recordsMax: 512,
  bytesMax: 8 * 1024 * 1024,
  gatherMs: 100,
  demandedMs: 5,
  look: { firstMs: 10, maxMs: 80 },
  idleMs: 250,
  standbyMs: 500,
  trimEveryMs: 1_000,
  trimMarginMs: 0,
  backoff: { firstMs: 50, maxMs: 2_000 },
};

const FORMS: Readonly<Record<LogForm, Partial<PersisterLimits>>> = {
  kafka: {},
  stream: {
    // A PostgreSQL standby that is promoted may be behind, and the stream is all there is.
    trimMarginMs: 600_000,
  },
};

export function limitsFor(form: LogForm, changed: Partial<PersisterLimits> = {}): PersisterLimits {
  return { ...LIMITS, ...FORMS[form], ...changed };
}
