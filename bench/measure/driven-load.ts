/** Work that no caller asked for, as the load of a phase: what a persister applied, or a sweeper. */
import { LoadTally } from './load-tally.ts';
import type { LoadResult } from './wire-load.ts';

/** `answers` are what was done, in so many seconds; there are no latencies, and no generator. */
export function drivenLoad(done: number, seconds: number): LoadResult {
  const none = new LoadTally();
  return {
    answers: done,
    byStatus: {},
    seconds,
    latency: none.latency(),
    cpuUsPerRequest: 0,
    rssBytes: Number.NaN,
    backlogMax: 0,
    timeouts: 0,
    unsent: 0,
    byLabel: {},
    tally: {},
  };
}
