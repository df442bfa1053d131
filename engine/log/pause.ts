/** Waiting that ends early when a worker is told to stop, and grows while something stays away. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

/** Resolves after `ms`, or as soon as the signal is aborted. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (!(error instanceof Error && error.name === 'AbortError')) throw error;
  }
}

/** Lets sockets be served in the middle of long work. */
export async function breathe(): Promise<void> {
  await nextTurn();
}

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Doubles from first to max; `reset` after a success. */
export class Backoff {
  readonly #options: BackoffOptions;
  #nextMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#nextMs = options.firstMs;
  }

  next(): number {
    const now = this.#nextMs;
    this.#nextMs = Math.min(now * 2, this.#options.maxMs);
    return now;
  }

  reset(): void {
    this.#nextMs = this.#options.firstMs;
  }
}
