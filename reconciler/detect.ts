/**
 * Does a lane need recovery? Decided from one look at Redis and one at the registry.
 *
 * A Redis that came back from an older AOF, clean but behind PostgreSQL, needs no test of its own:
 * a new process has a new replication id, and the old one is in meta. Comparing positions instead
 * would be wrong in the other direction, because PostgreSQL is behind an open lane as a rule.
 */
import type { LaneTail } from '../engine/redis/lane-state.ts';
import type { RegistryRow } from './registry.ts';
import { timelineOf } from './term.ts';

/** Why, in order of precedence: the first that applies is given. */
export const RECOVERY_CAUSES = {
  no_meta: 'Redis knows nothing of the lane: it is new, or it was emptied',
  replid: 'the Redis that answers is not the one that was opened: restarted, or promoted',
  half_done: 'a script died half way: an entry stands behind the position of meta',
  closed: 'the lane is closed: a recovery died, or nobody opened it yet',
  registry_not_open: 'the registry has the lane not open: a recovery died',
  other_term: 'Redis and the registry have different terms',
  postgres_promoted: 'PostgreSQL is on a newer timeline than the term: a standby was promoted',
} as const;
export type RecoveryCause = keyof typeof RECOVERY_CAUSES;

/** Undefined: the lane is open and well, or it is parked and waits for a person. */
export function needsRecovery(
  tail: Omit<LaneTail, 'entries'>,
  registry: Pick<RegistryRow, 'state' | 'term' | 'timeline'>,
): RecoveryCause | undefined {
  if (registry.state === 'parked') return undefined;
  if (!tail.exists) return 'no_meta';
  if (!tail.replidMatches) return 'replid';
  if (tail.halfDone) return 'half_done';
  if (!tail.open) return 'closed';
  if (registry.state !== 'open') return 'registry_not_open';
  if (registry.term !== tail.term) return 'other_term';
  if (registry.timeline > timelineOf(registry.term)) return 'postgres_promoted';
  return undefined;
}
