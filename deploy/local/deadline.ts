/** Waiting for a condition with a deadline: the one way in which this folder waits. */
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_INTERVAL_MS_MAX = 50;

/**
 * Asks again, first quickly and then every 50 ms, until the probe gives a value; undefined when
 * the time is over. A probe that throws ends the wait with its error.
 */
export async function waitFor<T>(
  probe: () => Promise<T | undefined> | T | undefined,
  timeoutMs: number,
): Promise<T | undefined> {
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = 2; ; pauseMs = Math.min(pauseMs * 1.5, POLL_INTERVAL_MS_MAX)) {
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() >= deadline) return undefined;
    await sleep(pauseMs);
  }
}
