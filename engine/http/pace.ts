/**
 * How fast this process answers a crowd, and so how long one more would wait behind it.
 *
 * By Little's law: who comes now is answered when all who came before him are, at the rate at which
 * they were answered of late. Only time in which the event loop did not sleep counts, because only then
 * is it the process that is slow, and not what it waits for; and only turns behind which a crowd waited,
 * because a few are answered one by one, which is slower.
 *
 * States: unknown (no crowd was seen yet: no wait is expected); measured.
 */
import type { LoopTime } from './turns.ts';

/** Of what was let in: how many wait to be decided, and how many were since the start. */
export interface Traffic {
  readonly waiting: number;
  readonly decided: number;
}

export const NO_TRAFFIC: Traffic = Object.freeze({ waiting: 0, decided: 0 });

/** Of awake time: some ten turns of a busy loop. A stall counts no more, or would be believed as long. */
const RATE_MS = 200;
/** Fewer in a turn are no crowd, but a slow core. */
export const CROWD_MIN = 256;

export class Pace {
  readonly #traffic: Traffic;
  #waitingBefore = 0;
  #decidedBefore = 0;
  #timeBefore: LoopTime = { nowMs: 0, idleMs: 0 };
  /** Over the last RATE_MS, the newest with the greatest weight. */
  #decided = 0;
  #awakeMs = 0;

  /** `traffic` is read again and again. */
  constructor(traffic: Traffic) {
    this.#traffic = traffic;
  }

  /** At the end of each turn. */
  learn(time: LoopTime): void {
    const { waiting, decided } = this.#traffic;
    const decidedNow = decided - this.#decidedBefore;
    const isCrowd = this.#waitingBefore >= CROWD_MIN;
    // What a crowd waits for until the first of it is decided counts with that one.
    if (isCrowd && decidedNow === 0) return;
    const awakeMs = awakeBetween(this.#timeBefore, time);
    if (isCrowd && awakeMs > 0) {
      const countedMs = Math.min(awakeMs, RATE_MS);
      const kept = Math.exp(-countedMs / RATE_MS);
      this.#decided = this.#decided * kept + decidedNow;
      this.#awakeMs = this.#awakeMs * kept + countedMs;
    }
    this.#waitingBefore = waiting;
    this.#decidedBefore = decided;
    this.#timeBefore = time;
  }

  /** How long one who came now would wait to be decided, ms. 0 where no crowd waits, so that any is let in. */
  expectedMs(): number {
    const { waiting } = this.#traffic;
    if (waiting < CROWD_MIN || this.#decided === 0) return 0;
    return (waiting * this.#awakeMs) / this.#decided;
  }
}

function awakeBetween(from: LoopTime, to: LoopTime): number {
  return to.nowMs - from.nowMs - (to.idleMs - from.idleMs);
}
