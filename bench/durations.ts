/** How long a run will likely take, said before it begins. */
import type { Scenario } from './scenario.ts';

/**
 * Of a whole scenario in full, seconds, on two cores: as measured on 2026-11-22 (commit 7ce9595, in an
 * hour in which the host took a fifth of them), but for `peers`, which is its phases and starts.
 */
export const FULL_SECONDS: Readonly<Record<string, number>> = {
  lane: 89,
  'hot-sku': 201,
  'flash-drop': 217,
  'long-tail': 281,
  carts: 59,
  'retry-storm': 56,
  'cart-abandon': 37,
  'availability-reads': 55,
  mixed: 37,
  replay: 52,
  overload: 415,
  memory: 226,
  persister: 96,
  'expiry-storm': 144,
  'full-pipeline': 126,
  'checkout-pairs': 73,
  workers: 195,
  'commit-latency': 71,
  peers: 600,
  guard: 34,
};

/** Undefined: of one that is not known. */
export function expectedSeconds(scenarios: readonly Pick<Scenario, 'name'>[]): number | undefined {
  let sum = 0;
  for (const { name } of scenarios) {
    const seconds = FULL_SECONDS[name];
    if (seconds === undefined) return undefined;
    sum += seconds;
  }
  return sum;
}

/** A line for who waits. */
export function wordsOnDuration(scenarios: readonly Pick<Scenario, 'name'>[]): string {
  const seconds = expectedSeconds(scenarios);
  const count = `${scenarios.length} scenario${scenarios.length === 1 ? '' : 's'}`;
  if (seconds === undefined) return count;
  const minutes = Math.ceil(seconds / 60);
  return `${count}, about ${minutes} minute${minutes === 1 ? '' : 's'} on two cores`;
}
