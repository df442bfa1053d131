/** The product's own pure functions, as the simulation calls them. */
import { foldBatch } from '../../../persister/batch.ts';
import { type Consumed, consume, type LogForm } from '../../../persister/consume.ts';
import type { Batch } from '../../../persister/rows.ts';
import { type RecoveryDeps, RecoveryEnded, requireNewest } from '../../../reconciler/claim.ts';
import { type CopyPlan, planCopy } from '../../../reconciler/copy-back.ts';
import { needsRecovery, type RecoveryCause } from '../../../reconciler/detect.ts';
import { type Lineage, type LineageSource, traceLineage } from '../../../reconciler/lineage.ts';
import type { LaneRegistryState, RegistryRow } from '../../../reconciler/registry.ts';
import { termAfter } from '../../../reconciler/term.ts';
import type { OutcomeName } from '../../domain/outcome.ts';
import type { ReservationRecord } from '../../domain/reservation.ts';
import type { Entry, EntryKey } from '../../events/entry.ts';
import type { ConsumerPosition, LogRecord } from '../../log/event-log.ts';
import { isFinalNo, levelOf } from '../../reservations/assurance.ts';
import { DEFAULT_RESERVATION_POLICY, type ReservationVerb } from '../../reservations/policy.ts';
import type { Level } from './world.ts';

export interface Product {
  readonly consume: (
    from: ConsumerPosition,
    records: readonly LogRecord[],
    form: LogForm,
  ) => Consumed;
  readonly foldBatch: (entries: readonly Entry[]) => Batch;
  readonly traceLineage: (source: LineageSource, position: EntryKey) => Promise<Lineage>;
  readonly needsRecovery: (...args: Parameters<typeof needsRecovery>) => RecoveryCause | undefined;
  readonly termAfter: (term: number, timeline: number) => number;
  /** Why a recovery may not go on; undefined: it may. */
  readonly whyEnded: (
    row: RegistryRow,
    term: number,
    states: readonly LaneRegistryState[],
  ) => RecoveryEnded['outcome'] | undefined;
  readonly planCopy: (
    lineage: Lineage['kind'],
    before: EntryKey,
    head: EntryKey,
    isApplied: (key: readonly [number, number, Buffer]) => boolean,
  ) => Promise<CopyPlan['what']>;
  readonly isFinalNo: (verb: ReservationVerb, outcome: OutcomeName, state?: string) => boolean;
  /** The level that an answer must reach; `replayed` is for the broken one alone. */
  readonly levelOf: (
    verb: ReservationVerb,
    wanted: Level | undefined,
    outcome: OutcomeName,
    state: ReservationRecord['state'] | undefined,
    replayed: boolean,
  ) => Level;
}

export const PRODUCT: Product = {
  consume,
  foldBatch,
  traceLineage,
  needsRecovery,
  termAfter,
  whyEnded(row, term, states) {
    try {
      requireNewest(row, term, states);
      return undefined;
    } catch (error) {
      if (error instanceof RecoveryEnded) return error.outcome;
      throw error;
    }
  },
  async planCopy(lineage, before, head, isApplied) {
    // Of one day, and swept.
    const known = { ...before, hasUnseenHolds: false };
    const plan = await planCopy(depsAbout(isApplied), lineage, known, { ...head, timeMs: 0 });
    return plan.what;
  },
  isFinalNo,
  levelOf(verb, wanted, outcome, state) {
    const level = levelOf({ verb, level: wanted }, outcome, recordIn(state), POLICY);
    if (level === 'fsync') throw new Error('the simulation has no fsync');
    return level;
  },
};

/** planCopy asks PostgreSQL whether it has an entry, and of which time: here it is always the first day. */
function depsAbout(isApplied: (key: readonly [number, number, Buffer]) => boolean): RecoveryDeps {
  const query = async (_text: string, [, ...key]: [number, number, number, Buffer]) => ({
    rowCount: isApplied(key) ? 1 : 0,
    rows: [{ time_ms: 0 }],
  });
  return { lane: 0, pool: { query } } as unknown as RecoveryDeps;
}

const POLICY = DEFAULT_RESERVATION_POLICY;

/** levelOf looks at the state alone. */
function recordIn(state: ReservationRecord['state'] | undefined): ReservationRecord | undefined {
  return state === undefined ? undefined : ({ state } as ReservationRecord);
}
