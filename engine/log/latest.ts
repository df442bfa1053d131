/**
 * Does one thing with the newest value that it was offered, one call at a time: what is offered
 * meanwhile replaces what waits. For watermarks and trims, where only the last position counts and
 * the worker must not wait for Redis.
 */
export interface LatestOptions<T> {
  readonly act: (value: T) => Promise<void>;
  /** What failed is forgotten; the next offer tries again. */
  readonly onError: (error: unknown) => void;
  /** Absent: each offer is news. Else one that says what the last one said is not acted on. */
  readonly isSame?: (value: T, last: T) => boolean;
}

export class Latest<T> {
  readonly #act: LatestOptions<T>['act'];
  readonly #onError: LatestOptions<T>['onError'];
  readonly #isSame: LatestOptions<T>['isSame'];
  /** The last news: done, being done or waiting; undefined when it failed. */
  #last: { readonly value: T } | undefined;
  #waiting: { readonly value: T } | undefined;
  #running: Promise<void> | undefined;

  constructor({ act, onError, isSame }: LatestOptions<T>) {
    this.#act = act;
    this.#onError = onError;
    this.#isSame = isSame;
  }

  offer(value: T): void {
    if (this.#last !== undefined && this.#isSame?.(value, this.#last.value)) return;
    this.#last = { value };
    this.#waiting = this.#last;
    this.#running ??= this.#run();
  }

  /** Resolves when nothing waits and nothing runs. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting !== undefined) {
      const doing = this.#waiting;
      this.#waiting = undefined;
      try {
        await this.#act(doing.value);
      } catch (error) {
        if (this.#last === doing) this.#last = undefined;
        this.#onError(error);
      }
    }
    this.#running = undefined;
  }
}
