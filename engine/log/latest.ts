/**
 * Does one thing with the newest value that it was offered, one call at a time: what is offered
 * meanwhile replaces what waits. For watermarks and trims, where only the last position counts and
 * the worker must not wait for Redis.
 */
export interface LatestOptions<T> {
  readonly act: (value: T) => Promise<void>;
  /** What failed is forgotten; the next offer tries again. */
  readonly onError: (error: unknown) => void;
}

export class Latest<T> {
  readonly #act: LatestOptions<T>['act'];
  readonly #onError: LatestOptions<T>['onError'];
  #waiting: { readonly value: T } | undefined;
  #running: Promise<void> | undefined;

  constructor({ act, onError }: LatestOptions<T>) {
    this.#act = act;
    this.#onError = onError;
  }

  offer(value: T): void {
    this.#waiting = { value };
    this.#running ??= this.#run();
  }

  /** Resolves when nothing waits and nothing runs. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting !== undefined) {
      const { value } = this.#waiting;
      this.#waiting = undefined;
      try {
        await this.#act(value);
      } catch (error) {
        this.#onError(error);
      }
    }
    this.#running = undefined;
  }
}
