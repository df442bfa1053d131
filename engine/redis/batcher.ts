/**
 * Gathers what waits for one script of a lane and sends it as one batch, and refuses what would wait
 * too long.
 *
 * There are two queues: of items that are done with the script's reply (`plain`), and of items whose
 * batch must go out on a connection that then waits for replicas or disk (`confirmed`). While such
 * a connection is free, a batch takes from both, in order of arrival; while none is, the plain ones
 * pass the others by.
 *
 * States: idle (nothing queued, nothing in flight); gathering (queued, a flush stands at the end of
 * this turn of the event loop, or GATHER_MS after the batch before in a crowd); flying (1 to
 * IN_FLIGHT_MAX batches sent, without confirmed ones that have been away for `waitMs`). Invariants: an
 * item is in one queue or in one batch, never in two places; the batches of a queue are sent in the order
 * of their items; a flush starts by itself when a batch lands or a connection is free, so nothing on an
 * idle lane waits for a timer; no item is sent that has waited longer than its bound.
 *
 * Admission (README.md, "Overload"): what would wait longer than `waitMs`, as fast as its queue
 * moves, is refused when it comes; a patient item only beyond PATIENCE times that. The same longer
 * bound holds for a queue that does not move at all, and for what was queued when it stopped.
 */
import { type BatchLimits as BatchSize, countBoth, WaitingQueue } from './waiting-queue.ts';

export interface BatchLimits extends BatchSize {
  /** Admission: an item is refused when it is expected to wait longer than this. */
  readonly waitMs: number;
}

export interface BatchSender<T> {
  /** Resolves when the batch is answered; must not reject. */
  readonly send: (items: readonly T[], isConfirmed: boolean) => Promise<void>;
  /** Whether a batch with confirmed items could go out now. */
  readonly hasRoom: () => boolean;
  /** They were queued, and will not be sent: they have waited longer than the bound. */
  readonly expired: (items: readonly T[]) => void;
}

export interface Manner {
  readonly isConfirmed: boolean;
  /** Rather waits than is refused. */
  readonly isPatient: boolean;
  /** It was sent, and a script had no room for it: who was let in once is not asked again. */
  readonly isBack?: boolean;
}

/** What became of an item; `crowded` and `stalled`: it was refused, and why. */
export type Admission = 'admitted' | 'crowded' | 'stalled';

export interface Batcher<T> {
  push(item: T, weight: number, manner: Manner): Admission;
  /** There is room again for confirmed items. */
  onRoom(): void;
  readonly queued: number;
}

/** Two: while Redis works on one batch, the next is on its way. */
const IN_FLIGHT_MAX = 2;
/**
 * From one batch to the next in a crowd, unless a full one is there before: a script costs Redis as much
 * as some fifty reservations before its first (README.md). Behind a small batch nobody waits.
 */
const GATHER_MS = 1;
/** It is a crowd when the batch before had so many. */
const CROWD_MIN = 8;
/** Times `waitMs`: for items that are worth more, and for stalls, which end. */
export const PATIENCE = 10;

export function createBatcher<T>(
  limits: BatchLimits,
  sender: BatchSender<T>,
  now: () => number,
  later: (flush: () => void, ms: number) => void = setTimeout,
): Batcher<T> {
  const waitMsMax = limits.waitMs * PATIENCE;
  const plain = new WaitingQueue<T>();
  const confirmed = new WaitingQueue<T>();
  let isScheduled = false;
  const { expire, watch } = createExpiry([plain, confirmed], waitMsMax, sender.expired, now);

  const flush = (): void => {
    isScheduled = false;
    const at = now();
    expire(at);
    while (flights.hasPlace()) {
      const hasRoom = sender.hasRoom();
      plain.couldGo();
      if (hasRoom) confirmed.couldGo();
      const ready = hasRoom && confirmed.length > 0 ? [plain, confirmed] : [plain];
      if (ready.every(isEmpty)) return;
      if (!fillBatch(ready, limits) && crowd.gathers(at)) return;
      const [fromPlain, fromConfirmed] =
        ready.length > 1 ? countBoth(plain, confirmed, limits) : [plain.countWithin(limits), 0];
      const items = plain.take(fromPlain, at);
      if (fromConfirmed > 0) items.push(...confirmed.take(fromConfirmed, at));
      // Who is left behind has waited enough, and tells how fast the lane is.
      crowd.sent(ready.every(isEmpty) ? items.length : 0, at);
      flights.launch(items, fromConfirmed > 0);
    }
  };

  const flights = createFlights(sender, limits.waitMs, flush);
  const crowd = createCrowd(flush, later);

  return {
    push(item, weight, { isConfirmed, isPatient, isBack = false }) {
      const queue = isConfirmed ? confirmed : plain;
      const at = now();
      if (!isBack) {
        if (queue.stalledMs(at) > waitMsMax) return 'stalled';
        if (queue.expectedMs(limits) > (isPatient ? waitMsMax : limits.waitMs)) return 'crowded';
      }
      queue.push(item, weight, at);
      watch();
      if (flights.hasPlace() && !isScheduled) {
        isScheduled = true;
        setImmediate(flush);
      }
      return 'admitted';
    },
    onRoom: flush,
    get queued() {
      return plain.length + confirmed.length;
    },
  };
}

