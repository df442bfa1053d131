/** Times of a run, as clients saw them. */
import type { Attempt } from './history.ts';

export interface Stop {
  /** From the last success before the stop, or the fault, to the first one after it. */
  readonly ms: number;
  readonly endedMs: number;
}

/**
 * The longest time that a side's clients went without a successful reserve, of the stops that began
 * since `sinceMs`. Undefined when fewer than two succeeded.
 */
export function longestStop(
  attempts: readonly Attempt[],
  client: string,
  sinceMs: number,
): Stop | undefined {
  const successes = attempts
    .filter(({ client: by, verb, result }) => {
      return by === client && verb === 'reserve' && result?.outcome === 'ok';
    })
    .map(({ endedMs }) => endedMs ?? 0)
    .sort((a, b) => a - b);
  let longest: Stop | undefined;
  successes.forEach((endedMs, i) => {
    const before = successes[i - 1];
    if (before === undefined || endedMs < sinceMs) return;
    const ms = endedMs - Math.max(before, sinceMs);
    if (longest === undefined || ms > longest.ms) longest = { ms, endedMs };
  });
  return longest;
}

export function percentile(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];
}
