/** The gauges of one scrape share what is read for it. */

/** They are read within it; the next scrape comes seconds later. */
export const SAME_SCRAPE_MS = 500;

/** Calls that come within `ms` of the first share its result. */
export function onceIn<T>(ms: number, read: () => Promise<T>): () => Promise<T> {
  let begun = Number.NEGATIVE_INFINITY;
  let reading: Promise<T> | undefined;
  return () => {
    if (reading === undefined || performance.now() - begun > ms) {
      begun = performance.now();
      reading = read();
    }
    return reading;
  };
}
