/**
 * What a recovery shows to those who wait to take over from it: while it gets on, its row in the
 * registry is touched. It stops with the process (killed, stopped, cut off from PostgreSQL), and when
 * no step got on for `stuckMs`: then another process may do better.
 *
 * The touching is apart from the steps, because one statement, as the first row of a copy, may take
 * longer than others should wait.
 */
export interface LifeLimits {
  readonly touchMs: number;
  readonly stuckMs: number;
}

export class SignOfLife {
  readonly #timer: NodeJS.Timeout;
  #gotOnMs = performance.now();
  #isTouching = false;

  /** `touch` may reject: the steps will find out why for themselves. */
  constructor(touch: () => Promise<unknown>, { touchMs, stuckMs }: LifeLimits) {
    this.#timer = setInterval(() => {
      if (this.#isTouching || performance.now() - this.#gotOnMs > stuckMs) return;
      this.#isTouching = true;
      touch()
        .catch(() => undefined)
        .finally(() => {
          this.#isTouching = false;
        });
    }, touchMs);
  }

  /** A step, or a piece of one, is done. */
  getOn(): void {
    this.#gotOnMs = performance.now();
  }

  end(): void {
    clearInterval(this.#timer);
  }
}
