/** How long each part of the demo took, and its early end. */
export class Stopwatch {
  readonly #signal: AbortSignal;
  readonly #durationsMs: Record<string, number>;

  constructor(signal: AbortSignal, before: Readonly<Record<string, number>>) {
    this.#signal = signal;
    this.#durationsMs = { ...before };
  }

  get durationsMs(): Readonly<Record<string, number>> {
    return { ...this.#durationsMs };
  }

  /** What the work gives. Rejects as soon as the signal aborts: the work then ends by itself, unheard. */
  async time<T>(name: string, work: () => Promise<T>): Promise<T> {
    const signal = this.#signal;
    const startMs = performance.now();
    signal.throwIfAborted();
    let onAbort = (): void => undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      return await Promise.race([work(), aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#durationsMs[name] = performance.now() - startMs;
    }
  }
}
