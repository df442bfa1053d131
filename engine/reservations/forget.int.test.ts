import { afterAll, beforeAll, expect, it } from 'vitest';
import { asSku, type CellField } from '../domain/ids.ts';
import { digestId, generationOf, packId } from '../domain/reservation-id.ts';
import { createLane } from '../redis/lane.ts';
import {
  KEYS,
  reserve,
  settle,
  startTestLane,
  stockOperation,
  type TestLane,
} from '../redis/testing/test-lane.ts';
import { forgetOnce } from './forget.ts';

const DAY_S = 86_400;
let t: TestLane;
beforeAll(async () => {
  t = await startTestLane();
});
afterAll(() => t.stop());

it('drops a day three days later, when PostgreSQL has it, and nothing younger', async () => {
  const lane = createLane({
    redis: t.redis,
    number: 0,
    line: t.line,
    limits: { batchOperationsMax: 9, batchLinesMax: 9, queueWaitMsMax: 9_999, holdAgeSMax: 60 },
    hooks: {
      onBatch: () => undefined,
      onFenced: () => undefined,
      onStoreError: () => undefined,
      onUnreadable: () => undefined,
    },
  });
  const forget = (isPersisted: boolean) =>
    forgetOnce(
      {
        lane,
        watermarks: { wait: (_level, _stamp, done) => done(isPersisted) },
        onError: () => undefined,
        pauseMs: 0,
      },
      new AbortController().signal,
    );
  /** The days of which there are records, each as often as it has buckets. */
  const days = async () =>
    (await t.redis.keys('*hold:*'))
      .map((key) => Number(key.split(':').at(-2)))
      .sort((a, b) => a - b);
  const sell = async (id: string) => {
    await t.submit(reserve(packId(id), { 'X@A': 1 }));
    await t.submit(settle('commit', packId(id)));
  };
  await t.receive({ 'X@A': 10 });
  // The days before Monday are forgotten already.
  const monday = generationOf(t.lane.nowMs());
  await t.redis.hset(KEYS.meta, 'dropped', monday - 1);
  await sell('monday');
  // As of a receipt without a key: its id names no day.
  const nobodys = packId(digestId('op_', 'stock', 'nobody knows it'));
  const line = { sku: asSku('X'), field: 'A' as CellField, delta: 1 };
  await lane.stock(stockOperation(nobodys, [line], { fresh: true }));
  expect(await days()).toEqual([monday, monday, monday]);
  await t.passSeconds(DAY_S);
  await sell('tuesday');
  await lane.expire(1);
  expect(await forget(true), 'nothing is old enough').toBe(0);
  await t.passSeconds(2 * DAY_S);
  await lane.expire(1);
  expect(await forget(false), 'PostgreSQL does not have it yet').toBe(0);
  expect(await forget(true)).toBeGreaterThan(1);
  expect(await days()).toEqual([monday + 1]);
  expect((await t.submit({ kind: 'inspect', id: packId('monday') })).outcome).toBe('not_found');
  expect(await forget(true), 'it is noted in the lane').toBe(0);
});
