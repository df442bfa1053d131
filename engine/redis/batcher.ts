/**
 * Gathers what waits for one script of a lane and sends it as one batch.
 *
 * There are two queues: of items that are done with the script's reply (`plain`), and of items whose
 * batch must go out on a connection that then waits for replicas or disk (`confirmed`). While such
 * a connection is free, a batch takes from both, in order of arrival; while none is, the plain ones
 * pass the others by.
 *
 * States: idle (nothing queued, nothing in flight); gathering (queued, a flush stands at the end of
 * this turn of the event loop); flying (1 to IN_FLIGHT_MAX batches sent). Invariants: an item is in
 * one queue or in one batch, never in two places; the batches of a queue are sent in the order of
 * their items; a flush starts by itself when a batch lands or a connection is free, so there is no
 * timer and no wait on an idle lane.
 */

export interface BatchLimits {
  readonly itemsMax: number;
  /** Sum of the items' weights (lines) in a batch, so that one script stays short. */
  readonly weightMax: number;
  /** Admission: an item is refused when the oldest one has waited longer than this. */
  readonly waitMsMax: number;
}

export interface BatchSender<T> {
  /** Resolves when the batch is answered; must not reject. */
  readonly send: (items: readonly T[], isConfirmed: boolean) => Promise<void>;
  /** Whether a batch with confirmed items could go out now. */
  readonly hasRoom: () => boolean;
}

export interface Batcher<T> {
  /** False: refused, the oldest item of its queue waits longer than the bound. */
  push(item: T, weight: number, isConfirmed: boolean): boolean;
  /** There is room again for confirmed items. */
  onRoom(): void;
  readonly queued: number;
}

/** Two: while Redis works on one batch, the next is on its way. */
const IN_FLIGHT_MAX = 2;

export function createBatcher<T>(
  limits: BatchLimits,
  sender: BatchSender<T>,
  now: () => number,
): Batcher<T> {
  const plain = new Queue<T>();
  const confirmed = new Queue<T>();
  let inFlight = 0;
  let isScheduled = false;

  const launch = (items: readonly T[], isConfirmed: boolean): void => {
    inFlight++;
    void sender.send(items, isConfirmed).then(landed);
  };

  const flush = (): void => {
    isScheduled = false;
    while (inFlight < IN_FLIGHT_MAX) {
      if (confirmed.length > 0 && sender.hasRoom()) {
        const [fromPlain, fromConfirmed] = countBoth(plain, confirmed, limits);
        const items = [...plain.take(fromPlain), ...confirmed.take(fromConfirmed)];
        launch(items, fromConfirmed > 0);
      } else if (plain.length > 0) launch(plain.take(plain.countWithin(limits)), false);
      else return;
    }
  };

  const landed = (): void => {
    inFlight--;
    if (plain.length + confirmed.length > 0) flush();
  };

  return {
    push(item, weight, isConfirmed) {
      const queue = isConfirmed ? confirmed : plain;
      const at = now();
      if (at - queue.arrivalOf(0) > limits.waitMsMax) return false;
      queue.push(item, weight, at);
      if (inFlight < IN_FLIGHT_MAX && !isScheduled) {
        isScheduled = true;
        setImmediate(flush);
      }
      return true;
    },
    onRoom() {
      if (confirmed.length > 0) flush();
    },
    get queued() {
      return plain.length + confirmed.length;
    },
  };
}

/** Items in order of arrival. */
class Queue<T> {
  #items: T[] = [];
  #weights: number[] = [];
  #arrivals: number[] = [];

  get length(): number {
    return this.#items.length;
  }

  push(item: T, weight: number, at: number): void {
    this.#items.push(item);
    this.#weights.push(weight);
    this.#arrivals.push(at);
  }

  /** When the item came; never, when there is none. */
  arrivalOf(index: number): number {
    return this.#arrivals[index] ?? Number.POSITIVE_INFINITY;
  }

  weightOf(index: number): number | undefined {
    return this.#weights[index];
  }

  /** How many of the oldest, at least one, stay within the limits. */
  countWithin({ itemsMax, weightMax }: BatchLimits): number {
    let count = 0;
    let weight = 0;
    while (count < this.#items.length && count < itemsMax) {
      weight += this.#weights[count] ?? 0;
      if (count > 0 && weight > weightMax) break;
      count++;
    }
    return count;
  }

  /** The oldest items. */
  take(count: number): T[] {
    if (count === this.#items.length) {
      const all = this.#items;
      this.#items = [];
      this.#weights = [];
      this.#arrivals = [];
      return all;
    }
    this.#weights.splice(0, count);
    this.#arrivals.splice(0, count);
    return this.#items.splice(0, count);
  }
}

/** How many of the oldest of both, at least one, stay within the limits. */
function countBoth<T>(
  plain: Queue<T>,
  confirmed: Queue<T>,
  { itemsMax, weightMax }: BatchLimits,
): readonly [fromPlain: number, fromConfirmed: number] {
  let fromPlain = 0;
  let fromConfirmed = 0;
  let weight = 0;
  while (fromPlain + fromConfirmed < itemsMax) {
    const isPlainNext = plain.arrivalOf(fromPlain) <= confirmed.arrivalOf(fromConfirmed);
    const next = isPlainNext ? plain.weightOf(fromPlain) : confirmed.weightOf(fromConfirmed);
    if (next === undefined) break;
    weight += next;
    if (fromPlain + fromConfirmed > 0 && weight > weightMax) break;
    if (isPlainNext) fromPlain++;
    else fromConfirmed++;
  }
  return [fromPlain, fromConfirmed];
}
