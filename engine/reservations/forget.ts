/**
 * Forgets what is older than the idempotency window: a day's records, three days after it began.
 * States: looking (hourly: is the day of three days ago dropped yet?), waiting (until PostgreSQL has
 * everything up to now, because no tombstone may go that it does not have), dropping (piece by
 * piece). Any number of engines may do it: to drop a piece twice is harmless, and the last piece
 * notes the day in the lane.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BUCKETS, generationOf } from '../domain/reservation-id.ts';
import { type ForgetfulLane, isRefusal, type Watermarks } from '../redis/lane-port.ts';
import { startWorker, type Worker } from '../runtime/worker.ts';

/** Scripts look today and yesterday, and at an id's own day for two more. */
const GENERATIONS_KEPT = 3;
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

/** Drops one generation if one is due; says how many pieces that took. */
export async function forgetOnce(options: ForgetOptions, signal: AbortSignal): Promise<number> {
  const generation = generationOf(options.lane.nowMs()) - GENERATIONS_KEPT;
  const look = await options.lane.drop(generation, 0, 0);
  if (isRefusal(look) || look.idle) return 0;
  const isSafe = await new Promise<boolean>((resolve) => {
    options.watermarks.wait('persisted', look.stamp, resolve);
  });
  if (!isSafe) return 0;
  let pieces = 0;
  for (let first = 0; first < BUCKETS && !signal.aborted; first += PIECE_BUCKETS) {
    const dropped = await options.lane.drop(generation, first, PIECE_BUCKETS);
    if (isRefusal(dropped) || dropped.idle) break;
    pieces++;
    await sleep(options.pauseMs ?? PIECE_PAUSE_MS);
  }
  return pieces;
}

export function startForgetting(options: ForgetOptions): Worker {
  return startWorker({
    name: 'forget',
    runOnce: async (signal) => {
      await forgetOnce(options, signal);
      return false;
    },
    pauseMs: LOOK_MS,
    pauseMsMax: LOOK_MS,
    onError: options.onError,
  });
}
