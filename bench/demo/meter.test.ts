import { describe, expect, it } from 'vitest';
import { Meter } from './meter.ts';

describe('Meter', () => {
  it('tells what came lately, and all since the restart', () => {
    let nowMs = 0;
    const meter = new Meter(() => nowMs);
    meter.answered('reserve', 5);
    meter.restart();
    nowMs = 1_000;
    for (let ms = 100; ms >= 1; ms -= 1) meter.answered('reserve', ms);
    meter.answered('commit', 20);
    nowMs = 2_000;
    const first = meter.takeWindow();
    expect(first.requestsPerS).toBe(50.5);
    expect(first.latencies).toEqual({
      reserve: { p50Ms: 50, p99Ms: 99 },
      commit: { p50Ms: 20, p99Ms: 20 },
    });
    nowMs = 3_000;
    expect(meter.takeWindow()).toEqual({ requestsPerS: 0, latencies: {} });
    expect(meter.summaries().commit).toMatchObject({ count: 1, maxMs: 20 });
    meter.lost();
    expect(meter.lostRequests).toBe(1);
  });
});
