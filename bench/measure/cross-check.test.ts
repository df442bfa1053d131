import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installWrk, readWrk } from './cross-check.ts';

describe('installWrk', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'holdfast-no-wrk-'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('tells that it cannot be had, and throws nothing', async () => {
    const told: string[] = [];
    await installWrk((what) => told.push(what), { PATH: directory });
    expect(told).toEqual(['no wrk: the closed loop comes from autocannon alone']);
  });

  it('does nothing where it is', async () => {
    writeFileSync(join(directory, 'wrk'), '', { mode: 0o755 });
    const told: string[] = [];
    await installWrk((what) => told.push(what), { PATH: directory });
    expect(told).toEqual([]);
  });
});

/** As wrk 4.1.0 prints it. */
function wrkOutput(...errors: readonly string[]): string {
  return [
    'Running 1s test @ http://127.0.0.1:43539',
    '  1 threads and 8 connections',
    '  Thread Stats   Avg      Stdev     Max   +/- Stdev',
    '    Latency     6.35ms    1.20ms  11.68ms   74.39%',
    '    Req/Sec     1.26k    79.75     1.35k    50.00%',
    '  1261 requests in 1.01s, 233.57KB read',
    ...errors,
    'Requests/sec:   1243.82',
    'Transfer/sec:    230.38KB',
    '',
  ].join('\n');
}

describe('readWrk', () => {
  it('reads how many a second', () => {
    const result = { generator: 'wrk', requestsPerSecond: 1_243.82, errors: 0 };
    expect(readWrk(wrkOutput())).toEqual(result);
  });

  it.each([
    { errors: ['  Non-2xx or 3xx responses: 842'], count: 842 },
    { errors: ['  Socket errors: connect 0, read 255, write 0, timeout 0'], count: 255 },
    {
      errors: [
        '  Socket errors: connect 1, read 2, write 0, timeout 3',
        '  Non-2xx or 3xx responses: 40',
      ],
      count: 46,
    },
  ])('counts what went wrong: $count', ({ errors, count }) => {
    expect(readWrk(wrkOutput(...errors)).errors).toBe(count);
  });

  it('refuses what names no rate', () => {
    expect(() => readWrk('')).toThrow('no rate');
  });
});
