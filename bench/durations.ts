/** How long a run will likely take, said before it begins. */
import type { Scenario } from './scenario.ts';

/**
 * Of a whole scenario in full, seconds, on two cores that nothing else uses. Those with a remark were
 * measured so; the others are the sum of their phases, 15 s for a start, and 40 us for the audit of
 * each hold.
 */
export const FULL_SECONDS: Readonly<Record<string, number>> = {
  // 76.7 s, commit b4dd7dd.
  lane: 77,
  // 194.9 s, the same run.
  'hot-sku': 195,
  'flash-drop': 135,
  'long-tail': 80,
  carts: 55,
  'retry-storm': 50,
  'cart-abandon': 55,
  // 48.0 s, the same run.
  'availability-reads': 48,
  mixed: 50,
  replay: 55,
  overload: 400,
  memory: 150,
  // 93.2 s, the same run.
  persister: 93,
  'expiry-storm': 200,
  'full-pipeline': 200,
  'checkout-pairs': 80,
  workers: 130,
  'commit-latency': 120,
  peers: 600,
  guard: 40,
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
  return `${count}, about ${minutes} minute${minutes === 1 ? '' : 's'} on two idle cores`;
}
