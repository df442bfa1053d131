/** Pure: what is done when a worker has died. */

/** The pause before a place's second restart in a row; it doubles with each further one. */
export const PAUSE_MS_MIN = 250;
export const PAUSE_MS_MAX = 10_000;
/** A worker that answered for so long was well; its death begins a new row. */
export const WELL_MS = 60_000;
/** Deaths for each place, with nobody answering in between, after which it is no use. */
export const DEATHS_MAX = 5;

export interface Death {
  /** In this place, this one included, since a worker was well there. */
  readonly deathsInARow: number;
  /** In all places, this one included, since any worker began to answer. */
  readonly deathsInSilence: number;
  readonly places: number;
  /** No time mends what it died of. */
  readonly isFinal: boolean;
  /** Workers in other places that answer, and those of them that sell. */
  readonly othersAnswering: number;
  readonly othersWhole: number;
}

export type AfterDeath =
  | { readonly kind: 'restart'; readonly pauseMs: number }
  | { readonly kind: 'give_up' };

/**
 * Others that sell are never taken down for one that cannot: who mends the setting finds it tried
 * again. Without any, a failure that no time mends is told at once, and what keeps dying is given up.
 */
export function afterDeath(death: Death): AfterDeath {
  if (death.isFinal && death.othersWhole === 0) return { kind: 'give_up' };
  const isSilent = death.othersAnswering === 0;
  if (isSilent && death.deathsInSilence >= DEATHS_MAX * death.places) return { kind: 'give_up' };
  return { kind: 'restart', pauseMs: pauseAfter(death.deathsInARow) };
}

/** None after the first death: it is an accident until it happens again. */
function pauseAfter(deathsInARow: number): number {
  if (deathsInARow <= 1) return 0;
  return Math.min(PAUSE_MS_MIN * 2 ** (deathsInARow - 2), PAUSE_MS_MAX);
}
