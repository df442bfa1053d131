/**
 * How long the event loop keeps others waiting: a timer of a fixed distance tells by how much it is
 * late. What blocks the loop for a while is seen by the tick that falls into it, so a block shorter
 * than the distance is seen as often as its share of it.
 */

/** A hundred looks a second cost nothing that could be measured; blocks of 10 ms are the bound. */
const EVERY_MS = 10;

/** `observe` gets seconds. The timer keeps no process alive; the result ends it. */
export function watchLoopDelay(
  observe: (delayS: number) => void,
  now: () => number = () => performance.now(),
): () => void {
  let dueMs = now() + EVERY_MS;
  const timer = setInterval(() => {
    const atMs = now();
    observe(Math.max(0, atMs - dueMs) / 1_000);
    // Each counts from the last one: a long block is one delay, not many.
    dueMs = atMs + EVERY_MS;
  }, EVERY_MS).unref();
  return () => clearInterval(timer);
}
