/**
 * Which primary to believe in when Sentinels disagree. Pure.
 *
 * Sentinels themselves let the higher configuration epoch win: it is given out by a majority, once
 * for each failover, and sooner or later all take it over. So do we, and need not wait until they
 * have: one Sentinel that tells of a newer failover outweighs two that have not heard of it yet, and
 * the minority that was cut off together with the old primary is outweighed as soon as one of the
 * others is heard. Among equals the count decides. Back to a lower epoch than the one that is
 * believed in leads only the word of a majority (the Sentinels were set up anew): else a Sentinel
 * that slept through a failover would lead back to the old primary when it alone is heard.
 *
 * What comes out are candidates in order. The first that answers as a primary is taken, so that one
 * Sentinel which names what is none, by whatever epoch, cannot hold anybody up. Safety does not
 * depend on any of this: a node that is not the lane's primary answers `fenced`.
 */
import { type Address, sameAddress } from '../runtime/redis-url.ts';

/** What one Sentinel says. */
export interface SentinelView {
  /** Its run id: the same Sentinel under two addresses has one voice. */
  readonly sentinel: string;
  readonly primary: Address;
  readonly configEpoch: number;
  /** It finds something wrong with the primary, or is failing over. */
  readonly isTroubled: boolean;
  /** The other Sentinels that it knows of. */
  readonly others: readonly { readonly id: string; readonly address: Address }[];
}

export interface Belief {
  readonly primary: Address;
  readonly configEpoch: number;
}

export interface Candidate extends Belief {
  readonly votes: number;
}

/** Best first; views of the same Sentinel count once, the later of them. */
export function rankPrimaries(
  views: readonly SentinelView[],
  believed: Belief | undefined,
): readonly Candidate[] {
  const voices = new Map(views.map((view) => [view.sentinel, view]));
  const candidates: Candidate[] = [];
  for (const { primary, configEpoch } of voices.values()) {
    const at = candidates.findIndex((each) => sameAddress(each.primary, primary));
    const votes = (candidates[at]?.votes ?? 0) + 1;
    const epoch = Math.max(candidates[at]?.configEpoch ?? 0, configEpoch);
    candidates.splice(at < 0 ? candidates.length : at, 1, { primary, configEpoch: epoch, votes });
  }
  const majority = Math.floor(countSentinels(views) / 2) + 1;
  return candidates
    .filter(
      ({ primary, configEpoch, votes }) =>
        believed === undefined ||
        configEpoch >= believed.configEpoch ||
        votes >= majority ||
        sameAddress(primary, believed.primary),
    )
    .sort(
      (one, other) =>
        other.configEpoch - one.configEpoch ||
        other.votes - one.votes ||
        rankBelieved(other, believed) - rankBelieved(one, believed),
    );
}

/** All Sentinels that somebody knows of, heard or not. */
export function countSentinels(views: readonly SentinelView[]): number {
  return new Set(views.flatMap(({ sentinel, others }) => [sentinel, ...others.map(({ id }) => id)]))
    .size;
}

function rankBelieved({ primary }: Candidate, believed: Belief | undefined): number {
  return believed !== undefined && sameAddress(primary, believed.primary) ? 1 : 0;
}
