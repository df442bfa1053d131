/**
 * The line of what the event loop has to do and need not do in the turn in which it is found: requests
 * that were read, answers that a batch, a log or a look at the stock brought. So no turn lasts long,
 * however many come at once, and whoever else the loop serves (Redis, PostgreSQL, timers) waits for
 * one turn at the most. One line for all of a process, because it is one loop.
 *
 * States: closed (nothing was done in this turn); open (something was, and the end of the turn stands
 * as an immediate). True in each:
 *   closed  nobody waits
 *   open    who waits is served in the order in which they came, and nobody passes them by
 *
 * Time is the CPU's. A turn that lost its core for a while is not cut short for it: that would free
 * nobody, and make small batches of large ones. The clock, which is cheaper to read and no slower, says
 * when to look.
 */

/** What is found later in a turn waits. The bound is 10 ms: the rest is to read what is put in line. */
const TURN_MS = 3;
/** For who waits, however long the reading took. */
const SLICE_MS = 1;

/** `nowMs`: of the line's clock. */
type Work = (nowMs: number) => void;

export interface LineClocks {
  /** Monotonic, ms. */
  readonly nowMs: () => number;
  /** Of the process, ms. */
  readonly cpuMs: () => number;
}

export class Line {
  readonly #clocks: LineClocks;
  #waiting: Work[] = [];
  #isOpen = false;
  /** Of the CPU's time: when the turn has had its own. */
  #endsAtCpuMs = 0;
  /** Of the clock's: before that it cannot have. */
  #lookAtMs = 0;
  readonly #endTurn = (): void => {
    if (this.#waiting.length > 0) this.#serve();
    this.#isOpen = this.#waiting.length > 0;
    if (this.#isOpen) this.#begin();
  };

  constructor(clocks: LineClocks = CLOCKS) {
    this.#clocks = clocks;
  }

  /** How many wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Of its clock. */
  nowMs(): number {
    return this.#clocks.nowMs();
  }

  /**
   * Whether this turn has time for one more, and nobody stands before them. Who is told so is served at
   * once; else they `wait`. (It costs a reserve less than `run`, whose work is a function made anew.)
   */
  isFree(nowMs = this.#clocks.nowMs()): boolean {
    if (!this.#isOpen) {
      this.#isOpen = true;
      this.#begin();
    }
    return this.#waiting.length === 0 && this.#hasTime(nowMs);
  }

  /** Does it in a later turn. It must not throw. */
  wait(work: Work): void {
    this.#waiting.push(work);
  }

  /** Does it now, or in a later turn where this one has lasted long. It must not throw. */
  run(work: Work): void {
    const nowMs = this.#clocks.nowMs();
    if (this.isFree(nowMs)) work(nowMs);
    else this.wait(work);
  }

  /** The same, of what gives something: here it may throw, too. */
  give<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.run(() => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** Does it when all are served who wait now; at once where nobody does. It must not throw. */
  behind(work: Work): void {
    if (this.#waiting.length === 0) work(this.#clocks.nowMs());
    else this.wait(work);
  }

  #begin(): void {
    this.#grant(TURN_MS);
    setImmediate(this.#endTurn);
  }

  /** From now on. */
  #grant(ms: number): void {
    this.#endsAtCpuMs = this.#clocks.cpuMs() + ms;
    this.#lookAtMs = this.#clocks.nowMs() + ms;
  }

  #hasTime(nowMs: number): boolean {
    if (nowMs < this.#lookAtMs) return true;
    const leftMs = this.#endsAtCpuMs - this.#clocks.cpuMs();
    if (leftMs <= 0) return false;
    this.#lookAtMs = nowMs + leftMs;
    return true;
  }

  #serve(): void {
    if (this.#clocks.cpuMs() + SLICE_MS > this.#endsAtCpuMs) this.#grant(SLICE_MS);
    let nowMs = this.#clocks.nowMs();
    let count = 0;
    // Who is served may bring others, who wait behind.
    for (; count < this.#waiting.length && this.#hasTime(nowMs); nowMs = this.#clocks.nowMs()) {
      this.#waiting[count]?.(nowMs);
      count += 1;
    }
    this.#waiting.splice(0, count);
  }
}

const CLOCKS: LineClocks = {
  nowMs: () => performance.now(),
  cpuMs: () => {
    // With what V8's helpers take, which is little.
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  },
};
