/**
 * A recovery that hangs (SIGSTOP) at one of its points, with the turn in its hands. Another takes over
 * and opens the lane, which sells; then the first wakes up, believing that no time has passed, and
 * must change nothing.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../deploy/local/deadline.ts';
import { isStopped, startRecoveryChild } from './testing/child.ts';
import { dumpRedis } from './testing/dump.ts';
import { LOGS } from './testing/logs.ts';
import { RECOVERY_POINTS, sellOne } from './testing/quick-faults.ts';
import {
  beginSold,
  expectLevel,
  expectOpen,
  recoveryDeps,
  type TestLog,
} from './testing/recovering.ts';
import { type Stack, startStack } from './testing/stack.ts';
import { targetOf } from './testing/target.ts';
import { LaneWatcher, WATCH_LIMITS } from './watch.ts';

const IS_LONG = process.env.HOLDFAST_TEST_LONG !== undefined;
const TEST_MS_MAX = 180_000;
const PATIENCE_MS = 60_000;
/** How long it hangs after the lane was opened by another: longer than anything it might wait for. */
const PAUSE_MS = IS_LONG ? 30_000 : 0;
const SELL_EVERY_MS = 100;

/** Everything that an emptied Redis leads through; the last one opens the lane itself. */
const POINTS = RECOVERY_POINTS.filter(
  (point) => !['recovery.in_relay', 'recovery.after_relay', 'recovery.after_open'].includes(point),
);
const isHere = process.platform === 'linux';
if (!isHere) console.info('skipped: only Linux tells in /proc that a process is stopped');
const SHORT = ['recovery.after_term', 'recovery.in_copy', 'recovery.after_registry'] as const;

describe.each(IS_LONG ? LOGS : LOGS.slice(0, 1))('over the $name log', ({ start }) => {
  let stack: Stack;
  let log: TestLog;

  beforeAll(async () => {
    stack = await startStack();
    log = await start(stack);
    await beginSold(stack, log);
  });
  afterAll(async () => {
    await log.end();
    await stack.end();
  });

  it.runIf(isHere).each(IS_LONG ? POINTS : SHORT)(
    'hangs at %s, and wakes up',
    { timeout: TEST_MS_MAX },
    async (point) => {
      await stack.redis.flushall();
      const child = startRecoveryChild({ ...targetOf(stack, log), signal: 'SIGSTOP' }, point);
      try {
        const stopped = await waitFor(() => isStopped(child) || undefined, PATIENCE_MS);
        expect(stopped, 'the child stopped itself').toBe(true);
        const watcher = new LaneWatcher({
          ...recoveryDeps(stack, log),
          watch: WATCH_LIMITS,
          onReport: () => undefined,
          onError: () => undefined,
        });
        const never = new AbortController().signal;
        const opened = await waitFor(async () => {
          const report = await watcher.runOnce(never);
          return report.kind === 'recovery' && report.report.outcome === 'opened'
            ? report
            : undefined;
        }, PATIENCE_MS);
        expect(opened).toBeDefined();
        await sellFor(PAUSE_MS);
        await log.bringToPostgres();
        const before = await dumpRedis(stack.redis);
        child.process.kill('SIGCONT');
        const ended = await child.ended;
        expect(ended).toMatch(/"outcome":"superseded"|"kind":"failed"/);
        expect(await dumpRedis(stack.redis)).toEqual(before);
        await expectLevel(stack);
        await expectOpen(stack, log);
      } finally {
        child.process.kill('SIGKILL');
        await child.ended;
      }
    },
  );

  /** At least once, and now and then: there are not so many units. */
  async function sellFor(ms: number): Promise<void> {
    const endMs = performance.now() + ms;
    for (;;) {
      await sellOne(stack);
      if (performance.now() >= endMs) return;
      await sleep(Math.min(SELL_EVERY_MS, Math.max(0, endMs - performance.now())));
    }
  }
});
