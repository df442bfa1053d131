/** No engine ran for days: what was held then expires, before anything takes its place or forgets it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Sku } from '../domain/ids.ts';
import { generationOf, packId } from '../domain/reservation-id.ts';
import { forgetOnce } from '../reservations/forget.ts';
import {
  KEYS,
  open,
  reserve,
  settle,
  startTestLane,
  TERM,
  type TestLane,
} from './testing/test-lane.ts';

const DAY_S = 86_400;
const X = 'X' as Sku;
let t: TestLane;
beforeEach(async () => {
  t = await startTestLane();
  await t.receive({ 'X@A': 10 });
});
afterEach(() => t.stop());

const madeId = () => t.ids.make(t.lane.nowMs(), 0);
const hold = async (id: Buffer, units: number) => {
  const { outcome } = await t.submit(reserve(id, { 'X@A': units }, { ttlS: 60 }));
  return outcome;
};
/** Until nothing is due; how many expired. */
const sweep = async (workMax = 1_000) => {
  let expired = 0;
  for (let more = true; more; ) {
    const slice = await t.lane.expire(workMax);
    if (slice.outcome !== 'expired') throw new Error(slice.detail);
    expired += slice.expired;
    more = slice.more;
  }
  return expired;
};
const LOOKS_MAX = 4;
/** Days that were dropped, one a look. */
const forget = async () => {
  let days = 0;
  const options = {
    lane: t.lane,
    watermarks: {
      wait: (_level: string, _stamp: unknown, done: (is: boolean) => void) => done(true),
    },
    onError: () => undefined,
    pauseMs: 0,
  };
  const { signal } = new AbortController();
  while (days < LOOKS_MAX && (await forgetOnce(options, signal)) > 0) days++;
  return days;
};
/** s */
const laneTime = async () => {
  const { stamp } = await t.submit({ kind: 'inspect', id: packId('nobody') });
  return Math.floor(stamp.timeMs / 1_000);
};
const daysOfRecords = async () =>
  new Set((await t.redis.keys('*hold:*')).map((key) => Number(key.split(':').at(-2))));

describe.each([1, 2, 3, 30])('after %s days', (days) => {
  it('holds expire, once, and their units are sold again', async () => {
    expect(await hold(madeId(), 2)).toBe('created');
    expect(await hold(packId('a key of the client'), 3)).toBe('created');
    const extended = madeId();
    await hold(extended, 4);
    await t.submit({ kind: 'extend', id: extended, ttlS: 600 });
    await t.passSeconds(days * DAY_S);
    expect(await sweep()).toBe(3);
    expect(await t.cells('X')).toEqual({ A: [10, 0, 0] });
    expect(await t.redis.exists(KEYS.deadlines)).toBe(0);
    expect(await hold(packId('another key'), 10)).toBe('created');
  });
});

it('a key that a hold of days ago may have is not given to another before that has expired', async () => {
  const key = packId('a key of the client');
  await hold(key, 3);
  await t.passSeconds(3 * DAY_S);
  expect(await hold(key, 1)).toBe('undecided');
  expect(await t.cells('X')).toEqual({ A: [7, 3, 0] });
  expect(await hold(madeId(), 2)).toBe('created');
  expect(await sweep()).toBe(1);
  expect(await hold(key, 1)).toBe('created');
  expect(await t.cells('X')).toEqual({ A: [7, 3, 0] });
});

it.each([0.5, 2, 3])('one of %s days ago holds no other key up', async (days) => {
  await hold(packId('a key of the client'), 3);
  await t.passSeconds(days * DAY_S);
  expect(await hold(packId('another key'), 1)).toBe('created');
});

it('two holds of one id expire once each, in whatever order their deadlines lead to them', async () => {
  const key = packId('a key of the client');
  await hold(key, 3);
  await t.submit({ kind: 'extend', id: key, ttlS: 600 });
  const [first = '', extended = ''] = await t.redis.zrange(KEYS.deadlines, '0', '-1');
  // The lane makes no second one before the first is gone; so its deadlines are hidden from it.
  await t.redis.del(KEYS.deadlines);
  await t.passSeconds(3 * DAY_S);
  expect(await hold(key, 4)).toBe('created');
  const [second = ''] = await t.redis.zrange(KEYS.deadlines, '0', '-1');
  await t.passSeconds(61);
  await t.redis.zadd(KEYS.deadlines, 1, first, 2, second, 3, extended);
  expect(await sweep()).toBe(2);
  expect(await t.cells('X')).toEqual({ A: [10, 0, 0] });
});

