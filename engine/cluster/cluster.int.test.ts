/** Engines that share a port, as real processes over both transports. */
import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { requestText, Wire } from '../http/test-wire.ts';
import { loadUws } from '../http/uws-load.ts';
import { type ClusterProcess, spawnCluster, untilGone } from '../testing/cluster-process.ts';
import { startTestEngine, type TestEngine } from '../testing/engine.ts';

const TEST_MS_MAX = 300_000;
const RESERVE = '/api/v1/inventory/reserve';
const CART = JSON.stringify([{ sku_id: 'MUG', warehouse_id: 'A', quantity: 1 }]);
const JSON_TYPE = { 'content-type': 'application/json' };
const HALF = Math.floor(CART.length / 2);

const hasUws = (await loadUws()).kind === 'loaded';
const TRANSPORTS = hasUws ? ['uws', 'node'] : ['node'];

let deployment: TestEngine;
let cluster: ClusterProcess | undefined;

beforeAll(async () => {
  deployment = await startTestEngine();
  await deployment.stock({ 'MUG@A': 100_000 });
}, TEST_MS_MAX);
afterEach(async () => {
  const last = cluster;
  cluster = undefined;
  await last?.stop();
  await untilGone(last?.workers.values() ?? []);
}, TEST_MS_MAX);
afterAll(() => deployment?.close(), TEST_MS_MAX);

interface Running {
  readonly cluster: ClusterProcess;
  readonly url: string;
  readonly port: number;
}

async function start(workers: number, settings: Record<string, string>): Promise<Running> {
  const started = spawnCluster(workers, { ...deployment.env, ...settings });
  cluster = started;
  const url = await started.url();
  return { cluster: started, url, port: Number(new URL(url).port) };
}

/** One connection each, because the kernel spreads connections and not requests. */
async function reserve(port: number): Promise<{ worker: string; id: string }> {
  const wire = await Wire.open(port);
  await wire.send(requestText('POST', RESERVE, JSON_TYPE, CART));
  const { status, headers, body } = await wire.response();
  wire.destroy();
  if (status !== 201) throw new Error(`${status} ${body}`);
  const [worker = ''] = (headers.get('x-request-id') ?? '').split(/-(?=\d+$)/);
  return { worker, id: String((JSON.parse(body) as { reservation_id: unknown }).reservation_id) };
}

async function reserveMany(port: number, count: number) {
  const made: Awaited<ReturnType<typeof reserve>>[] = [];
  for (let left = count; left > 0; left -= 20) {
    const some = Array.from({ length: Math.min(20, left) }, () => reserve(port));
    made.push(...(await Promise.all(some)));
  }
  return made;
}

async function scrape(url: string): Promise<string> {
  const response = await fetch(`${url}/metrics`);
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return text;
}

/** Requests of which the workers have the head and half the body, each on a connection of its own. */
async function openUploads(url: string, port: number): Promise<readonly Wire[]> {
  const wires = await Promise.all(Array.from({ length: 8 }, () => Wire.open(port)));
  const [head = ''] = requestText('POST', RESERVE, JSON_TYPE, CART).split(CART);
  for (const wire of wires) {
    await wire.send(requestText('GET', '/healthz'));
    await wire.response();
    await wire.send(head + CART.slice(0, HALF));
  }
  // Each worker tells its numbers in a turn of its loop in which it also reads what had come before.
  await scrape(url);
  return wires;
}

async function finishUpload(wire: Wire): Promise<void> {
  await wire.send(CART.slice(HALF));
  const [, { status, body } = { status: 0, body: '' }] = await wire.responses(2);
  expect(status, body).toBe(201);
}

