/** A recovery that ends at any of its points, by an error, is made good by the next one. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RECOVERY_LIMITS } from './claim.ts';
import { Registry } from './registry.ts';
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

/** Both ways to meet a point that is passed several times; the long run repeats them. */
const TIMES = process.env.HOLDFAST_TEST_LONG === undefined ? 2 : 10;
/** `after_replicate` is passed where there are replicas, or where one waits for some in vain. */
const AWAITED = { quorum: () => 1, limits: { ...RECOVERY_LIMITS, replicateMs: 1 } };

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

  it.each(RECOVERY_POINTS)('an error at %s', async (point) => {
    for (let time = 0; time < TIMES; time++) {
      await breakFor(stack, point);
      let passed = 0;
      const crashPoint = (name: string) => {
        // Where a point is passed several times, each time is met in turn.
        if (name === point && passed++ === time % 2) throw new Error('crash');
      };
      const first = await recoverOnce(recoveryDeps(stack, log, { crashPoint, ...AWAITED })).catch(
        () => 'crash',
      );
      // A single piece is all there was, and the point was passed once.
      const wentThrough = typeof first !== 'string';
      if (wentThrough) expect([first.outcome, passed, time % 2]).toEqual(['opened', 1, 1]);
      const isOpen = wentThrough || point === 'recovery.after_open';
      if (!isOpen) {
        await expect(sellOne(stack)).rejects.toThrow(/fenced/);
        expect((await recoverOnce(recoveryDeps(stack, log))).outcome).toBe('opened');
      }
      expect(await dumpRedis(stack.redis)).toEqual(await dumpPostgres(stack.database.pool));
      expect((await new Registry(stack.database.pool).read(LANE)).state).toBe('open');
    }
    await expectOpen(stack, log);
  });
});
