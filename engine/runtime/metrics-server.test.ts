import { expect, it } from 'vitest';
import { createMetrics } from './metrics.ts';
import { startMetricsServer } from './metrics-server.ts';

const FREE = { host: '127.0.0.1', port: 0 };

it('serves what the metrics render, and nothing else', async () => {
  const metrics = createMetrics({ processMetrics: false });
  metrics.gauge('holdfast_test', 'A test.', [], () => 7);
  const server = await startMetricsServer(metrics, FREE);
  try {
    const scraped = await fetch(server.url);
    expect(scraped.headers.get('content-type')).toBe(metrics.contentType);
    expect(await scraped.text()).toContain('holdfast_test 7');
    expect((await fetch(server.url.replace('/metrics', '/'))).status).toBe(404);
  } finally {
    await server.close();
  }
});

it('says what to do when the port is taken', async () => {
  const metrics = createMetrics({ processMetrics: false });
  const first = await startMetricsServer(metrics, FREE);
  const port = Number(new URL(first.url).port);
  await expect(startMetricsServer(metrics, { ...FREE, port })).rejects.toThrow(
    /HOLDFAST_METRICS_PORT to a free port/,
  );
  await first.close();
});
