/**
 * The door of the sale: it lets in the next shopper when fewer than so many of their requests are under way. On a
 * machine that keeps up nobody waits; on one that does not, the crowd takes longer to come, instead of queueing up
 * inside until every hold has expired. Who has a hold is never kept waiting.
 */
export class WaitingRoom {
  readonly #insideMax: number;
  readonly #clock: () => number;
  /** Those who wait, in their order; what is before `#first` has been let in. */
  #queue: { readonly sinceMs: number; readonly open: () => void }[] = [];
  #first = 0;
  #inside = 0;
  #waited = 0;
  #longestMs = 0;

  constructor(insideMax: number, clock: () => number = () => performance.now()) {
    this.#insideMax = insideMax;
    this.#clock = clock;
  }

  /** Who comes now has to wait. */
  get isFull(): boolean {
    return this.#inside >= this.#insideMax;
  }

  /** How many wait now. */
  get waiting(): number {
    return this.#queue.length - this.#first;
  }

  /** How many had to wait at all, and the longest time of those who are in. */
  get history(): { readonly waited: number; readonly longestMs: number } {
    return { waited: this.#waited, longestMs: this.#longestMs };
  }

  /** Resolves when the caller is let in; then the caller must `leave`. */
  enter(): Promise<void> {
    if (!this.isFull) {
      this.#inside += 1;
      return Promise.resolve();
    }
    this.#waited += 1;
    return new Promise((open) => {
      this.#queue.push({ sinceMs: this.#clock(), open });
    });
  }

  leave(): void {
    const next = this.#queue[this.#first];
    if (next === undefined) {
      this.#inside -= 1;
      return;
    }
    this.#first += 1;
    // The place goes over from the one to the other: `#inside` stays.
    this.#longestMs = Math.max(this.#longestMs, this.#clock() - next.sinceMs);
    if (this.#first === this.#queue.length) {
      this.#queue = [];
      this.#first = 0;
    }
    next.open();
  }
}
