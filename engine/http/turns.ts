/**
 * Which requests a turn of the event loop has time for. A turn reads what was there when it began, one
 * request after the other: who is read last has waited for all before him, and nobody was told. Where
 * the loop did not sleep before the turn, he may have come while the one before it was at work, so that
 * he has waited for all of that, too. To this comes how long he will wait for who was let in before him
 * (pace.ts): there is one bound, for both together.
 *
 * States: between turns; in a turn, since its first request was read. True in each:
 *   between  nothing is counted
 *   in one   `end` will be called once, when all that was there has been read
 *
 * A turn is long in which somebody waits longer. One is a stall (a collection of garbage, a neighbour on
 * the core), which passes by itself. It is an overload when two of the last few were long: a stall is
 * seen by its own turn and by the next.
 */

export interface TurnLimits {
  /** A request is late that waits longer: until it was read, as far as can be known, and from then on. */
  readonly waitMsMax: number;
  /** So many are let in by any turn behind which no crowd waits, however slow the core is. */
  readonly letInMin: number;
}

/** What the clocks say. */
export interface LoopTime {
  /** Monotonic, ms. */
  readonly nowMs: number;
  /** For how long the loop has slept since its start: it waited for something to happen. */
  readonly idleMs: number;
}

/** The loop finds work at once, or it sleeps: what is shorter is the asking. */
const SLEEP_MS = 0.5;
/** The last four turns, one bit each. */
const RECENT = 0b1111;
/** Refusals that any turn may give, so that all are given however little is let in. */
const REFUSED_MIN = 32;
/** Of what two turns let in: an eighth as many refusals as acceptances are a sixteenth of the time. */
const REFUSED_SHARE = 0.0625;

export class Turns {
  readonly #limits: TurnLimits;
  #isOver = true;
  /** From when on those who are read in this turn may have waited. */
  #sinceMs = 0;
  /** When the loop found what it reads now: before that nobody of this turn could be read. */
  #wokeMs = 0;
  #ended: LoopTime = { nowMs: 0, idleMs: 0 };
  #letIn = 0;
  #letInBefore = 0;
  #refused = 0;
  #isLong = false;
  /** Which of the turns before this one were long, the last one in the lowest bit. */
  #longTurns = 0;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The first request of a turn was read. */
  begin({ nowMs, idleMs }: LoopTime): void {
    const sleptMs = idleMs - this.#ended.idleMs;
    const wokeBeforeMs = this.#wokeMs;
    this.#wokeMs = Math.min(nowMs, this.#ended.nowMs + sleptMs);
    this.#sinceMs = sleptMs > SLEEP_MS ? this.#wokeMs : wokeBeforeMs;
    this.#isOver = false;
  }

  /**
   * A request was read. `aheadMs`: how long it will wait for those before it, 0 where no crowd waits.
   * `patience`: times the limit. All in ms, monotonic.
   */
  letsIn(nowMs: number, aheadMs: number, patience: number): boolean {
    const waitMs = nowMs - this.#sinceMs + aheadMs;
    const { waitMsMax, letInMin } = this.#limits;
    if (waitMs > waitMsMax) {
      this.#isLong = true;
      const isLate = waitMs > waitMsMax * patience;
      const isCrowd = aheadMs > 0 || this.#letIn >= letInMin;
      if (isLate && isCrowd && isTwice(this.#longTurns)) return false;
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

  /** All that was there has been read; of a turn that read nothing, too, when refusals are left. */
  end(time: LoopTime): void {
    if (this.#isOver) this.begin(time);
    this.#longTurns = ((this.#longTurns << 1) | (this.#isLong ? 1 : 0)) & RECENT;
    this.#ended = time;
    this.#letInBefore = this.#letIn;
    this.#letIn = 0;
    this.#refused = 0;
    this.#isLong = false;
    this.#isOver = true;
  }
}

/** Whether two bits are set at the least. */
function isTwice(bits: number): boolean {
  return (bits & (bits - 1)) !== 0;
}
