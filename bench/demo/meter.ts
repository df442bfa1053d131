/** What the demo's requests cost in time: since the start for the report, and lately for the live view. */
import { LatencyBook, type LatencySummary } from '../load/latency.ts';

export interface Window {
  readonly requestsPerS: number;
  /** By label, of the requests that were answered in the window. */
  readonly latencies: Readonly<Record<string, Percentiles>>;
}

export interface Percentiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export class Meter {
  readonly #clock: () => number;
  #total = new LatencyBook();
  /** A second of them is soon sorted; a histogram's thousands of buckets would cost more than the requests. */
  #window = new Map<string, number[]>();
  #windowSinceMs: number;
  #lost = 0;

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
    this.#windowSinceMs = clock();
  }

  answered(label: string, latencyMs: number): void {
    this.#total.record(label, latencyMs);
    const lately = this.#window.get(label);
    if (lately === undefined) this.#window.set(label, [latencyMs]);
    else lately.push(latencyMs);
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
    const lately = [...this.#window];
    this.#window = new Map();
    this.#windowSinceMs = nowMs;
    const requests = lately.reduce((sum, [, values]) => sum + values.length, 0);
    return {
      requestsPerS: requests / seconds,
      latencies: Object.fromEntries(lately.map(([label, values]) => [label, percentiles(values)])),
    };
  }

  /** By label, since the start or the last `restart`. */
  summaries(): Readonly<Record<string, LatencySummary>> {
    const labels = this.#total.labels();
    return Object.fromEntries(labels.map((label) => [label, this.#total.summary(label)]));
  }

  /** What came before was preparation. */
  restart(): void {
    this.#total = new LatencyBook();
    this.#lost = 0;
    this.takeWindow();
  }
}

/** Of at least one value; the nearest rank, rounded up. */
function percentiles(values: readonly number[]): Percentiles {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (part: number): number => sorted[Math.ceil(part * sorted.length) - 1] ?? 0;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}
