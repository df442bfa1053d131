/** The whole demo as its user starts it, with small numbers and the embedded log, and what its JSON says. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../deploy/local/paths.ts';
import { stackStatus } from '../../deploy/local/stack-status.ts';
import { currentTestRun, serverDirectory } from '../../engine/testing/test-run.ts';
import type { DemoReport } from './report.ts';

/** Half a minute on a machine that is free; others' tests may share it. */
const DEMO_TIMEOUT_MS = 240_000;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function runDemo(args: readonly string[]): Promise<Ended> {
  const main = join(packageRoot(), 'dist/engine/main.js');
  const child = spawn(process.execPath, [main, 'demo', ...args], {
    // Without what this machine's own shell may say about running servers.
    env: { ...process.env, REDIS_URL: '', DATABASE_URL: '', KAFKA_BROKERS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    child.exitCode === null ? once(child, 'exit') : undefined,
  ]);
  return { code: child.exitCode, stdout, stderr };
}

describe('holdfast demo', () => {
  it(
    'sells every unit once, over real orders, and proves it',
    async () => {
      const directory = serverDirectory(currentTestRun(), 'demo');
      const size = '--units 200 --shoppers 2000 --seconds 2';
      const { code, stdout, stderr } = await runDemo(
        `--once --json --log embedded --port 0 ${size} --dir`.split(' ').concat(directory),
      );
      expect(stderr).toContain('real orders and a flash sale');
      expect(code, stderr).toBe(0);

      const report = JSON.parse(stdout) as DemoReport;
      expect(report.problems, stderr).toEqual([]);
      expect(report).toMatchObject({ ok: true, log: 'embedded', log_reason: 'it was chosen' });
      expect(report.sale).toMatchObject({
        units: 200,
        shoppers: 2_000,
        sold: 200,
        sold_in_ledger: 200,
        oversold: 0,
        unsold: 0,
        violations: [],
      });
      for (const count of ['rejected', 'expired', 'duplicates', 'replayed'] as const) {
        expect(report.sale[count], count).toBeGreaterThan(0);
      }
      expect(report.orders).toMatchObject({ carts: 423, replayed: 423, returned: 88, failed: 0 });
      expect(report.orders.reserved + report.orders.refused).toBe(423);
      expect(report.audit).toMatchObject({ ok: true, differences: 0 });
      expect(report.audit.compared.cells).toBeGreaterThan(7_000);
      expect(report.latency_ms.reserve?.p50).toBeGreaterThan(0);

      const states = stackStatus(directory, {}).map(({ state }) => state);
      expect(states).toEqual(['stopped', 'stopped', 'stopped']);
    },
    DEMO_TIMEOUT_MS,
  );

  it('does not wipe a directory that is not its own', async () => {
    const directory = serverDirectory(currentTestRun(), 'not-the-demo');
    writeFileSync(join(directory, 'precious'), '');
    const { code, stdout, stderr } = await runDemo(['--once', '--dir', directory]);
    expect(code).toBe(3);
    expect(stdout).toBe('');
    expect(stderr).toContain('is not the demo');
  });

  it('says which option is wrong', async () => {
    const { code, stderr } = await runDemo(['--units', '0']);
    expect(code).toBe(2);
    expect(stderr).toContain('whole number from 1');
  });
});
