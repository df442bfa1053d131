/** What one reply of Redis brings is not all given in one turn of the event loop. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SCRIPT_WORK_MAX } from '../domain/script-limits.ts';
import { Line } from '../runtime/line.ts';
import { connectRedis, whenReady } from './connect.ts';
import { createLane } from './lane.ts';
import { reserve, startTestLane, TERM, type TestLane } from './testing/test-lane.ts';
import { createWatermarks } from './watermarks.ts';

const COUNT = 200;
/** What each takes by the clocks of the line. */
const EACH_MS = 1;
/** What two turns have time for: one is counted from the middle of a turn to that of the next. */
const TURN_COUNT_MAX = 10;

let test: TestLane;
let takenMs: number;
let line: Line;
let perTurn: number[];
let watching: NodeJS.Immediate | undefined;

beforeEach(async () => {
  test = await startTestLane();
  await test.receive({ 'S@A': 1_000 });
  takenMs = 0;
  line = new Line({ nowMs: () => performance.now() + takenMs, cpuMs: () => takenMs });
  perTurn = [0];
  const turnOver = (): void => {
    if (perTurn.at(-1) !== 0) perTurn.push(0);
    watching = setImmediate(turnOver);
  };
  turnOver();
});

afterEach(async () => {
  clearImmediate(watching);
  await test.stop();
});

const given = (): void => {
  takenMs += EACH_MS;
  perTurn[perTurn.length - 1] = (perTurn.at(-1) ?? 0) + 1;
};

const expectTurns = (): void => {
  expect(perTurn.reduce((sum, count) => sum + count)).toBe(COUNT);
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(TURN_COUNT_MAX);
};

it('the answers of a batch', async () => {
  const batches: number[] = [];
  const limits = { batchOperationsMax: 512, batchLinesMax: SCRIPT_WORK_MAX };
  const lane = createLane({
    ...{ redis: test.redis, number: 0, line },
    limits: { ...limits, queueWaitMsMax: 10_000, holdAgeSMax: 7_200 },
    hooks: {
      onBatch: (_script, operations) => batches.push(operations),
      onFenced: () => undefined,
      onStoreError: () => undefined,
      onUnreadable: () => undefined,
    },
  });
  await Promise.all(
    Array.from(
      { length: COUNT },
      () =>
        new Promise<void>((resolve) => {
          lane.submit(reserve(test.ids.make(lane.nowMs(), 0), { 'S@A': 1 }), ({ outcome }) => {
            expect(outcome).toBe('created');
            given();
            resolve();
          });
        }),
    ),
  );
  lane.close();
  expect(Math.max(...batches)).toBeGreaterThan(TURN_COUNT_MAX);
  expect(lane.traffic).toEqual({ waiting: 0, decided: COUNT });
  expectTurns();
});

it('those who wait for the same mark of the log', async () => {
  const subscriber = connectRedis({
    ...{ url: test.server.url, name: 'test', onError: () => undefined },
  });
  await whenReady(subscriber, 5_000);
  const marks = createWatermarks({
    ...{ redis: test.redis, subscriber, lane: 0, line, waitMsMax: 60_000 },
    readRegistry: async () => ({ term: TERM, state: 'open' }),
  });
  const stamp = { epoch: TERM, seq: 5, timeMs: 0, offsetMs: 0 };
  const waits = Array.from(
    { length: COUNT },
    () =>
      new Promise<void>((resolve) => {
        marks.wait('logged', stamp, () => {
          given();
          resolve();
        });
      }),
  );
  await test.state.mark('logged', { epoch: TERM, seq: 5 });
  await Promise.all(waits);
  marks.close();
  subscriber.disconnect();
  expectTurns();
});
