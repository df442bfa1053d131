/**
 * What waits for one script of a lane, in order of arrival, and how fast it is taken.
 *
 * The rate is measured only while something is left behind by each batch, because only then is it
 * the lane that is slow and not the callers. It counts what was taken over the last RATE_MS of such
 * time, so that it follows a lane whose speed changes within a few batches.
 *
 * States: empty; waiting (nothing was taken since `#since`); moving (a batch took some at `#leftAt`
 * and left the rest). What grows too old is dropped, and that does not count as movement: an empty
 * queue of a lane that stands still stays stalled until the lane moves.
 */

export interface BatchLimits {
  readonly itemsMax: number;
  /** Sum of the items' weights (lines) in a batch, so that one script stays short. */
  readonly weightMax: number;
}

/** Of backlogged time: some twenty full batches at 10 ms each, and no more than four waits. */
const RATE_MS = 200;
/** What a full batch is taken to need until one is measured; those of 512 need 2 to 5. */
const BATCH_MS_GUESSED = 10;

export class WaitingQueue<T> {
  #items: T[] = [];
  #weights: number[] = [];
  #arrivals: number[] = [];
  #weight = 0;
  /** Since when something wants to be taken and nothing was. */
  #since: number | undefined;
  /** When a batch left something behind. */
  #leftAt: number | undefined;
  #rateWeight = 0;
  #rateMs = 0;

  get length(): number {
    return this.#items.length;
  }

  push(item: T, weight: number, at: number): void {
    this.#items.push(item);
    this.#weights.push(weight);
    this.#arrivals.push(at);
    this.#weight += weight;
    this.#since ??= at;
  }

  /** When the item came; never, when there is none. */
  arrivalOf(index: number): number {
    return this.#arrivals[index] ?? Number.POSITIVE_INFINITY;
  }

  weightOf(index: number): number | undefined {
    return this.#weights[index];
  }

  /** Of all its items. */
  get weight(): number {
    return this.#weight;
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

  /** The oldest items, for a batch. */
  take(count: number, at: number): T[] {
    if (count === 0) return [];
    const before = this.#weight;
    const taken = this.#remove(count);
    if (this.#leftAt !== undefined) this.#learn(before - this.#weight, at - this.#leftAt);
    this.#leftAt = this.#items.length > 0 ? at : undefined;
    this.#since = this.#leftAt;
    return taken;
  }

  /** What came before `arrival`: too old to be sent. */
  dropBefore(arrival: number): T[] {
    let count = 0;
    while (this.arrivalOf(count) < arrival) count++;
    if (count === 0) return [];
    const dropped = this.#remove(count);
    if (this.#items.length === 0) this.#leftAt = undefined;
    return dropped;
  }

  /** A batch could have gone out: the lane moves, whether anything was here or not. */
  couldGo(): void {
    if (this.#items.length === 0) this.#since = undefined;
  }

  /** For how long something has wanted to be taken and nothing was. */
  stalledMs(at: number): number {
    return this.#since === undefined ? 0 : at - this.#since;
  }

  /**
   * How long an item that came now would wait. 0 for what may go with the next batch, whatever the
   * rate is believed to be: so a lane that has become faster is always seen to be.
   */
  expectedMs({ itemsMax, weightMax }: BatchLimits): number {
    if (this.#items.length <= itemsMax && this.#weight <= weightMax) return 0;
    if (this.#rateMs === 0) return (this.#weight * BATCH_MS_GUESSED) / itemsMax;
    return (this.#weight * this.#rateMs) / this.#rateWeight;
  }

  #learn(weight: number, ms: number): void {
    // Two batches that went out at once: the second says nothing of the lane.
    if (ms <= 0) return;
    // A stall counts no more than RATE_MS, or the rate would need as long to recover.
    const counted = Math.min(ms, RATE_MS);
    const kept = Math.exp(-counted / RATE_MS);
    this.#rateWeight = this.#rateWeight * kept + weight;
    this.#rateMs = this.#rateMs * kept + counted;
  }

  #remove(count: number): T[] {
    if (count === this.#items.length) {
      const all = this.#items;
      this.#items = [];
      this.#weights = [];
      this.#arrivals = [];
      this.#weight = 0;
      return all;
    }
    for (const weight of this.#weights.splice(0, count)) this.#weight -= weight;
    this.#arrivals.splice(0, count);
    return this.#items.splice(0, count);
  }
}

/** How many of the oldest of both, at least one, stay within the limits. */
export function countBoth<T>(
  plain: WaitingQueue<T>,
  confirmed: WaitingQueue<T>,
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
