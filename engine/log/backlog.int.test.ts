/** Looks at the backlog of a real lane on a real Redis, with marks as the persister leaves them. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { OperationAnswer } from '../redis/lane-port.ts';
import type { Operation } from '../redis/operation.ts';
import {
  KEYS,
  open,
  reserve,
  settle,
  startTestLane,
  TERM,
  type TestLane,
} from '../redis/testing/test-lane.ts';
import type { BacklogBound } from './backlog.ts';
import { type BacklogWatch, createBacklogWatch } from './backlog-watch.ts';
import { boundLane } from './bounded-lane.ts';

const ROOMY: BacklogBound = { bytesMax: 100_000_000, ageMsMax: 600_000 };

let t: TestLane;
let levels: string[];
let refused: string[];
beforeEach(async () => {
  t = await startTestLane();
  await t.receive({ 'X@A': 1_000_000 });
  levels = [];
  refused = [];
});
afterEach(() => t.stop());

function watching(bound: BacklogBound): BacklogWatch {
  return createBacklogWatch({
    ...{ redis: t.redis, lane: 0, bound },
    hooks: {
      onLevel: (level) => levels.push(level),
      onRefused: (request) => refused.push(request),
      onError: (error) => {
        throw error;
      },
    },
  });
}

const ask = (operation: Operation, lane = t.lane): Promise<OperationAnswer> =>
  new Promise((resolve) => lane.submit(operation, resolve));
const freshId = (): Buffer => t.ids.make(t.lane.nowMs(), 0);
const buy = (): Operation => reserve(freshId(), { 'X@A': 1 }, { fresh: true });

/** One entry a round, of so many reserves. */
async function sell(rounds: number, together: number): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    await Promise.all(Array.from({ length: together }, () => ask(buy())));
  }
}

/** As the persister marks what PostgreSQL has. */
const mark = (seq: number): Promise<unknown> =>
  t.redis.hset(KEYS.marks, 'persisted', `${TERM} ${seq}`);
const memory = async (samples: number): Promise<number> =>
  Number(await t.redis.call('MEMORY', 'USAGE', KEYS.log, 'SAMPLES', samples));

it('knows what waits, within a quarter, where a quiet hour is followed by a sale', async () => {
  const watch = watching(ROOMY);
  for (let i = 0; i < 10; i++) {
    await sell(60, 1);
    await watch.look();
  }
  for (let i = 0; i < 20; i++) {
    await sell(5, 400);
    await watch.look();
  }
  const { seq } = t.lane.seen();
  expect(watch.size.entries).toBe(seq);
  const exact = await memory(0);
  expect(watch.size.bytes / exact).toBeGreaterThan(0.8);
  expect(watch.size.bytes / exact).toBeLessThan(1.25);
  // An engine that starts now has nothing but samples of all.
  const late = watching(ROOMY);
  await late.look();
  expect(late.size.entries).toBe(seq);
  expect(late.size.bytes / exact).toBeGreaterThan(0.5);
  expect(late.size.bytes / exact).toBeLessThan(2);
  // Why Redis is not asked: it looks at the oldest nodes.
  expect((await memory(5)) / exact).toBeLessThan(0.5);
});

it('counts from what PostgreSQL has of this epoch, and reads no mark of another one', async () => {
  const watch = watching(ROOMY);
  await sell(20, 1);
  const { seq } = t.lane.seen();
  await mark(seq - 5);
  await watch.look();
  expect(watch.size.entries).toBe(5);
  await mark(seq);
  await watch.look();
  expect(watch.size).toMatchObject({ entries: 0, bytes: 0, ageMs: 0 });
  // Recovery opens when PostgreSQL has everything, whether or not anybody has marked it.
  await open(t.state, TERM + 1);
  await sell(2, 1);
  await watch.look();
  expect(watch.size.entries).toBe(t.lane.seen().seq);
  expect(t.lane.seen().epoch).toBe(TERM + 1);
});

it('knows how old the oldest is, also when it starts; a clock that jumps ages nothing', async () => {
  await sell(1, 1);
  const watch = watching(ROOMY);
  await watch.look();
  await sell(1, 1);
  await mark(t.lane.seen().seq - 1);
  await watch.look();
  expect(watch.size.entries).toBe(1);
  await t.passSeconds(700);
  await watch.look();
  expect(watch.size.ageMs).toBeLessThan(600_000);
  expect(levels).toEqual([]);
  // What was there before it started is as old as lane time says.
  const late = watching(ROOMY);
  await late.look();
  expect(late.size.ageMs).toBeGreaterThanOrEqual(700_000);
  expect(late.level).toBe('full');
});

it('says each level once, and refuses by the replies alone, without another look', async () => {
  const held = freshId();
  await ask(reserve(held, { 'X@A': 1 }));
  await mark(t.lane.seen().seq);
  const watch = watching({ bytesMax: 40_000, ageMsMax: 600_000 });
  await watch.look();
  const lane = boundLane(t.lane, watch);
  await sell(10, 1);
  await watch.look();
  expect(levels).toEqual([]);
  let sold = 0;
  while ((await ask(buy(), lane)).outcome === 'created') sold++;
  expect(sold).toBeGreaterThan(50);
  expect(watch.fault()).toMatch(/^full: /);
  expect(await memory(0)).toBeLessThan(48_000);
  const answer = await ask(buy(), lane);
  expect(answer).toMatchObject({ outcome: 'log_full', retryAfterMs: 5_000 });
  expect((await lane.defineProducts([])).outcome).toBe('log_full');
  expect((await ask({ kind: 'extend', id: held, ttlS: 60 }, lane)).outcome).toBe('log_full');
  // What ends a hold passes.
  expect((await ask(settle('commit', held), lane)).outcome).toBe('committed');
  expect((await lane.expire(10)).outcome).toBe('expired');
  expect(refused).toEqual(['reserve', 'reserve', 'stock', 'extend']);
  for (let i = 0; i < 3; i++) await watch.look();
  expect(levels).toEqual(['full']);
  await mark(t.lane.seen().seq);
  for (let i = 0; i < 3; i++) await watch.look();
  expect(levels).toEqual(['full', 'calm']);
  expect((await ask(buy(), lane)).outcome).toBe('created');
});

it('keeps what it knows while the lane is closed, and leaves the answer to the lane', async () => {
  const watch = watching({ bytesMax: 4_096, ageMsMax: 600_000 });
  await sell(100, 1);
  await watch.look();
  expect(watch.level).toBe('hard');
  await t.state.claim(TERM + 1);
  await watch.look();
  expect(watch.level).toBe('hard');
  const lane = boundLane(t.lane, watch);
  expect((await ask({ kind: 'inspect', id: freshId() }, lane)).outcome).toBe('fenced');
});

it('counts entries behind one that is none of ours, whose age nobody can say', async () => {
  const { seq } = t.lane.seen();
  await t.redis.xadd(KEYS.log, `${TERM}-${seq + 1}`, 'e', 'not an entry');
  await t.redis.hset(KEYS.meta, 'seq', String(seq + 1));
  await mark(seq);
  const watch = watching(ROOMY);
  await watch.look();
  expect(watch.size).toMatchObject({ entries: 1, ageMs: 0 });
});
