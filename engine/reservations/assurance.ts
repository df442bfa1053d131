/**
 * When an answer of the lane may be given to the client.
 *
 * - A success waits until its durability level covers the position that its own script returned,
 *   a replay too: the first attempt may be the one whose acknowledgement was lost.
 * - Whatever shows a reservation as committed waits for the level of a commit, because a client
 *   that asks "was it committed?" takes that answer for the acknowledgement.
 * - A final no to commit, cancel, ship or a look-up waits for a sign of life of the lane: a node
 *   that was replaced does not know yet that it was, and a refund cannot be taken back.
 */
import type { DurabilityLevel } from '../domain/durability.ts';
import { stronger } from '../domain/durability.ts';
import type { OutcomeName } from '../domain/outcome.ts';
import { OUTCOMES } from '../domain/outcome.ts';
import type { ReservationRecord } from '../domain/reservation.ts';
import type { Watermarks } from '../redis/lane-port.ts';
import type { OperationResult } from '../redis/operation.ts';
import type { Decided, Done } from './answer.ts';
import { RETRY_AFTER_MS, unavailable } from './answer.ts';
import { type LevelPolicy, usualLevel } from './levels.ts';
import type { ReservationVerb } from './policy.ts';

const FINAL_NOS: ReadonlySet<OutcomeName> = new Set(['not_found', 'hold_lost', 'expired']);
const MONEY_VERBS: ReadonlySet<ReservationVerb> = new Set(['commit', 'cancel', 'ship', 'look_up']);

/** What the client wants to be sure of. */
export interface Wanted {
  readonly verb: ReservationVerb;
  /** From `Prefer`; undefined: the default of the verb. */
  readonly level: DurabilityLevel | undefined;
}

export function isFinalNo(verb: ReservationVerb, outcome: OutcomeName, state?: string): boolean {
  if (!MONEY_VERBS.has(verb)) return false;
  // A look-up finds an expired reservation: what it shows, not its outcome, is the no.
  return FINAL_NOS.has(outcome) || (verb === 'look_up' && state === 'expired');
}

/** The level that an answer must reach before it is given; `memory` is reached by being there. */
export function levelOf(
  wanted: Wanted,
  outcome: OutcomeName,
  record: ReservationRecord | undefined,
  policy: LevelPolicy,
): DurabilityLevel {
  const showsCommitted = record?.state === 'committed' || record?.state === 'closed';
  if (!showsCommitted && OUTCOMES[outcome].status >= 300) return 'memory';
  if (wanted.level !== undefined) return wanted.level;
  const lines = record !== undefined && 'lines' in record ? record.lines : undefined;
  const usual = wanted.verb === 'look_up' ? 'memory' : usualLevel(wanted.verb, lines, policy);
  return showsCommitted ? stronger(usual, usualLevel('commit', lines, policy)) : usual;
}

/** Gives the lane's result to `done` once it may be relied on, or says what could not be made sure. */
export function assure(
  id: string,
  result: OperationResult,
  wanted: Wanted,
  deps: { readonly watermarks: Watermarks; readonly policy: LevelPolicy },
  done: Done,
): void {
  const { outcome, replayed, stamp, record, shortages } = result;
  const level = levelOf(wanted, outcome, record, deps.policy);
  const decide = (): void => {
    // Spelled out, because a spread costs 1 us on the path of every reserve.
    const decided: Decided = {
      kind: 'decided',
      id,
      outcome,
      replayed,
      stamp,
      level: isShown(wanted, replayed) ? deps.watermarks.known(stamp, level) : level,
      record,
      shortages,
    };
    done(decided);
  };
  if (level !== 'memory') {
    deps.watermarks.wait(level, stamp, (reached) => {
      if (reached) decide();
      else done(levelMissed(id, level));
    });
  } else if (isFinalNo(wanted.verb, outcome, record?.state)) {
    deps.watermarks.confirmOpen(stamp, (alive) => {
      if (alive) decide();
      else done(unavailable(id, NO_SIGN_OF_LIFE));
    });
  } else {
    decide();
  }
}

/**
 * What was done before may stand surer by now than what was waited for: it is then said so, lest an
 * order that was acknowledged as persisted be shown as logged.
 */
function isShown({ verb, level }: Wanted, replayed: boolean): boolean {
  return level === undefined && (replayed || verb === 'look_up');
}

const NO_SIGN_OF_LIFE =
  'The store answered no, but could not be seen to be the one in charge since, so the no is not ' +
  'final; send the same request again.';

function levelMissed(id: string, level: DurabilityLevel): ReturnType<typeof unavailable> {
  return {
    kind: 'undecided',
    id,
    outcome: 'durability_unknown',
    detail: `It was applied, but not seen to be ${level} in time; the same id resolves it.`,
    retryAfterMs: RETRY_AFTER_MS,
  };
}
