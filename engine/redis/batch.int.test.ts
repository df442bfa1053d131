/**
 * What holds for a batch as a whole, on a real Redis: a script that dies half way closes the lane,
 * an item that was refused keeps nothing from its neighbours, and every entry names the one before.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addressOf, packId } from '../domain/reservation-id.ts';
import { foldLog } from '../testing/auditor/fold.ts';
import type { Operation } from './operation.ts';
import {
  KEYS,
  reserve,
  retaking,
  settle,
  startTestLane,
  TERM,
  type TestLane,
} from './testing/test-lane.ts';

let t: TestLane;
beforeEach(async () => {
  t = await startTestLane();
  await t.receive({ 'X@A': 10 });
});
afterEach(() => t.stop());

const inOneBatch = async (...operations: Operation[]): Promise<string[]> => {
  const results = await Promise.all(operations.map((operation) => t.submit(operation)));
  // A batch whose script died has no stamps.
  expect(results.map(({ outcome }) => outcome)).not.toContain('store_unavailable');
  expect(new Set(results.map(({ stamp }) => stamp.seq)).size, 'one batch').toBe(1);
  return results.map(({ outcome }) => outcome);
};

const stateOfLane = async () => {
  const { last, halfDone, entries } = await t.state.tail({ epoch: TERM, seq: 0 }, 100);
  return { position: last.seq, halfDone, entries: entries.map(({ seq }) => seq) };
};

describe('a script that dies half way', () => {
  // Nothing is read where a fresh id's record will stand, nor of the deadlines: the first command
  // that meets a key of the wrong type there is a write.
  const made = (): Buffer => t.ids.make(t.lane.nowMs(), 0);
  const recordKey = (id: Buffer): string => {
    const { generation, bucket } = addressOf(id);
    return KEYS.hold(generation, bucket);
  };

  it.each([
    ['at a record', recordKey],
    ['at a deadline', () => KEYS.deadlines],
  ])('%s closes the lane, and its entry says what it did', async (_, poisoned) => {
    const id = made();
    const before = await stateOfLane();
    await t.redis.set(poisoned(id), 'of another type');
    const dying = reserve(id, { 'X@A': 2 }, { fresh: true });
    expect((await t.submit(dying)).outcome).toBe('store_unavailable');
    await t.redis.del(poisoned(id));
    expect(await stateOfLane()).toEqual({
      position: before.position,
      halfDone: true,
      entries: [...before.entries, before.position + 1],
    });
    const client = packId('client');
    expect((await t.submit(reserve(client, { 'X@A': 1 }))).outcome).toBe('fenced');
    expect((await t.submit({ kind: 'inspect', id: client })).outcome).toBe('fenced');
    expect((await t.submit(settle('commit', client))).outcome).toBe('fenced');
    expect(await t.state.trim({ epoch: TERM, seq: before.position }, 0)).toBe(-1);
    expect(new Set(t.fences)).toEqual(new Set(['half_done']));
  });
});

describe('within one batch', () => {
  it('a cart that was refused keeps nothing of what it took', async () => {
    await t.receive({ 'Y@A': 1 });
    expect(
      await inOneBatch(
        reserve(packId('cart'), { 'X@A': 10, 'Y@A': 2 }),
        reserve(packId('anywhere'), { X: 9, 'Y@A': 2 }),
        reserve(packId('last'), { 'X@A': 10, 'Y@A': 1 }),
        reserve(packId('late'), { 'X@A': 1 }),
      ),
    ).toEqual(['insufficient', 'insufficient', 'created', 'insufficient']);
    expect(await t.cells('X')).toEqual({ A: [0, 10, 0] });
    expect(await t.cells('Y')).toEqual({ A: [0, 1, 0] });
  });

  it('a line that is short gives back what it took, and the next buyer has it', async () => {
    await t.receive({ 'X@B': 5 });
    expect(
      await inOneBatch(
        reserve(packId('short'), { 'X@A,B': 16 }),
        reserve(packId('all'), { 'X@A,B': 15 }),
      ),
    ).toEqual(['insufficient', 'created']);
    expect(await t.cells('X')).toEqual({ A: [0, 10, 0], B: [0, 5, 0] });
  });

  it('every reserve leaves its record, whichever hash it stands in', async () => {
    const ids = Array.from({ length: 8 }, () => t.ids.make(t.lane.nowMs(), 0));
    await inOneBatch(...ids.map((each) => reserve(each, { 'X@A': 1 }, { fresh: true })));
    const found = await Promise.all(ids.map((each) => t.submit({ kind: 'inspect', id: each })));
    expect(found.map(({ outcome }) => outcome)).toEqual(ids.map(() => 'exists'));
  });

  it('units are sold to the last one, and not one more', async () => {
    const buy = (quantity: number): Operation =>
      reserve(t.ids.make(t.lane.nowMs(), 0), { 'X@A': quantity }, { fresh: true });
    expect(await inOneBatch(buy(7), buy(4), buy(3), buy(1))).toEqual([
      'created',
      'insufficient',
      'created',
      'insufficient',
    ]);
    expect(await t.cells('X')).toEqual({ A: [0, 10, 0] });
  });

  it('one id is reserved once, and settled once', async () => {
    const id = packId('twice');
    expect(await inOneBatch(reserve(id, { 'X@A': 3 }), reserve(id, { 'X@A': 3 }))).toEqual([
      'created',
      'exists',
    ]);
    expect(
      await inOneBatch(settle('release', id), settle('release', id), settle('commit', id)),
    ).toEqual(['released', 'released', 'already_released']);
    expect(await t.cells('X')).toEqual({ A: [10, 0, 0] });
  });
});

describe('a hold that is over', () => {
  const take = { 'X@A': 2 };

  it('is not taken again when it was released', async () => {
    const id = packId('released');
    await t.submit(reserve(id, take));
    await t.submit(settle('release', id));
    expect((await t.submit(retaking(id, take))).outcome).toBe('already_released');
    expect(await t.cells('X')).toEqual({ A: [10, 0, 0] });
  });

  it('is lost when its units are sold', async () => {
    const id = packId('expired');
    await t.submit(reserve(id, take, { ttlS: 60 }));
    await t.passSeconds(62);
    await t.lane.expire(100);
    await t.submit(reserve(packId('other'), { 'X@A': 9 }));
    expect((await t.submit(retaking(id, take))).outcome).toBe('hold_lost');
    expect(await t.cells('X')).toEqual({ A: [1, 9, 0] });
  });
});

describe('the log of a lane', () => {
  it('is one chain whose changes make its balances', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => packId(name)) as [Buffer, Buffer, Buffer];
    await t.submit(reserve(a, { 'X@A': 4 }, { ttlS: 60 }));
    await t.submit(reserve(b, { 'X@A': 2 }));
    await t.submit(reserve(c, { X: 1 }));
    await t.submit(settle('commit', b, { X: 1 }, { commitFingerprint: 5 }));
    await t.submit({ kind: 'extend', id: c, ttlS: 900 });
    await t.passSeconds(62);
    await t.lane.expire(100);
    await t.submit(settle('ship', b));
    await t.submit(settle('release', c));
    const { entries } = await t.state.tail({ epoch: 0, seq: 0 }, 1_000);
    const fold = foldLog(entries.map(({ bytes }) => bytes));
    expect(fold.violations).toEqual([]);
    expect(fold.cell('X', 'A')).toMatchObject({
      available: 9,
      reserved: 0,
      allocated: 0,
      shipped: 1,
    });
    expect(await t.cells('X')).toEqual({ A: [9, 0, 0] });
  });
});