/** Resolves when nobody listens there any more. */
async function untilRefused(port: number): Promise<void> {
  for (;;) {
    const wire = await Wire.open(port).catch(() => undefined);
    if (wire === undefined) return;
    wire.destroy();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe.each(TRANSPORTS)('engines on one port over %s', (transport) => {
  const settings = { HOLDFAST_HTTP: transport };

  it(
    'share the work, replace one that is killed, and drain when told to end',
    async () => {
      const { url, port, cluster } = await start(2, settings);
      expect(cluster.stdout).toMatch(
        /^holdfast is ready at http:\S+ \(log: embedded\), 2 workers\n$/,
      );
      const made = await reserveMany(port, 200);
      const workers = new Set(made.map(({ worker }) => worker));
      expect(workers.size).toBe(2);
      expectSums(await scrape(url), 200);

      process.kill(cluster.workers.get(1) ?? 0, 'SIGKILL');
      await cluster.logged('a worker ended: signal SIGKILL');
      // Every one of them is sold, also while the new worker comes.
      while (workers.size < 3) {
        const one = await reserve(port);
        made.push(one);
        workers.add(one.worker);
      }
      expect(new Set(made.map(({ id }) => id)).size).toBe(made.length);
      const text = await scrape(url);
      expectSums(text, made.length);
      expect(text).toContain('holdfast_worker_starts{worker="1"} 2');
      expect(text).toContain('holdfast_worker_starts{worker="2"} 1');

      const uploads = await openUploads(url, port);
      cluster.kill('SIGTERM');
      await untilRefused(port);
      // Again, as a service manager that tells every process of the group.
      for (const pid of cluster.workers.values()) process.kill(pid, 'SIGTERM');
      await Promise.all(uploads.map(finishUpload));
      expect(await cluster.ended).toEqual({ code: 0, signal: null });
      await untilGone(cluster.workers.values());
    },
    TEST_MS_MAX,
  );

  it(
    'refuse a second supervisor, and drain and end when their own is killed',
    async () => {
      const { url, port, cluster } = await start(2, settings);
      const second = spawnCluster(2, deployment.env, ['--port', String(port)]);
      expect(await second.ended).toEqual({ code: 1, signal: null });
      expect(second.stderr).toMatch(/^cannot listen on 127\.0\.0\.1:\d+: the port is in use.*\n$/);

      const uploads = await openUploads(url, port);
      cluster.kill('SIGKILL');
      await untilRefused(port);
      await Promise.all(uploads.map(finishUpload));
      await untilGone(cluster.workers.values());
    },
    TEST_MS_MAX,
  );
});

function expectSums(text: string, created: number): void {
  const lines = text.split('\n');
  expect(lines).toContain(
    `holdfast_outcomes_total{operation="reserve",outcome="created"} ${created}`,
  );
  const count = `holdfast_http_request_duration_seconds_count{route="${RESERVE}"} ${created}`;
  expect(lines).toContain(count);
  for (const worker of ['1', '2']) {
    expect(text).toMatch(new RegExp(`^process_cpu_seconds_total{worker="${worker}"} `, 'm'));
    expect(lines).toContain(`holdfast_ready{worker="${worker}",check="lane"} 1`);
    expect(lines).toContain(`holdfast_worker_up{worker="${worker}"} 1`);
  }
}

describe('a supervisor that cannot start', () => {
  it(
    'says once that the port is taken',
    async () => {
      const holder = createServer();
      await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
      const address = holder.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      try {
        cluster = spawnCluster(3, deployment.env, ['--port', String(port)]);
        expect(await cluster.ended).toEqual({ code: 1, signal: null });
        expect(cluster.stdout).toBe('');
        expect(cluster.stderr).toMatch(
          /^cannot listen on 127\.0\.0\.1:\d+: the port is in use.*\n$/,
        );
      } finally {
        await new Promise((resolve) => holder.close(resolve));
      }
    },
    TEST_MS_MAX,
  );

  it(
    'says once what is wrong with a setting',
    async () => {
      cluster = spawnCluster(3, { ...deployment.env, HOLDFAST_TTL_MAX: 'long' });
      expect(await cluster.ended).toEqual({ code: 2, signal: null });
      expect(cluster.stderr.match(/HOLDFAST_TTL_MAX/g)).toHaveLength(1);
    },
    TEST_MS_MAX,
  );

  it(
    'says once what only a worker finds out',
    async () => {
      const settings = { HOLDFAST_RESERVE_DURABILITY: 'replicated' };
      cluster = spawnCluster(3, { ...deployment.env, ...settings });
      expect(await cluster.ended).toEqual({ code: 2, signal: null });
      expect(cluster.stderr.match(/replicated needs replicas/g)).toHaveLength(1);
      await untilGone(cluster.workers.values());
    },
    TEST_MS_MAX,
  );
});
