/**
 * May a parked lane be recovered again, and above which number? A lane that is parked because Redis
 * was claimed under a term that the registry never gave would park again, and each try would burn one
 * number, until they reached that term and recovery opened on a PostgreSQL that nobody had decided
 * for. So a person names the term, once, and the registry goes on above it; or brings the right
 * PostgreSQL, or empties Redis, after which nothing has to be named.
 */
import type { LaneTail } from '../engine/redis/lane-state.ts';
import type { RegistryRow } from './registry.ts';
import { showTerm } from './term.ts';

/** What a refused claim says, and what reads it back: kept side by side, because one is the other's. */
export function describeForeignClaim(claimed: number, newest: number): string {
  return `Redis was claimed under term ${showTerm(claimed)}, which this registry never gave (its newest is ${showTerm(newest)}): PostgreSQL is an older copy, or another one. Bring the right PostgreSQL, or, to give up what Redis holds, empty this lane in Redis; then unpark the lane`;
}

/** As `showTerm` writes it; undefined when the lane was parked for another reason. */
export function claimNamedBy(outcome: string | undefined): string | undefined {
  return /Redis was claimed under term (\d+\.\d+), which/.exec(outcome ?? '')?.[1];
}

export type UnparkPlan =
  | { readonly kind: 'not_parked' }
  | { readonly kind: 'refuse'; readonly reason: string }
  | { readonly kind: 'unpark'; readonly above?: number };

export interface UnparkWish {
  readonly registry: Pick<RegistryRow, 'state' | 'term' | 'outcome' | 'position'>;
  /** Undefined: Redis does not answer. */
  readonly redis: Pick<LaneTail, 'exists' | 'term'> | undefined;
  /** The term that the parking named. */
  readonly named: number | undefined;
  /** What the person asks for. */
  readonly above: number | undefined;
}

export function planUnpark({ registry, redis, named, above }: UnparkWish): UnparkPlan {
  if (registry.state !== 'parked' && registry.position.parked === undefined) {
    return { kind: 'not_parked' };
  }
  const carried = redis?.exists === true ? redis.term : undefined;
  const foreign = carried !== undefined && carried > registry.term ? carried : undefined;
  if (above === undefined) {
    if (foreign !== undefined) return refuse(whyStillForeign(foreign, registry.term));
    // Redis was emptied or replaced: the log may still know the numbers that were given there.
    const isGone = redis !== undefined && named !== undefined && named > registry.term;
    return isGone ? { kind: 'unpark', above: named } : { kind: 'unpark' };
  }
  const known = foreign ?? named;
  if (known === undefined) {
    return refuse('--above goes with a lane that is parked because Redis was claimed by others');
  }
  if (above !== known) {
    return refuse(`--above must name the term that Redis was claimed under: ${showTerm(known)}`);
  }
  return { kind: 'unpark', above };
}

function refuse(reason: string): UnparkPlan {
  return { kind: 'refuse', reason };
}

function whyStillForeign(claimed: number, newest: number): string {
  return (
    `Redis still carries term ${showTerm(claimed)}, and the newest of this registry is ${showTerm(newest)}: it would park again. ` +
    'Bring the right PostgreSQL; or, when this one was restored from a backup, run holdfast restored. ' +
    `When it is the right one and there is no newer, go on above that term: holdfast recover --unpark --above ${showTerm(claimed)}. ` +
    'What Redis has and neither it nor the log has is then given up'
  );
}
