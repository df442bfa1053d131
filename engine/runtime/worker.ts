/**
 * A worker is `run` around a bounded `runOnce`. States: running (a turn is under way, or a pause
 * between two), stopping (no further turn begins), stopped. A turn that fails is followed by a
 * longer pause, and never ends the worker.
 */
export interface WorkerOptions {
  readonly name: string;
  /** True: there is more to do, the next turn begins at once. */
  readonly runOnce: (signal: AbortSignal) => Promise<boolean>;
  readonly pauseMs: number;
  readonly pauseMsMax: number;
  readonly onError: (name: string, error: unknown) => void;
}

export interface Worker {
  /** Resolves when the turn under way has ended. */
  stop(): Promise<void>;
}

export function startWorker(options: WorkerOptions): Worker {
  const stopping = new AbortController();
  const loop = async (): Promise<void> => {
    let failures = 0;
    while (!stopping.signal.aborted) {
      let more = false;
      try {
        more = await options.runOnce(stopping.signal);
        failures = 0;
      } catch (error) {
        failures++;
        options.onError(options.name, error);
      }
      const pause = Math.min(options.pauseMs * 2 ** Math.min(failures, 10), options.pauseMsMax);
      if (!more) await sleep(failures === 0 ? options.pauseMs : pause, stopping.signal);
    }
  };
  const done = loop();
  return {
    async stop() {
      stopping.abort();
      await done;
    },
  };
}

/** Ends early, without an error, when the signal comes. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
