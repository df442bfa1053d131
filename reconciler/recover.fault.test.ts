/** A recovery that is killed (SIGKILL, in a process of its own) at any of its points. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../deploy/local/paths.ts';
import { CRASH_VARIABLE } from '../engine/runtime/crash-point.ts';
import { Registry } from './registry.ts';
import { dumpPostgres, dumpRedis } from './testing/dump.ts';
import { LOGS } from './testing/logs.ts';
import { breakFor, RECOVERY_POINTS, type RecoveryPoint, sellOne } from './testing/quick-faults.ts';
import { expectOpen, recoverOnce, recoveryDeps, type TestLog } from './testing/recovering.ts';
import { connectLane, LANE, type Stack, startStack, trade } from './testing/stack.ts';

/** The long run is the proof; the short one shows that nothing has come loose. */
const TIMES = process.env.HOLDFAST_TEST_LONG === undefined ? 2 : 10;
const TIMEOUT_MS = 120_000;

describe.each(LOGS)('over the $name log', ({ start }) => {
  let stack: Stack;
  let log: TestLog;

  beforeAll(async () => {
    stack = await startStack();
    log = await start(stack);
    await recoverOnce(recoveryDeps(stack, log));
    await trade(connectLane(stack.redis), 'first', 16);
    await log.bringToPostgres();
  });
  afterEach(async () => {
    // After a failure, so that it is told once.
    await recoverOnce(recoveryDeps(stack, log)).catch(() => undefined);
  });
  afterAll(async () => {
    await log.end();
    await stack.end();
  });

  const killedAt = (point: RecoveryPoint) =>
    new Promise<string>((resolve, reject) => {
      const target = {
        redisUrl: stack.server.url,
        databaseUrl: stack.database.url,
        ...(log.kafka === undefined ? {} : { kafka: log.kafka }),
      };
      const child = spawn(
        process.execPath,
        [join(packageRoot(), 'dist/reconciler/testing/recover-child.js')],
        {
          env: {
            ...process.env,
            HOLDFAST_TEST_TARGET: JSON.stringify(target),
            [CRASH_VARIABLE]: point,
          },
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      let output = '';
      child.stdout.on('data', (text) => (output += text));
      child.stderr.on('data', (text) => (output += text));
      child.once('error', reject);
      child.once('close', (code, signal) => resolve(signal ?? `ended with ${code}: ${output}`));
    });

  it.each(RECOVERY_POINTS)('killed at %s', { timeout: TIMEOUT_MS }, async (point) => {
    for (let time = 0; time < TIMES; time++) {
      await breakFor(stack, point);
      expect(await killedAt(point)).toBe('SIGKILL');
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
