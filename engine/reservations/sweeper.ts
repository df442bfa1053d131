/**
 * Gives expired holds back. Any number of engines may sweep: the script decides, by the record and
 * by lane time, and a hold that another engine swept is not held any more.
 */
import { isRefusal, type Lane } from '../redis/lane-port.ts';
import { startWorker, type Worker } from '../runtime/worker.ts';

/**
 * In the unit of SCRIPT_WORK_MAX: some 3 ms of a slow core; 100 holds of a cell each, or 250 of one hot
 * cell. Less than a batch may do, because the next slice is sent as soon as this one is answered.
 */
export const SLICE_WORK = 320;

export interface SweeperOptions {
  readonly lane: Lane;
  readonly everyMs: number;
  readonly onExpired: (holds: number) => void;
  readonly onError: (name: string, error: unknown) => void;
}

/** One slice; true when more is due at once. A closed lane has nothing to sweep. */
export async function sweepOnce(
  options: Pick<SweeperOptions, 'lane' | 'onExpired'>,
): Promise<boolean> {
  const reply = await options.lane.expire(SLICE_WORK);
  if (isRefusal(reply)) return false;
  if (reply.expired > 0) options.onExpired(reply.expired);
  return reply.more;
}

export function startSweeper(options: SweeperOptions): Worker {
  return startWorker({
    name: 'sweeper',
    runOnce: () => sweepOnce(options),
    pauseMs: options.everyMs,
    pauseMsMax: 1_000,
    onError: options.onError,
  });
}
