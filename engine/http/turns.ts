/**
 * Which requests a turn of the event loop has time for. A turn reads what was there when it began, one
 * request after the other: who is read last has waited for all before him, and nobody was told.
 *
 * States: between turns; in a turn, since its first request was read. True in each:
 *   between  nothing is counted
 *   in one   `end` will be called once, when all that was there has been read
 *
 * One long turn is a stall (a collection of garbage, a neighbour on the core), which passes by itself. It
 * is an overload when another one was long shortly before.
 */

export interface TurnLimits {
  /** A turn is long from here on. */
  readonly longMs: number;
  /** So many are let in by any turn, however slow the core is. */
  readonly letInMin: number;
}

/** Long turns so near to each other are one overload: some twenty turns that are just too long. */
const OVERLOAD_MS = 500;
/** Refusals that any turn may give, so that all are given however little is let in. */
const REFUSED_MIN = 64;
/** Of what two turns let in: half as many refusals as acceptances are a tenth of the engine's time. */
const REFUSED_SHARE = 0.25;

export class Turns {
  readonly #limits: TurnLimits;
  #beganMs: number | undefined;
  /** When the last request was read. */
  #readMs = 0;
  #letIn = 0;
  #letInBefore = 0;
  #refused = 0;
  #isLong = false;
  /** When the last long turn before this one ended. */
  #longMs = Number.NEGATIVE_INFINITY;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  get isOver(): boolean {
    return this.#beganMs === undefined;
  }

  /** A request was read. `patience`: times the limit. Monotonic, ms. */
  letsIn(nowMs: number, patience: number): boolean {
    this.#beganMs ??= nowMs;
    this.#readMs = nowMs;
    const waitedMs = nowMs - this.#beganMs;
    const { longMs, letInMin } = this.#limits;
    if (waitedMs > longMs) {
      this.#isLong = true;
      const isOverload = this.#beganMs - this.#longMs < OVERLOAD_MS;
      if (isOverload && waitedMs > longMs * patience && this.#letIn >= letInMin) return false;
    }
    this.#letIn += 1;
    return true;
  }

  /** Whether one more refusal may be given in this turn; then it counts as given. */
  refusesNow(): boolean {
    const most = Math.max(REFUSED_MIN, REFUSED_SHARE * (this.#letIn + this.#letInBefore));
    if (this.#refused >= most) return false;
    this.#refused += 1;
    return true;
  }

  end(): void {
    if (this.#isLong) this.#longMs = this.#readMs;
    this.#letInBefore = this.#letIn;
    this.#beganMs = undefined;
    this.#letIn = 0;
    this.#refused = 0;
    this.#isLong = false;
  }
}
