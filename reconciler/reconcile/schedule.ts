/**
 * Runs of reconcile, one after another: `run` around a bounded `runOnce`. Each result is kept in
 * PostgreSQL. Two schedules may run at once: the second repair of the same thing finds nothing to do.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { noCrashPoint } from '../../engine/runtime/crash-point.ts';
import { keepFailure, keepReport } from './journal.ts';
import { type ReconcileDeps, type ReconcileOptions, reconcile } from './reconcile.ts';
import type { ReconcileReport } from './report.ts';

export interface ScheduleDeps extends ReconcileDeps {
  readonly options: ReconcileOptions;
  readonly onReport: (report: ReconcileReport) => void;
  /** The stores could not be compared, or one failed; the schedule goes on. */
  readonly onFailure: (error: Error) => void;
}

/** Compares, repairs if told to, and keeps the result; rejects when the stores cannot be compared. */
export async function runOnce(deps: ScheduleDeps): Promise<ReconcileReport> {
  const { pool, options, lane = 0, crash = noCrashPoint } = deps;
  const startedAt = new Date();
  try {
    const report = await reconcile(deps, options);
    // First told, then kept: a database that may only be read is no reason to say nothing.
    deps.onReport(report);
    crash('reconcile.before_journal');
    await keepReport(pool, report);
    return report;
  } catch (caught) {
    const error = caught instanceof Error ? caught : new Error(String(caught));
    deps.onFailure(error);
    // The reason to keep it may be that PostgreSQL is away.
    const kept = { lane, startedAt, applied: options.apply, error };
    await keepFailure(pool, kept).catch(() => undefined);
    throw error;
  }
}

export interface Schedule {
  readonly everyMs: number;
  /**
   * How far back a run that is not complete looks, in ms; undefined: each run is complete. Such a run
   * costs what PostgreSQL changed; what was edited in Redis alone it does not see.
   */
  readonly sinceMs?: number | undefined;
  /** Every so many runs one is complete: the first, and then each of that number. */
  readonly fullEvery?: number;
}

export const FULL_EVERY = 6;

/** Until the signal; resolves when the last run is over. */
export async function run(
  deps: ScheduleDeps,
  { everyMs, sinceMs, fullEvery = FULL_EVERY }: Schedule,
  signal: AbortSignal,
): Promise<void> {
  for (let turn = 0; !signal.aborted; turn += 1) {
    const began = performance.now();
    const isFull = sinceMs === undefined || turn % fullEvery === 0;
    const options = isFull ? deps.options : { ...deps.options, sinceMs: Date.now() - sinceMs };
    // `onFailure` has been told; a complete run that failed is made up for by the next.
    const isDone = await runOnce({ ...deps, options, signal }).then(
      () => true,
      () => false,
    );
    if (isFull && !isDone) turn = -1;
    const pauseMs = Math.max(0, everyMs - (performance.now() - began));
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}
