/** Latencies by kind of request, in HDR histograms: exact counts, three significant digits, no averaging away. */
import type { Histogram } from 'hdr-histogram-js';
import { build } from 'hdr-histogram-js';

export interface LatencySummary {
  readonly count: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

/** Longer than any timeout here; what is longer still counts as this. */
const LATENCY_MAX_US = 10 * 60 * 1_000_000;

export class LatencyBook {
  readonly #histograms = new Map<string, Histogram>();

  /** `count`: of as many. */
  record(label: string, latencyMs: number, count = 1): void {
    let histogram = this.#histograms.get(label);
    if (histogram === undefined) {
      histogram = newHistogram();
      this.#histograms.set(label, histogram);
    }
    const us = Math.round(latencyMs * 1_000);
    histogram.recordValueWithCount(Math.min(LATENCY_MAX_US, Math.max(1, us)), count);
  }

  labels(): readonly string[] {
    return [...this.#histograms.keys()];
  }

  /** Of the label; without one, of all together. */
  summary(label?: string): LatencySummary {
    if (label !== undefined) return summarize(this.#histograms.get(label) ?? newHistogram());
    const all = newHistogram();
    for (const histogram of this.#histograms.values()) all.add(histogram);
    return summarize(all);
  }

  /** Forgets what was recorded: what came before was warm-up. */
  reset(): void {
    this.#histograms.clear();
  }
}

function newHistogram(): Histogram {
  return build({
    bitBucketSize: 32,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: LATENCY_MAX_US,
    numberOfSignificantValueDigits: 3,
  });
}

function summarize(histogram: Histogram): LatencySummary {
  const count = histogram.totalCount;
  const ms = (us: number): number => (count === 0 ? 0 : us / 1_000);
  return {
    count,
    meanMs: ms(histogram.mean),
    p50Ms: ms(histogram.getValueAtPercentile(50)),
    p90Ms: ms(histogram.getValueAtPercentile(90)),
    p99Ms: ms(histogram.getValueAtPercentile(99)),
    p999Ms: ms(histogram.getValueAtPercentile(99.9)),
    maxMs: ms(histogram.maxValue),
  };
}
