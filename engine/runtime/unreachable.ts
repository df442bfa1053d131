/**
 * Is a store away, so that waiting helps, or does it answer, and refuses us? Whoever starts while a
 * store is away waits for it; a wrong password, database or schema is told at once, because no time
 * mends it. By code where the client gives one, else by the words of our own waits.
 */
/** Nobody is there, or does not answer in time; or the name cannot be resolved, as in an outage. */
const AWAY_CODES: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'],
  ...['ENOTFOUND', 'EAI_AGAIN', 'EHOSTDOWN'],
  // PostgreSQL: it starts, stops, has no room for one more, or broke the connection.
  ...['57P01', '57P02', '57P03', '53300', '08000', '08001', '08003', '08004', '08006'],
]);
const AWAY_NAMES: ReadonlySet<string> = new Set([
  ...['NoPrimaryError', 'ConnectionLost', 'StoreAway'],
  ...['KafkaJSConnectionError', 'KafkaJSNumberOfRetriesExceeded', 'KafkaJSRequestTimeoutError'],
]);
const AWAY_WORDS =
  /is not ready after|was not ready within|timeout expired|Connection terminated|Query read timeout|connection timeout|Connection is closed|writeable|timed out/i;

/** A login that is refused; Redis says so while it connects, and then nothing else. */
const REFUSED_WORDS = /WRONGPASS|NOAUTH|NOPERM|invalid (username-)?password/;
/** PostgreSQL: wrong password, no such role or database, no right to connect. */
const REFUSED_CODES: ReadonlySet<string> = new Set(['28P01', '28000', '3D000', '42501']);

/** The store answers and does not let us in: the message says which, and what it said. */
export function isRefused(error: unknown): error is Error {
  return error instanceof Error && refuses(error);
}

function refuses(error: Error): boolean {
  return REFUSED_CODES.has(codeOf(error)) || REFUSED_WORDS.test(error.message);
}

/** To be waited for. */
export function isUnreachable(error: unknown): error is Error {
  if (!(error instanceof Error) || refuses(error)) return false;
  return (
    AWAY_CODES.has(codeOf(error)) || AWAY_NAMES.has(error.name) || AWAY_WORDS.test(error.message)
  );
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** A localhost that refuses on both of its addresses says nothing but a code. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message === '' ? codeOf(error) : error.message;
}

/** Between two tries: soon at first, because most outages are restarts. */
const WAIT_MS_MIN = 250;
const WAIT_MS_MAX = 5_000;

export interface Waiting {
  /** What is waited for, for people. */
  readonly what: string;
  readonly log: { warn(details: object, message: string): void };
  /** Ends the wait; the try that is under way is left to its own bound. */
  readonly signal?: AbortSignal | undefined;
  /** Whether a failure is to be waited out; by default whether the store is away. */
  readonly isPassing?: (error: unknown) => boolean;
}

/** The wait was ended by its signal. */
export class WaitEnded extends Error {
  override readonly name = 'WaitEnded';
}

/**
 * Tries until the store is there, at growing intervals, and says at each what it waits for. Rejects
 * with what waiting does not mend, and with WaitEnded when the signal comes.
 */
export async function untilThere<T>(waiting: Waiting, attempt: () => Promise<T>): Promise<T> {
  const { what, log, signal, isPassing = isUnreachable } = waiting;
  const ended = new AbortWait(signal);
  try {
    for (let pauseMs = WAIT_MS_MIN; ; pauseMs = Math.min(pauseMs * 2, WAIT_MS_MAX)) {
      try {
        return await ended.or(attempt());
      } catch (error) {
        if (error instanceof WaitEnded || !isPassing(error)) throw error;
        log.warn({ retry_in_ms: pauseMs }, `waiting for ${what}: ${reasonOf(error)}`);
      }
      await ended.sleep(pauseMs);
    }
  } finally {
    ended.close();
  }
}

/** One listener for a wait, however long it takes. */
class AbortWait {
  readonly #signal: AbortSignal | undefined;
  readonly #aborted: Promise<never>;
  #onAbort = (): void => undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    this.#aborted = new Promise((_, reject) => {
      this.#onAbort = () => reject(new WaitEnded('ended by a signal'));
    });
    this.#aborted.catch(() => undefined);
    if (signal?.aborted === true) this.#onAbort();
    signal?.addEventListener('abort', this.#onAbort);
  }

  async or<T>(work: Promise<T>): Promise<T> {
    work.catch(() => undefined);
    return Promise.race([work, this.#aborted]);
  }

  async sleep(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const slept = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await this.or(slept).finally(() => clearTimeout(timer));
  }

  close(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}
