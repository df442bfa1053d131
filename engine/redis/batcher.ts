/**
 * Gathers what waits for one script of a lane and sends it as one batch.
 *
 * States: idle (nothing queued, nothing in flight); gathering (queued, a flush stands at the end of
 * this turn of the event loop); flying (1 to IN_FLIGHT_MAX batches sent). Invariants: an item is in
 * the queue or in one batch, never both; batches are sent in the order of their items; a flush
 * starts by itself when a batch lands, so there is no timer and no wait on an idle lane.
 */

export interface BatchLimits {
  readonly itemsMax: number;
  /** Sum of the items' weights (lines) in a batch, so that one script stays short. */
  readonly weightMax: number;
  /** Admission: an item is refused when the oldest one has waited longer than this. */
  readonly waitMsMax: number;
}

export interface Batcher<T> {
  /** False: refused, the queue's oldest item waits longer than the bound. */
  push(item: T, weight: number): boolean;
  readonly queued: number;
}

/** Two: while Redis works on one batch, the next is on its way. */
const IN_FLIGHT_MAX = 2;

/** `send` resolves when the batch is answered; it must not reject. */
export function createBatcher<T>(
  limits: BatchLimits,
  send: (items: readonly T[]) => Promise<void>,
  now: () => number,
): Batcher<T> {
  let items: T[] = [];
  let weights: number[] = [];
  let arrivals: number[] = [];
  let inFlight = 0;
  let scheduled = false;

  const take = (): T[] => {
    let count = 0;
    let weight = 0;
    while (count < items.length && count < limits.itemsMax) {
      weight += weights[count] ?? 0;
      if (count > 0 && weight > limits.weightMax) break;
      count++;
    }
    if (count === items.length) {
      const all = items;
      items = [];
      weights = [];
      arrivals = [];
      return all;
    }
    weights.splice(0, count);
    arrivals.splice(0, count);
    return items.splice(0, count);
  };

  const flush = (): void => {
    scheduled = false;
    while (items.length > 0 && inFlight < IN_FLIGHT_MAX) {
      inFlight++;
      void send(take()).then(landed);
    }
  };

  const landed = (): void => {
    inFlight--;
    if (items.length > 0) flush();
  };

  return {
    push(item, weight) {
      const at = now();
      const oldest = arrivals[0];
      if (oldest !== undefined && at - oldest > limits.waitMsMax) return false;
      items.push(item);
      weights.push(weight);
      arrivals.push(at);
      if (inFlight < IN_FLIGHT_MAX && !scheduled) {
        scheduled = true;
        setImmediate(flush);
      }
      return true;
    },
    get queued() {
      return items.length;
    },
  };
}
