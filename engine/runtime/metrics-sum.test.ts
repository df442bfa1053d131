import { describe, expect, it } from 'vitest';
import { createMetrics, type Metrics } from './metrics.ts';
import { addUp, countsOf, labelled, renderSnapshot } from './metrics-sum.ts';

async function worker(requests: number, queued: number): Promise<Metrics> {
  const metrics = createMetrics({ processMetrics: true });
  for (let i = 0; i < requests; i += 1) metrics.onRequest('/a', 201, 3);
  metrics.gauge('holdfast_lane_queued', 'Queued.', [], () => queued);
  metrics.gauge('holdfast_ready', 'Ready.', ['check'], () => [
    { labels: { check: 'a "b" \\ c' }, value: 1 },
  ]);
  metrics.gauge('holdfast_broken', 'Fails.', [], () => Promise.reject(new Error('away')));
  return metrics;
}

async function rendered(): Promise<string> {
  const [one, two] = await Promise.all([worker(2, 7), worker(3, 9)]);
  const snapshots = await Promise.all([one.snapshot(), two.snapshot()]);
  return renderSnapshot(addUp(snapshots.map((each, at) => labelled(each, String(at + 1)))));
}

describe('the numbers of several processes', () => {
  it('adds up what counts, bucket by bucket', async () => {
    const text = await rendered();
    expect(text).toMatch(/^holdfast_http_requests_total{route="\/a",status="201"} 5$/m);
    const name = 'holdfast_http_request_duration_seconds';
    expect(text).toContain(`# TYPE ${name} histogram`);
    expect(text).toContain(`${name}_bucket{route="/a",le="0.0025"} 0`);
    expect(text).toContain(`${name}_bucket{route="/a",le="0.005"} 5`);
    expect(text).toContain(`${name}_bucket{route="/a",le="+Inf"} 5`);
    expect(text).toContain(`${name}_count{route="/a"} 5`);
    expect(text.match(new RegExp(`^# TYPE ${name} `, 'gm'))).toHaveLength(1);
  });

  it('keeps apart what describes a process, also where its type says that it counts', async () => {
    const text = await rendered();
    expect(text).toMatch(/^holdfast_lane_queued{worker="1"} 7$/m);
    expect(text).toMatch(/^holdfast_lane_queued{worker="2"} 9$/m);
    expect(text).toMatch(/^holdfast_ready{worker="2",check="a \\"b\\" \\\\ c"} 1$/m);
    expect(text).toMatch(/^holdfast_broken{worker="1"} Nan$/m);
    expect(text).toMatch(/^process_cpu_user_seconds_total{worker="1"} /m);
    expect(text).toMatch(/^process_start_time_seconds{worker="2"} \d/m);
    expect(text).not.toMatch(/^(process|nodejs)_\w+({(?!.*worker=)| )/m);
  });

  it('shows of one process what the process itself shows', async () => {
    const metrics = createMetrics({ processMetrics: false });
    metrics.onRequest('/a', 201, 3);
    metrics.onBatch('submit', 3, 1.5);
    expect(await renderSnapshot(await metrics.snapshot())).toBe(await metrics.render());
  });

  it('reads no gauge when the counts alone are wanted', async () => {
    const metrics = createMetrics({ processMetrics: false });
    let reads = 0;
    metrics.gauge('holdfast_asked', 'Asked.', [], () => {
      reads += 1;
      return 1;
    });
    metrics.onRequest('/a', 201, 3);
    const counts = await metrics.snapshot('counts');
    expect(reads).toBe(0);
    expect(counts).toEqual(countsOf(await metrics.snapshot()));
  });

  it('knows what is still true when the process has ended', async () => {
    const left = countsOf(await (await worker(1, 1)).snapshot()).map(({ name }) => name);
    expect(left).toContain('holdfast_http_requests_total');
    expect(left).toContain('holdfast_http_request_duration_seconds');
    expect(left.filter((name) => /queued|ready|process|nodejs/.test(name))).toEqual([]);
  });
});