it('a hold that is put off, because it cannot be read, keeps its key and its day', async () => {
  const first = generationOf(t.lane.nowMs());
  await t.redis.hset(KEYS.meta, 'dropped', first - 1);
  const key = packId('a key of the client');
  await hold(key, 3);
  const cell = (await t.redis.hgetBuffer(KEYS.stock(X), 'A')) ?? '';
  await t.redis.hset(KEYS.stock(X), 'A', 'no cell');
  await t.receive({ 'Y@A': 10 });
  // Its deadline is of today after each look.
  for (const days of [2, 1, 1]) {
    await t.passSeconds(days * DAY_S);
    expect(await t.lane.expire(1_000)).toMatchObject({ expired: 0, putOff: 1 });
    expect((await t.submit(reserve(key, { 'Y@A': 1 }))).outcome).toBe('undecided');
    expect(await forget()).toBe(0);
  }
  expect((await t.submit(reserve(packId('another key'), { 'Y@A': 1 }))).outcome).toBe('created');
  await t.redis.hset(KEYS.stock(X), 'A', cell);
  await t.passSeconds(31);
  expect(await sweep()).toBe(1);
  expect(await t.cells('X')).toEqual({ A: [10, 0, 0] });
  expect((await t.submit(reserve(key, { 'Y@A': 1 }))).outcome).toBe('created');
});

it('a hold under an id of the day before keeps that day', async () => {
  const startOfDay = DAY_S - ((await laneTime()) % DAY_S);
  await t.passSeconds(startOfDay + DAY_S - 600);
  const day = Math.floor((await laneTime()) / DAY_S);
  await t.redis.hset(KEYS.meta, 'dropped', day - 1);
  const id = t.ids.make((await laneTime()) * 1_000, 0);
  expect(await hold(id, 11)).toBe('insufficient');
  await t.passSeconds(DAY_S - 300);
  expect((await t.submit(reserve(id, { 'X@A': 3 }, { ttlS: 3_600 }))).outcome).toBe('created');
  await t.passSeconds(DAY_S + 960);
  expect(Math.floor((await laneTime()) / DAY_S)).toBe(day + 3);
  expect(await forget()).toBe(0);
  expect(await sweep()).toBe(1);
  expect(await t.cells('X')).toEqual({ A: [10, 0, 0] });
});

it('an engine that was suspended for days makes holds that can be found', async () => {
  const id = madeId();
  await t.passSeconds(4 * DAY_S);
  const fresh = reserve(id, { 'X@A': 3 }, { fresh: true });
  expect((await t.submit(fresh)).outcome).toBe('created');
  expect((await t.submit({ kind: 'inspect', id })).outcome).toBe('exists');
  expect((await t.submit(settle('commit', id))).outcome).toBe('committed');
});

it('lane time that goes back behind days that were forgotten has them forgotten again', async () => {
  const day = generationOf(t.lane.nowMs());
  await t.redis.hset(KEYS.meta, 'dropped', day + 5, 'replid', 'x'.repeat(40));
  await open(t.state, TERM + 1);
  expect(Number(await t.redis.hget(KEYS.meta, 'dropped'))).toBe(day - 3);
});

it('days are forgotten one after the other, none before its holds have expired', async () => {
  const first = generationOf(t.lane.nowMs());
  await t.redis.hset(KEYS.meta, 'dropped', first - 1);
  await hold(madeId(), 2);
  await t.passSeconds(DAY_S);
  const committed = madeId();
  await hold(committed, 3);
  await t.submit(settle('commit', committed));
  await t.passSeconds(3 * DAY_S);
  expect(await forget()).toBe(0);
  expect(await sweep()).toBe(1);
  expect(await t.cells('X')).toEqual({ A: [7, 0, 3] });
  expect(await forget()).toBe(2);
  expect([...(await daysOfRecords())]).toEqual([]);
  expect(await forget()).toBe(0);
});
