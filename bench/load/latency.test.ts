/** The latency book: percentiles to three digits, apart by label and together. */
import { describe, expect, it } from 'vitest';
import { LatencyBook } from './latency.ts';

describe('LatencyBook', () => {
  it('gives percentiles within a thousandth', () => {
    const book = new LatencyBook();
    for (let ms = 1; ms <= 10_000; ms += 1) book.record('reserve', ms);
    const summary = book.summary('reserve');
    expect(summary.count).toBe(10_000);
    for (const [measured, ms] of [
      [summary.p50Ms, 5_000],
      [summary.p90Ms, 9_000],
      [summary.p99Ms, 9_900],
      [summary.p999Ms, 9_990],
      [summary.maxMs, 10_000],
      [summary.meanMs, 5_000.5],
    ] as const) {
      expect(Math.abs(measured / ms - 1)).toBeLessThan(0.001);
    }
  });

  it('keeps labels apart, adds them up, and forgets', () => {
    const book = new LatencyBook();
    book.record('reserve', 1);
    book.record('commit', 0.0001);
    book.record('commit', 24 * 3_600_000, 2);
    expect(book.labels()).toEqual(['reserve', 'commit']);
    expect(book.summary('reserve')).toMatchObject({ count: 1, p50Ms: 1, maxMs: 1 });
    expect(book.summary('commit').maxMs).toBeGreaterThan(590_000);
    expect(book.summary().count).toBe(4);
    expect(book.summary('release')).toMatchObject({ count: 0, p99Ms: 0, maxMs: 0 });
    book.reset();
    expect(book.summary().count).toBe(0);
  });
});
