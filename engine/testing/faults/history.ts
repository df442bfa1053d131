/**
 * What the clients of a fault run asked and heard, in the order in which it happened: the only thing
 * that the checker believes about what was promised. An attempt is invoked once and ends once:
 *
 *   ok       done, and sure at the level that the answer names
 *   refused  a no, which the client may act upon (it tells the buyer, it refunds)
 *   failed   nothing was done, says the answer, or no byte of the request was sent
 *   unknown  no answer, or one that says that it is not known; the same id resolves it
 *
 * An attempt without an end was still under way when the run ended: unknown.
 */
export type Verb = 'receive' | 'reserve' | 'commit' | 'release' | 'look_up';
export type Outcome = 'ok' | 'refused' | 'failed' | 'unknown';

/** Begins the id of a reserve that is sent with an Idempotency-Key, of which the engine makes the id. */
export const KEY_PREFIX = 'key:';

/** Of a hold whose reserve says nothing else. */
export const HOLD_TTL_S = 30;

export interface Line {
  readonly sku: string;
  readonly quantity: number;
}

export interface Invocation {
  readonly client: string;
  readonly verb: Verb;
  /**
   * The client's own name of what it wants; retries repeat it. A reserve carries it as its order,
   * so that a reservation that nobody asked for is told from one whose answer was lost.
   */
  readonly intent: string;
  /** The reservation, where the client knows it; an id that the engine makes is known later. */
  readonly id?: string;
  /** Of a receive and a reserve. */
  readonly lines?: readonly Line[];
  /** Of a reserve. */
  readonly ttlS?: number;
  /** The level asked for; undefined: the default. */
  readonly wanted?: string;
}

export interface Result {
  readonly outcome: Outcome;
  /** HTTP status; 0 without an answer. */
  readonly status: number;
  /** Of the problem, the state of the reservation, or why there was no answer. */
  readonly code: string;
  readonly id?: string;
  /** The level that an ok promises. */
  readonly level?: string;
  readonly epoch?: number;
  /** Of a hold: when it runs out, in ms since 1970. */
  readonly expiresAtMs?: number;
}

export interface Attempt extends Invocation {
  readonly n: number;
  readonly invokedMs: number;
  readonly endedMs: number | undefined;
  readonly result: Result | undefined;
}

export type HistoryEvent =
  | ({ readonly at_ms: number; readonly n: number; readonly event: 'invoked' } & Invocation)
  | ({ readonly at_ms: number; readonly n: number; readonly event: Outcome } & Omit<
      Result,
      'outcome'
    >);

interface Kept {
  readonly n: number;
  readonly invocation: Invocation;
  readonly invokedMs: number;
  endedMs?: number;
  result?: Result;
}

export class History {
  readonly #attempts: Kept[] = [];

  /** Gives the function that ends the attempt; a second end is a mistake of the harness. */
  invoke(invocation: Invocation): (result: Result) => void {
    const n = this.#attempts.length;
    const attempt: Kept = { n, invocation, invokedMs: performance.now() };
    this.#attempts.push(attempt);
    return (result) => {
      if (attempt.result !== undefined) throw new Error(`attempt ${n} ended twice`);
      attempt.endedMs = performance.now();
      attempt.result = result;
    };
  }

  /** How many of a client's attempts that were invoked since then were ok. */
  countOk(client: string, verb: Verb, sinceMs: number): number {
    let count = 0;
    for (let n = this.#attempts.length - 1; n >= 0; n -= 1) {
      const attempt = this.#attempts[n];
      if (attempt === undefined || attempt.invokedMs < sinceMs) break;
      const { invocation, result } = attempt;
      if (invocation.client !== client || invocation.verb !== verb) continue;
      if (result?.outcome === 'ok') count += 1;
    }
    return count;
  }

  attempts(): Attempt[] {
    return this.#attempts.map(({ n, invocation, invokedMs, endedMs, result }) => ({
      ...invocation,
      n,
      invokedMs,
      endedMs,
      result,
    }));
  }

  /** One event a line, in the order in which they happened: the trace of a run. */
  events(): HistoryEvent[] {
    const events = this.#attempts.flatMap(({ n, invocation, invokedMs, endedMs, result }) => {
      const invoked: HistoryEvent = { at_ms: invokedMs, n, event: 'invoked', ...invocation };
      if (result === undefined || endedMs === undefined) return [invoked];
      const { outcome, ...said } = result;
      return [invoked, { at_ms: endedMs, n, event: outcome, ...said } satisfies HistoryEvent];
    });
    return events.sort((a, b) => a.at_ms - b.at_ms);
  }
}
