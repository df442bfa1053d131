import { describe, expect, it, vi } from 'vitest';
import { createMetrics, OTHER, SERIES_MAX } from './metrics.ts';

const make = () => createMetrics({ processMetrics: false });

describe('metrics', () => {
  it('counts requests by route and status, and puts durations into buckets', async () => {
    const metrics = make();
    metrics.onRequest('/a', 201, 0.7);
    metrics.onRequest('/a', 201, 7);
    metrics.onRequest('/a', 409, 99_000);
    const text = await metrics.render();
    expect(text).toContain('holdfast_http_requests_total{route="/a",status="201"} 2');
    expect(text).toContain('holdfast_http_requests_total{route="/a",status="409"} 1');
    const name = 'holdfast_http_request_duration_seconds';
    expect(text).toContain(`# TYPE ${name} histogram`);
    expect(text).toContain(`${name}_bucket{route="/a",le="0.0005"} 0`);
    expect(text).toContain(`${name}_bucket{route="/a",le="0.001"} 1`);
    expect(text).toContain(`${name}_bucket{route="/a",le="0.01"} 2`);
    expect(text).toContain(`${name}_bucket{route="/a",le="5"} 2`);
    expect(text).toContain(`${name}_bucket{route="/a",le="+Inf"} 3`);
    expect(text).toContain(`${name}_count{route="/a"} 3`);
  });

  it('does not count twice what is scraped twice', async () => {
    const metrics = make();
    metrics.countOutcome('reserve', 'created');
    await metrics.render();
    metrics.countOutcome('reserve', 'created');
    const line = 'holdfast_outcomes_total{operation="reserve",outcome="created"} 2';
    expect(await metrics.render()).toContain(line);
  });

  it('observes batches, fences and store errors', async () => {
    const metrics = make();
    metrics.onBatch('submit', 3, 1.5);
    metrics.onFenced('closed');
    metrics.countStoreError('redis');
    const text = await metrics.render();
    expect(text).toContain('holdfast_lane_batch_operations_bucket{script="submit",le="2"} 0');
    expect(text).toContain('holdfast_lane_batch_operations_bucket{script="submit",le="4"} 1');
    expect(text).toContain('holdfast_lane_batch_duration_seconds_sum{script="submit"} 0.0015');
    expect(text).toContain('holdfast_lane_fenced_total{reason="closed"} 1');
    expect(text).toContain('holdfast_store_errors_total{store="redis"} 1');
  });

  it('bounds its series: the rest is counted together', async () => {
    const metrics = make();
    for (let i = 0; i < SERIES_MAX + 50; i += 1) metrics.onAbort(`/${i}`);
    const lines = (await metrics.render())
      .split('\n')
      .filter((line) => line.startsWith('holdfast_http_aborted_total{'));
    expect(lines).toHaveLength(SERIES_MAX + 1);
    expect(lines).toContain(`holdfast_http_aborted_total{route="${OTHER}"} 50`);
  });

  it('reads gauges at each scrape, and survives one that fails', async () => {
    const metrics = make();
    let value = 1;
    metrics.gauge('holdfast_a', 'A.', [], () => value);
    metrics.gauge('holdfast_b', 'B.', ['sku'], () => [{ labels: { sku: 'x' }, value: 7 }]);
    metrics.gauge('holdfast_c', 'C.', [], () => Promise.reject(new Error('down')));
    expect(await metrics.render()).toMatch(/^holdfast_a 1$/m);
    value = 2;
    const text = await metrics.render();
    expect(text).toMatch(/^holdfast_a 2$/m);
    expect(text).toMatch(/^holdfast_b{sku="x"} 7$/m);
    expect(text).toMatch(/^holdfast_c Nan$/im);
  });

  it('cuts off the series of a gauge', async () => {
    const metrics = make();
    const readings = Array.from({ length: SERIES_MAX + 5 }, (_, i) => ({
      labels: { sku: String(i) },
      value: i,
    }));
    metrics.gauge('holdfast_many', 'Many.', ['sku'], () => readings);
    expect((await metrics.render()).match(/^holdfast_many{/gm)).toHaveLength(SERIES_MAX);
  });

  it('can show the process', async () => {
    const text = await createMetrics({ processMetrics: true }).render();
    expect(text).toContain('process_cpu_user_seconds_total');
    expect(text).toContain('# TYPE holdfast_event_loop_delay_seconds histogram');
  });

  it('shows how long the event loop was blocked', async () => {
    const metrics = createMetrics({ processMetrics: true });
    const name = 'holdfast_event_loop_delay_seconds';
    await vi.waitFor(async () => {
      expect(await metrics.render()).toMatch(new RegExp(`^${name}_count [1-9]`, 'm'));
    });
    expect(await metrics.render()).toMatch(new RegExp(`^${name}_bucket{le="0.01"} `, 'm'));
  });

  it('keeps series apart that are counted by turns', async () => {
    const metrics = make();
    for (let i = 0; i < 3; i += 1) {
      metrics.onRequest('/a', 200, 1);
      metrics.onRequest('/a', 409, 1);
      metrics.onRequest('/b', 409, 1);
    }
    const text = await metrics.render();
    for (const labels of [
      'route="/a",status="200"',
      'route="/a",status="409"',
      'route="/b",status="409"',
    ])
      expect(text).toContain(`holdfast_http_requests_total{${labels}} 3`);
  });
});
