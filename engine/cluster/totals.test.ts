import { describe, expect, it } from 'vitest';
import { createMetrics } from '../runtime/metrics.ts';
import { type MetricsSnapshot, renderSnapshot } from '../runtime/metrics-sum.ts';
import { Totals } from './totals.ts';

const BOTH = new Set([1, 2]);

async function counted(requests: number): Promise<MetricsSnapshot> {
  const metrics = createMetrics({ processMetrics: false });
  for (let i = 0; i < requests; i += 1) metrics.onRequest('/a', 200, 1);
  metrics.gauge('holdfast_lane_queued', 'Queued.', [], () => requests);
  return metrics.snapshot();
}

async function show(totals: Totals, answered: ReadonlySet<number>): Promise<string[]> {
  const text = await renderSnapshot(totals.sum(answered));
  return text.split('\n').filter((line) => /^holdfast_(http_requests|lane_queued)/.test(line));
}

const requests = (count: number) =>
  `holdfast_http_requests_total{route="/a",status="200"} ${count}`;
const queued = (worker: number, count: number) =>
  `holdfast_lane_queued{worker="${worker}"} ${count}`;

describe('the totals of a cluster', () => {
  it('never fall when a worker dies, however often', async () => {
    const totals = new Totals();
    totals.heard(1, await counted(10));
    totals.heard(2, await counted(20));
    expect(await show(totals, BOTH)).toEqual([requests(30), queued(1, 10), queued(2, 20)]);
    totals.ended(1);
    expect(await show(totals, BOTH)).toEqual([requests(30), queued(2, 20)]);
    totals.heard(1, await counted(1));
    expect(await show(totals, BOTH)).toEqual([requests(31), queued(1, 1), queued(2, 20)]);
    totals.ended(1);
    totals.ended(2);
    totals.ended(2);
    expect(await show(totals, BOTH)).toEqual([requests(31)]);
    totals.heard(2, await counted(5));
    expect(await show(totals, BOTH)).toEqual([requests(36), queued(2, 5)]);
  });

  it('keeps the counts, and no more, of a worker that does not answer', async () => {
    const totals = new Totals();
    totals.heard(1, await counted(10));
    totals.heard(2, await counted(20));
    expect(await show(totals, new Set([2]))).toEqual([requests(30), queued(2, 20)]);
  });
});
