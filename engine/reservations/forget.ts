/**
 * Forgets what is older than the idempotency window: a day's records, three days after it began, one
 * day after the other. States: looking (hourly: which day is due?), waiting (until PostgreSQL has
 * everything up to now, because no tombstone may go that it does not have), dropping (piece by
 * piece). Any number of engines may do it: to drop a piece twice is harmless, and the last piece
 * notes the day in the lane.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BUCKETS } from '../domain/reservation-id.ts';
import { type ForgetfulLane, isRefusal, type Watermarks } from '../redis/lane-port.ts';
import { startWorker, type Worker } from '../runtime/worker.ts';

/** Buckets that one script drops: a few milliseconds of Redis. */
const PIECE_BUCKETS = 2_048;
/** Between pieces, so that a day's buckets take a minute and no reserve waits behind two of them. */
const PIECE_PAUSE_MS = 50;
const LOOK_MS = 3_600_000;

export interface ForgetOptions {
  readonly lane: ForgetfulLane;
  readonly watermarks: Pick<Watermarks, 'wait'>;
  readonly onError: (name: string, error: unknown) => void;
  readonly pauseMs?: number;
}

/** Drops the generation that is due, if there is one; says how many pieces that took. */
export async function forgetOnce(options: ForgetOptions, signal: AbortSignal): Promise<number> {
  const look = await options.lane.drop(0, 0, 0);
  if (isRefusal(look) || look.due === 0) return 0;
  const isSafe = await new Promise<boolean>((resolve) => {
    options.watermarks.wait('persisted', look.stamp, resolve);
  });
  if (!isSafe) return 0;
  let pieces = 0;
  for (let first = 0; first < BUCKETS && !signal.aborted; first += PIECE_BUCKETS) {
    const dropped = await options.lane.drop(look.due, first, PIECE_BUCKETS);
    if (isRefusal(dropped) || dropped.due !== look.due) break;
    pieces++;
    await sleep(options.pauseMs ?? PIECE_PAUSE_MS);
  }
  return pieces;
}

export function startForgetting(options: ForgetOptions): Worker {
  return startWorker({
    name: 'forget',
    runOnce: async (signal) => (await forgetOnce(options, signal)) > 0,
    pauseMs: LOOK_MS,
    pauseMsMax: LOOK_MS,
    onError: options.onError,
  });
}
