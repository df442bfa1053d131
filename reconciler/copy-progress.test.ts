import { describe, expect, it } from 'vitest';
import { type CopyProgress, ProgressMeter, progressOf, showProgress } from './copy-progress.ts';

describe('a meter', () => {
  it('tells at most once a second, and the total as soon as it is known', () => {
    const told: CopyProgress[] = [];
    let nowMs = 0;
    const meter = new ProgressMeter(
      (progress) => void told.push(progress),
      () => nowMs,
    );
    for (nowMs = 100; nowMs <= 2_000; nowMs += 100) {
      if (nowMs === 1_500) meter.expect(4_000);
      meter.at(nowMs);
    }
    expect(told).toEqual([
      { rows: 1_000, rows_per_s: 1_000 },
      { rows: 2_000, total: 4_000, rows_per_s: 1_000, eta_s: 2 },
    ]);
  });
});

describe('progressOf', () => {
  it('says no total below what is there: rows may have come since they were counted', () => {
    expect(progressOf(11, 10, 1_000)).toEqual({ rows: 11, total: 11, rows_per_s: 11, eta_s: 0 });
  });
});

describe('showProgress', () => {
  it('is one line for people', () => {
    const progress = { rows: 420_000, total: 1_200_000, rows_per_s: 81_000, eta_s: 10 };
    expect(showProgress(progress)).toBe('420,000 of 1,200,000 rows (35 %), 81,000/s, 10 s to go');
    expect(showProgress({ rows: 7, rows_per_s: 3 })).toBe('7 rows, 3/s');
  });
});
