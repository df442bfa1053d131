/**
 * Two recoveries at once. One is stopped ahead of each of its calls in turn; another runs whole, and
 * the lane sells under its term; then the first goes on. Whatever it does, it must end as the loser
 * and change nothing.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RecoveryReport } from './recover.ts';
import { Registry } from './registry.ts';
import { dumpRedis } from './testing/dump.ts';
import { believeOpen, loseTail, restart } from './testing/forge.ts';
import { interpose } from './testing/interpose.ts';
import { LOGS } from './testing/logs.ts';
import {
  expectLevel,
  expectOpen,
  recoverOnce,
  recoveryDeps,
  type TestLog,
} from './testing/recovering.ts';
import { connectLane, LANE, type Stack, startStack, trade } from './testing/stack.ts';

const IS_LONG = process.env.HOLDFAST_TEST_LONG !== undefined;

/** Whose very first look found a lane that needs nothing any more; any other error fails the test. */
function cameTooLate(error: unknown): undefined {
  expect(String(error)).toMatch(/needs no recovery/);
}

describe.each(LOGS)('two recoveries over the $name log', ({ name, start }) => {
  let stack: Stack;
  let log: TestLog;

  beforeEach(async () => {
    stack = await startStack();
    log = await start(stack);
    expect((await recoverOnce(recoveryDeps(stack, log))).outcome).toBe('opened');
    await trade(connectLane(stack.redis), 'first', 16);
    await log.bringToPostgres();
  });
  afterEach(async () => {
    await log.end();
    await stack.end();
  });

  /** Each makes the lane need recovery, with something to do for every step. */
  const FAULTS: Readonly<Record<string, () => Promise<void>>> = {
    tail: async () => {
      await trade(connectLane(stack.redis), 'tail', 4);
      await restart(stack);
    },
    lost_tail: () =>
      loseTail(stack, async () => {
        await trade(connectLane(stack.redis), 'lost', 4);
        await log.bringToPostgres();
      }),
    fork: async () => {
      await loseTail(stack, async () => {
        await trade(connectLane(stack.redis), 'truth', 4);
        await log.bringToPostgres();
      });
      await believeOpen(stack);
      await trade(connectLane(stack.redis), 'fork', 8);
      await restart(stack);
    },
  };

  /** What recovery calls for each, beside what it always calls. */
  const CALLS: Readonly<Record<string, string>> = {
    tail: 'log.appendTail',
    lost_tail: 'state.restore',
    fork: 'state.wipe state.restore',
  };

  /** All that differs between the logs is how a tail is written. */
  const MEANT = Object.keys(FAULTS).filter(
    (fault) => IS_LONG || name === 'embedded' || fault === 'tail',
  );

  it.each(MEANT)(
    'one wins at every point: %s',
    async (fault) => {
      const calls: string[] = [];
      for (let at = 0; ; at++) {
        await FAULTS[fault]?.();
        let winner: RecoveryReport | undefined;
        let dump = {};
        const loser = await recoverOnce(
          interpose(recoveryDeps(stack, log), async (call, nth) => {
            if (nth !== at) return;
            calls.push(call);
            winner = await recoverOnce(recoveryDeps(stack, log));
            await trade(connectLane(stack.redis), `won-${fault}-${at}`, 2);
            dump = await dumpRedis(stack.redis);
          }),
        ).catch(cameTooLate);
        if (winner === undefined) {
          expect(loser?.outcome).toBe('opened');
          break;
        }
        expect(winner.outcome).toBe('opened');
        const why = `stopped ahead of call ${at}, ${calls.at(-1)}`;
        expect(loser?.outcome ?? 'superseded', why).toBe('superseded');
        expect(await dumpRedis(stack.redis), why).toEqual(dump);
        expect(await new Registry(stack.database.pool).read(LANE), why).toMatchObject({
          state: 'open',
          term: winner.term,
        });
        await log.bringToPostgres();
        await expectLevel(stack);
      }
      // Every kind of call was a place to be overtaken at.
      const always = 'registry.nextTerm registry.open state.tail state.claim state.open log.fence';
      expect([...new Set(calls)].sort()).toEqual(`${always} ${CALLS[fault]}`.split(' ').sort());
      await expectOpen(stack, log);
    },
    300_000,
  );

  it('many at once: one opens, the others lose, none fails', async () => {
    await FAULTS.fork?.();
    const reports = await Promise.all(
      Array.from({ length: 6 }, () => recoverOnce(recoveryDeps(stack, log)).catch(cameTooLate)),
    );
    expect(reports.map((report) => report?.outcome ?? 'superseded').sort()).toEqual([
      'opened',
      ...Array.from({ length: 5 }, () => 'superseded'),
    ]);
    await expectOpen(stack, log);
  });
});
