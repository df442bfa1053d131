/** How a test waits for what other processes do. */

/** Longer than any fault of a test lasts; beyond it something is stuck. */
export const DECISION_MS_MAX = 60_000;

/** `what` is asked for when the time is over, so that it may say how things stand then. */
export async function until(
  what: string | (() => string),
  check: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + DECISION_MS_MAX;
  while (!(await check())) {
    if (performance.now() > deadline) {
      throw new Error(`not in time: ${typeof what === 'string' ? what : what()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
