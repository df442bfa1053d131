/** What the demo's requests cost in time: since the start for the report, and lately for the live view. */
import { LatencyBook, type LatencySummary } from '../load/latency.ts';

export interface Window {
  readonly requestsPerS: number;
  /** By label, of the requests that were answered in the window. */
  readonly latencies: Readonly<Record<string, LatencySummary>>;
}

export class Meter {
  readonly #clock: () => number;
  #total = new LatencyBook();
  #window = new LatencyBook();
  #windowSinceMs: number;
  #lost = 0;

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
    this.#windowSinceMs = clock();
  }

  answered(label: string, latencyMs: number): void {
    this.#total.record(label, latencyMs);
    this.#window.record(label, latencyMs);
  }

  /** No answer came. */
  lost(): void {
    this.#lost += 1;
  }

  get lostRequests(): number {
    return this.#lost;
  }

  /** What came since the last call. */
  takeWindow(): Window {
    const nowMs = this.#clock();
    const seconds = Math.max(0.001, (nowMs - this.#windowSinceMs) / 1_000);
    const latencies = summaries(this.#window);
    this.#window = new LatencyBook();
    this.#windowSinceMs = nowMs;
    const requests = Object.values(latencies).reduce((sum, { count }) => sum + count, 0);
    return { requestsPerS: requests / seconds, latencies };
  }

  /** By label, since the start or the last `restart`. */
  summaries(): Readonly<Record<string, LatencySummary>> {
    return summaries(this.#total);
  }

  /** What came before was preparation. */
  restart(): void {
    this.#total = new LatencyBook();
    this.#lost = 0;
    this.takeWindow();
  }
}

function summaries(book: LatencyBook): Readonly<Record<string, LatencySummary>> {
  return Object.fromEntries(book.labels().map((label) => [label, book.summary(label)]));
}
