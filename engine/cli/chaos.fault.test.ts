/** `holdfast chaos` on a stack of its own: the primary hangs in a sale, and the verdict is printed. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type Stack, startStack } from '../../deploy/local/stack.ts';
import { withoutServers } from '../../deploy/local/stack-servers.ts';
import { readConfig } from '../runtime/config.ts';
import { createLogger } from '../runtime/log.ts';
import { currentTestRun, serverDirectory } from '../testing/test-run.ts';
import { chaosCommand } from './chaos.ts';
import { type Serving, startAll } from './roles.ts';

/** A stack of seven servers, a failover and two audits: with `npm run test:long`. */
const IS_LONG = process.env.HOLDFAST_TEST_LONG === '1';
const TEST_MS_MAX = 300_000;

let directory: string;
let stack: Stack | undefined;
let serving: Serving | undefined;

if (!IS_LONG) console.info('skipped: chaos on a local stack takes a minute; npm run test:long');
beforeAll(async () => {
  if (!IS_LONG) return;
  directory = serverDirectory(currentTestRun(), 'chaos');
  const env = withoutServers(process.env);
  stack = await startStack({ directory, sentinel: true, log: 'embedded', env });
  const config = readConfig({ ...stack.env, HOLDFAST_PORT: '0', HOLDFAST_LOG_LEVEL: 'silent' });
  serving = await startAll({ config, log: createLogger('test', 'silent') });
}, TEST_MS_MAX);
afterAll(async () => {
  await serving?.close();
  await stack?.stop();
}, TEST_MS_MAX);

it.skipIf(!IS_LONG)(
  'keeps every promise when the primary hangs, and says so',
  async () => {
    const printed: string[] = [];
    const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      printed.push(String(text));
      return true;
    });
    const args = ['--fault', 'hang', '--json', '--url', serving?.url ?? '', '--dir', directory];
    await chaosCommand()
      .exitOverride()
      .parseAsync(['node', 'chaos', ...args]);
    out.mockRestore();
    const report = JSON.parse(printed.join('')) as {
      primary: string;
      promoted: string;
      verdict: { violations: unknown[]; oversold: number; attempts: number };
      audit_differences: unknown[];
    };
    expect(report.verdict.violations).toEqual([]);
    expect(report.audit_differences).toEqual([]);
    expect(report.verdict).toMatchObject({ oversold: 0 });
    expect(report.verdict.attempts).toBeGreaterThan(50);
    expect(report.promoted).not.toBe(report.primary);
    expect(process.exitCode ?? 0).toBe(0);
  },
  TEST_MS_MAX,
);
