/**
 * Judges one run: the history of the clients against the final state of Redis, log and PostgreSQL. It
 * is pure, shares no code with the product (bytes are read by the auditor's decoders), and does not
 * fold the log as the auditor does either: a mistake of one is not the mistake of all.
 */
import { groupAttempts } from './asked.ts';
import { checkLog } from './check-log.ts';
import { checkPromises } from './check-promises.ts';
import { checkUnits } from './check-units.ts';
import type { FinalState } from './final-state.ts';
import type { Attempt } from './history.ts';
import type { FaultViolation, Level, Verdict } from './verdict.ts';

export interface Judged {
  readonly attempts: readonly Attempt[];
  readonly state: FinalState;
  /** The weakest level that promised to survive what was done. */
  readonly survives: Level;
}

/** A broken run can break the same rule for each reservation. */
const VIOLATIONS_MAX = 200;

export function judge({ attempts, state, survives }: Judged): Verdict {
  const asked = groupAttempts(attempts);
  const promises = checkPromises(asked, state, survives);
  const units = checkUnits(asked, state);
  const violations: FaultViolation[] = [
    ...units.violations,
    ...promises.violations,
    ...checkLog(state),
  ];
  return {
    violations: violations.slice(0, VIOLATIONS_MAX),
    levels: promises.levels,
    oversold: units.oversold,
    attempts: attempts.length,
    outcomes: countOutcomes(attempts),
  };
}

/** `reserve ok`, `commit unknown (durability_unknown)`, ... */
function countOutcomes(attempts: readonly Attempt[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { verb, result } of attempts) {
    const outcome = result?.outcome ?? 'no end';
    const why = result === undefined || outcome === 'ok' ? '' : ` (${result.code})`;
    const name = `${verb} ${outcome}${why}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
