/**
 * How many replicas must have a write, from one look at the primary to the next. No I/O.
 *
 * A primary that hung does not know for how long: it wakes, sees at once that the connection of the
 * replica that was promoted meanwhile is closed, and no longer counts it, while those that nobody
 * has told yet still follow it. Their acknowledgements would be of a history that is given up. So a
 * replica that left counts for as long as one that fell silent, and that time must have been looked
 * at: what passed between two looks that are far apart may be the time in which the primary hung.
 */

/** A replica that left counts for so long; a Sentinel tells the others of a promotion within one. */
const LEAVE_MS = 2_000;
/** Looks that are no further apart saw what was between them. Rounds end after 250 ms. */
const LOOK_MS_MAX = 1_000;

export class NeededReplicas {
  readonly #now: () => number;
  #epoch: number | undefined;
  #count: number;
  #lowerSinceMs: number | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  /** `replicas`: those of the deployment, all of which count at first. `now`: monotonic, ms. */
  constructor(replicas: number, now: () => number) {
    this.#count = replicas;
    this.#now = now;
  }

  /** As it was seen last. */
  get count(): number {
    return this.#count;
  }

  /**
   * What counts, now that the primary `showed` so many. In an epoch that is new since the last look it
   * is what was shown: no replica has left that had its writes.
   */
  see(epoch: number, shown: number): number {
    const now = this.#now();
    const isNewEpoch = this.#epoch !== undefined && epoch !== this.#epoch;
    this.#epoch = epoch;
    const wasLooking = now - this.#lookedAtMs <= LOOK_MS_MAX;
    this.#lookedAtMs = now;
    if (shown >= this.#count || isNewEpoch) {
      this.#count = shown;
      this.#lowerSinceMs = undefined;
      return shown;
    }
    if (this.#lowerSinceMs === undefined || !wasLooking) this.#lowerSinceMs = now;
    if (now - this.#lowerSinceMs >= LEAVE_MS) {
      this.#count = shown;
      this.#lowerSinceMs = undefined;
    }
    return this.#count;
  }
}
