/**
 * Gives expired holds back. Any number of engines may sweep: the script decides, by the record and
 * by lane time, and a hold that another engine swept is not held any more.
 */
import { isRefusal, type Lane } from '../redis/lane-port.ts';
import { startWorker, type Worker } from '../runtime/worker.ts';

/**
 * References that one script looks at. Redis stands still for so long: 3.5 ms of a busy core, 13 ms
 * with 512 of them (lua/README.md).
 */
const REFERENCES_MAX = 128;

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
  const reply = await options.lane.expire(REFERENCES_MAX);
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