function isEmpty({ length }: { readonly length: number }): boolean {
  return length === 0;
}

/** The batches that are on their way; `left` is called when one ends, or gives its place up. */
function createFlights<T>(
  { send }: Pick<BatchSender<T>, 'send'>,
  waitMs: number,
  left: () => void,
): {
  readonly hasPlace: () => boolean;
  readonly launch: (items: readonly T[], isConfirmed: boolean) => void;
} {
  let inFlight = 0;
  return {
    hasPlace: () => inFlight < IN_FLIGHT_MAX,
    launch(items, isConfirmed) {
      let hasPlace = true;
      inFlight++;
      const leave = (): void => {
        if (hasPlace) inFlight--;
        hasPlace = false;
        left();
      };
      // The connection of a confirmed batch may hang alone: then its place is soon another's.
      const hung = isConfirmed ? setTimeout(leave, waitMs) : undefined;
      void send(items, isConfirmed).then(() => {
        clearTimeout(hung);
        leave();
      });
    },
  };
}

/** Whether these have enough for a batch. */
function fillBatch<T>(
  queues: readonly WaitingQueue<T>[],
  { itemsMax, weightMax }: BatchSize,
): boolean {
  const sum = (of: (queue: WaitingQueue<T>) => number): number =>
    queues.reduce((all, queue) => all + of(queue), 0);
  return sum(({ length }) => length) >= itemsMax || sum(({ weight }) => weight) >= weightMax;
}

/** Whether a crowd comes, which is gathered: then `flush` is called when that is over. */
function createCrowd(
  flush: () => void,
  later: (flush: () => void, ms: number) => void,
): {
  readonly sent: (count: number, at: number) => void;
  readonly gathers: (at: number) => boolean;
} {
  let sentCount = 0;
  let sentAt = 0;
  let isGathering = false;
  const end = (): void => {
    isGathering = false;
    flush();
  };
  return {
    sent(count, at) {
      sentCount = count;
      sentAt = at;
    },
    gathers(at) {
      const ms = sentAt + GATHER_MS - at;
      if (sentCount < CROWD_MIN || ms <= 0) return false;
      if (!isGathering) {
        isGathering = true;
        // A timer takes whole ms, and would round down.
        later(end, Math.ceil(ms));
      }
      return true;
    },
  };
}

/** Ends the wait of what has waited longer than `waitMsMax`. */
function createExpiry<T>(
  queues: readonly WaitingQueue<T>[],
  waitMsMax: number,
  expired: (items: readonly T[]) => void,
  now: () => number,
): { readonly expire: (at: number) => void; readonly watch: () => void } {
  let isWatched = false;
  const expire = (at: number): void => {
    for (const queue of queues) {
      const old = queue.dropBefore(at - waitMsMax);
      if (old.length > 0) expired(old);
    }
  };
  /** For what is queued where nothing lands any more: one look in `waitMsMax`, for all of it. */
  const watch = (): void => {
    if (isWatched) return;
    isWatched = true;
    setTimeout(() => {
      isWatched = false;
      expire(now());
      if (queues.some(({ length }) => length > 0)) watch();
    }, waitMsMax).unref();
  };
  return { expire, watch };
}
