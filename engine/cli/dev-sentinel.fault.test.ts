/** `holdfast dev --sentinel` as its user starts it, and the death of its Redis primary in the middle. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { waitFor } from '../../deploy/local/deadline.ts';
import { packageRoot } from '../../deploy/local/paths.ts';
import { signalProcess } from '../../deploy/local/process-identity.ts';
import { readServerRecord } from '../../deploy/local/server-process.ts';
import { stackStatus } from '../../deploy/local/stack-status.ts';
import { currentTestRun, serverDirectory } from '../testing/test-run.ts';
import { callApi } from './api.ts';

const TIMEOUT_MS = 100_000;
const TEST_TIMEOUT_MS = 240_000;
const UNITS = 10;

const cleanups: Array<() => Promise<unknown>> = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Its URL, once it is ready. */
async function startDev(directory: string): Promise<string> {
  const main = join(packageRoot(), 'dist/engine/main.js');
  const options = ['--sentinel', '--log', 'embedded', '--port', '0', '--dir', directory];
  const child = spawn(process.execPath, [main, 'dev', ...options], {
    // Without what this machine's own shell may say about running servers.
    env: { ...process.env, REDIS_URL: '', DATABASE_URL: '', KAFKA_BROKERS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  cleanups.push(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /https?:\/\/\S+/.exec(line)?.[0];
    if (url !== undefined) return url;
  }
  throw new Error(`holdfast dev ended: ${errors}`);
}

async function stock(url: string): Promise<void> {
  const put = (path: string, body: object) => callApi(url, 'PUT', path, body);
  await put('/api/v1/warehouses/LON', { name: 'London', time_zone: 'Europe/London' });
  await put('/api/v1/products/MUG', { name: 'Mug' });
  const lines = [{ sku_id: 'MUG', warehouse_id: 'LON', quantity: UNITS }];
  const received = await callApi(url, 'POST', '/api/v1/stock/receive', { lines });
  expect(received.status, JSON.stringify(received.body)).toBeLessThan(300);
}

/** Asked again, under the same key, until it is decided. */
async function reserve(url: string, key: string, quantity: number): Promise<unknown> {
  const cart = [{ sku_id: 'MUG', quantity }];
  const headers = { 'idempotency-key': key };
  const answer = await waitFor(async () => {
    const reply = await callApi(url, 'POST', '/api/v1/inventory/reserve', cart, headers);
    return reply.status < 500 ? reply : undefined;
  }, TIMEOUT_MS);
  return answer?.status;
}

describe('holdfast dev --sentinel', () => {
  it(
    'sells on after its Redis primary was killed, not a unit more, and ends all its servers',
    async () => {
      const directory = serverDirectory(currentTestRun(), 'dev');
      const url = await startDev(directory);
      await stock(url);
      expect(await reserve(url, 'before', 4)).toBe(201);

      const primary = readServerRecord(join(directory, 'redis-1'));
      if (primary === undefined) throw new Error('redis-1 has no record');
      signalProcess(primary.process, 'SIGKILL');
      expect(await reserve(url, 'after', 6)).toBe(201);
      expect(await reserve(url, 'before', 4)).toBe(200);
      expect(await reserve(url, 'too-late', 1)).toBe(409);

      for (const cleanup of cleanups.splice(0)) await cleanup();
      expect(stackStatus(directory, {}).map(({ state }) => state)).toEqual(
        Array(3).fill('stopped'),
      );
    },
    TEST_TIMEOUT_MS,
  );
});
