/** A recovery that is killed (SIGKILL, in a process of its own) at any of its points. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Registry } from './registry.ts';
import { startRecoveryChild } from './testing/child.ts';
import { dumpPostgres, dumpRedis } from './testing/dump.ts';
import { LOGS } from './testing/logs.ts';
import { breakFor, RECOVERY_POINTS, sellOne } from './testing/quick-faults.ts';
import {
  beginSold,
  expectOpen,
  recoverOnce,
  recoveryDeps,
  type TestLog,
} from './testing/recovering.ts';
import { LANE, type Stack, startStack } from './testing/stack.ts';
import { targetOf } from './testing/target.ts';

/** The long run is the proof; the short one shows that nothing has come loose. */
const TIMES = process.env.HOLDFAST_TEST_LONG === undefined ? 1 : 10;
const TIMEOUT_MS = 120_000;

describe.each(LOGS)('over the $name log', ({ start }) => {
  let stack: Stack;
  let log: TestLog;

  beforeAll(async () => {
    stack = await startStack();
    log = await start(stack);
    await beginSold(stack, log);
  });
  afterEach(async () => {
    // After a failure, so that it is told once.
    await recoverOnce(recoveryDeps(stack, log)).catch(() => undefined);
  });
  afterAll(async () => {
    await log.end();
    await stack.end();
  });

  it.each(RECOVERY_POINTS)('killed at %s', { timeout: TIMEOUT_MS }, async (point) => {
    for (let time = 0; time < TIMES; time++) {
      await breakFor(stack, point);
      const child = startRecoveryChild(targetOf(stack, log), point);
      expect(await child.ended).toBe('SIGKILL');
      if (point !== 'recovery.after_open') {
        await expect(sellOne(stack)).rejects.toThrow(/fenced/);
        expect((await recoverOnce(recoveryDeps(stack, log))).outcome).toBe('opened');
      }
      expect(await dumpRedis(stack.redis)).toEqual(await dumpPostgres(stack.database.pool));
      expect((await new Registry(stack.database.pool).read(LANE)).state).toBe('open');
    }
    await expectOpen(stack, log);
  });
});
