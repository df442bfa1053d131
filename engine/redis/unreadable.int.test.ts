/**
 * A cell or a record that was written over fails what needs it, alone: on a real Redis, each way in
 * which an operation may meet one. `unreadable.prop.test.ts` has the batch of 64 beside it.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CellField, Sku } from '../domain/ids.ts';
import { addressOf, fieldOf, generationOf, packId } from '../domain/reservation-id.ts';
import { isRefusal, type OperationAnswer } from './lane-port.ts';
import type { Operation } from './operation.ts';
import {
  KEYS,
  reserve,
  retaking,
  settle,
  startTestLane,
  stockOperation,
  TERM,
  type TestLane,
} from './testing/test-lane.ts';
import { nameOf, tellOnce } from './unreadable.ts';

/** A whole cell but for its last byte. */
const BROKEN = Buffer.from('0005000002', 'hex').subarray(0, 4);
const RETRY_S = 31;
const [X, HELD, OTHER] = ['X' as Sku, packId('held'), packId('other')];

let t: TestLane;
beforeEach(async () => {
  t = await startTestLane();
  await t.receive({ 'X@A': 10, 'X@B': 10, 'Y@A': 10 });
});
afterEach(() => t.stop());

const breakCell = (sku = 'X', field = 'A', bytes = BROKEN) =>
  t.redis.hset(KEYS.stock(sku), field, bytes);
const cellBytes = (sku = 'X', field = 'A') => t.redis.hgetBuffer(KEYS.stock(sku), field);
const cells = async () => ({ X: await t.cells('X'), Y: await t.cells('Y') });

function placeOf(id: Buffer): [key: string, field: Buffer] {
  const { generation: own, bucket } = addressOf(id);
  const generation = own === 0 ? generationOf(t.lane.nowMs()) : own;
  return [KEYS.hold(generation, bucket), fieldOf(id, { lane: KEYS.lane, generation, bucket })];
}

const outcomes = async (...operations: Operation[]): Promise<string[]> =>
  (await Promise.all(operations.map((each) => t.submit(each)))).map(({ outcome }) => outcome);

const detailOf = async (operation: Operation): Promise<string> => {
  const answer = (await t.submit(operation)) as OperationAnswer;
  return isRefusal(answer) ? answer.detail : answer.outcome;
};

const entries = async (): Promise<number> => Number(await t.redis.xlen(KEYS.log));

/** Sweeps until nothing is due at once. */
async function sweep(): Promise<{ expired: number; putOff: number }> {
  const sum = { expired: 0, putOff: 0 };
  for (let slices = 0; slices < 100; slices++) {
    const reply = await t.lane.expire(512);
    if (reply.outcome !== 'expired') throw new Error(reply.detail);
    sum.expired += reply.expired;
    sum.putOff += reply.putOff;
    if (!reply.more) return sum;
  }
  throw new Error('the sweep does not end');
}

describe('a cell that cannot be read', () => {
  it('is named, with what to do, and its neighbours sell in the same entry', async () => {
    await breakCell();
    const before = await entries();
    expect(
      await outcomes(
        reserve(packId('x'), { 'X@A': 1 }),
        reserve(packId('y'), { 'Y@A': 1 }),
        reserve(t.ids.make(t.lane.nowMs(), 0), { 'X@A': 1 }, { fresh: true }),
        reserve(t.ids.make(t.lane.nowMs(), 0), { 'X@B': 1 }, { fresh: true }),
        reserve(packId('both'), { 'Y@A': 1, 'X@A': 1 }),
      ),
    ).toEqual(['unreadable', 'created', 'unreadable', 'created', 'unreadable']);
    expect(await entries()).toBe(before + 1);
    expect(await detailOf(reserve(packId('x'), { 'X@A': 1 }))).toBe(
      'Redis has the cell A of X no more, or it cannot be read. To repair it: ' +
        'holdfast reconcile --sku X --apply',
    );
    expect(await cellBytes()).toEqual(BROKEN);
    expect(await outcomes({ kind: 'inspect', id: packId('both') })).toEqual(['not_found']);
    expect((await cells()).Y).toEqual({ A: [9, 1, 0] });
  });

  it('is passed by where another cell serves, and never makes a sold out', async () => {
    await breakCell();
    expect(
      await outcomes(
        reserve(packId('ranked'), { 'X@A,B': 4 }),
        reserve(packId('any'), { X: 4 }),
        reserve(packId('partial'), { X: 5 }, { partial: true }),
        reserve(packId('more'), { X: 1 }),
        reserve(packId('more partial'), { X: 1 }, { partial: true }),
        reserve(packId('more ranked'), { 'X@B,A': 1 }),
        reserve(packId('sold out'), { 'X@B': 1 }),
        reserve(packId('unknown'), { 'X@A': 1, 'nobody@A': 1 }),
      ),
    ).toEqual([
      ...['created', 'created', 'created'],
      ...['unreadable', 'unreadable', 'unreadable', 'insufficient', 'unknown_sku'],
    ]);
    expect(await t.cells('X')).toMatchObject({ B: [0, 10, 0] });
  });

  it('leaves a hold on it undecided, whole, and settles it when it is repaired', async () => {
    await outcomes(reserve(HELD, { 'X@A': 2, 'Y@A': 2 }), reserve(OTHER, { 'Y@A': 1 }));
    await outcomes(settle('commit', OTHER));
    const good = (await cellBytes()) ?? Buffer.alloc(0);
    for (const destroy of [
      () => breakCell(),
      () => breakCell('X', 'A', Buffer.alloc(0)),
      () => t.redis.hdel(KEYS.stock('X'), 'A'),
      () => t.redis.set(KEYS.stock('X'), 'no hash'),
    ]) {
      await destroy();
      const before = [await entries(), await t.redis.hgetallBuffer(KEYS.stock('Y'))];
      expect(
        await outcomes(settle('commit', HELD), settle('release', HELD), settle('ship', HELD)),
      ).toEqual(['unreadable', 'unreadable', 'not_committed']);
      expect([await entries(), await t.redis.hgetallBuffer(KEYS.stock('Y'))]).toEqual(before);
    }
    // What does not need the cell goes on.
    expect(await outcomes(settle('ship', OTHER), { kind: 'inspect', id: HELD })).toEqual([
      'shipped',
      'exists',
    ]);
    expect(await outcomes({ kind: 'extend', id: HELD, ttlS: 900 })).toEqual(['extended']);
    await t.redis.del(KEYS.stock('X'));
    await t.redis.hset(KEYS.stock('X'), '', '', 'A', good);
    expect(await outcomes(settle('commit', HELD))).toEqual(['committed']);
    expect(await t.cells('X')).toEqual({ A: [8, 0, 2] });
    await breakCell();
    const part = { operationKey: Buffer.from('12345678') };
    expect(
      await outcomes(
        settle('commit', HELD),
        settle('cancel', HELD, { 'X@A': 1 }, part),
        settle('ship', HELD, { 'Y@A': 1 }, part),
        settle('cancel', HELD),
      ),
    ).toEqual(['committed', 'unreadable', 'shipped', 'unreadable']);
  });

  it('makes no hold_lost of a commit that may take its units again', async () => {
    await outcomes(reserve(HELD, { 'X@A': 2, 'Y@A': 1 }, { ttlS: 1 }));
    await t.passSeconds(2);
    expect(await sweep()).toEqual({ expired: 1, putOff: 0 });
    await breakCell();
    const commit = retaking(HELD, { 'Y@A': 1, 'X@A': 2 });
    expect(await outcomes(commit)).toEqual(['unreadable']);
    expect(await outcomes(reserve(OTHER, { 'Y@A': 10 }))).toEqual(['created']);
  });

  it('refuses stock operations on it, all lines, also a repeat; others are applied', async () => {
    const receive = (id: string, field: string) => {
      const lines = ['B', field].map((each) => ({ sku: X, field: each as CellField, delta: 5 }));
      return t.lane.stock(stockOperation(packId(id), lines));
    };
    expect((await receive('done', 'A')).outcome).toBe('applied');
    await breakCell();
    const before = await t.cells('X');
    expect((await receive('new', 'A')).outcome).toBe('unreadable');
    expect((await receive('done', 'A')).outcome).toBe('unreadable');
    expect(await t.cells('X')).toEqual(before);
    expect((await receive('beside', 'C')).outcome).toBe('applied');
  });

  it('is marked in availability, whatever stands there, and the others are shown', async () => {
    const marked = (bytes: Buffer | undefined) => ({
      ...{ sku: 'X', known: true, unreadable: true },
      cells: bytes && [
        { field: 'A', available: 0, reserved: 0, allocated: 0, version: 0, unreadable: true },
        { field: 'B', available: 10, reserved: 0, allocated: 0, version: 1 },
      ],
    });
    for (const bytes of [BROKEN, Buffer.alloc(0), Buffer.alloc(70_000, 1)]) {
      await breakCell('X', 'A', bytes);
      const view = await t.lane.availability([X, 'Y' as Sku]);
      if (view.outcome !== 'applied') throw new Error(view.detail);
      const [x, y] = view.skus;
      const sorted = x?.cells.toSorted((a, b) => a.field.localeCompare(b.field));
      expect({ ...x, cells: sorted }).toMatchObject(marked(bytes));
      expect(y?.cells).toEqual([
        { field: 'A', available: 10, reserved: 0, allocated: 0, version: 1 },
      ]);
    }
    await t.redis.set(KEYS.stock('X'), 'no hash');
    expect(await t.lane.availability([X])).toMatchObject({
      skus: [{ ...marked(undefined), cells: [] }],
    });
    expect(await outcomes(reserve(HELD, { X: 1 }), reserve(OTHER, { 'X@A': 1 }))).toEqual([
      'unreadable',
      'unreadable',
    ]);
  });

  it('does not keep the sweeper from the other holds, and its own end when it is repaired', async () => {
    await t.receive({ 'X@A': 2_000, 'Y@A': 2_000 });
    const buy = (at: string) =>
      reserve(t.ids.make(t.lane.nowMs(), 0), { [at]: 1 }, { fresh: true, ttlS: 1 });
    // More than the sweeper looks at in one slice, before and behind the others.
    const holds = Array.from({ length: 1_500 }, (_, i) => buy(i % 500 === 9 ? 'Y@A' : 'X@A'));
    expect(new Set(await outcomes(...holds))).toEqual(new Set(['created']));
    const good = (await cellBytes()) ?? Buffer.alloc(0);
    await breakCell();
    await t.passSeconds(2);
    expect(await sweep()).toEqual({ expired: 3, putOff: 1_497 });
    expect(await sweep(), 'not at once again').toEqual({ expired: 0, putOff: 0 });
    expect((await t.cells('Y')).A).toEqual([2_010, 0, 0]);
    await t.passSeconds(RETRY_S);
    expect(await sweep()).toEqual({ expired: 0, putOff: 1_497 });
    await t.redis.hset(KEYS.stock('X'), 'A', good);
    await t.passSeconds(RETRY_S);
    expect(await sweep()).toEqual({ expired: 1_497, putOff: 0 });
    expect((await t.cells('X')).A).toEqual([2_010, 0, 0]);
    expect(await t.redis.zcard(KEYS.deadlines)).toBe(0);
  });
});

describe('a record that cannot be read', () => {
  it.each([
    ['empty', () => Buffer.alloc(0)],
    ['cut off', (good: Buffer) => good.subarray(0, -1)],
    ['with more behind it', (good: Buffer) => Buffer.concat([good, Buffer.from([0])])],
    ['of no state', (good: Buffer) => Buffer.concat([Buffer.from([77]), good.subarray(1)])],
    [
      'the head of a cart that is gone',
      (good: Buffer) => Buffer.concat([Buffer.from([129]), good]),
    ],
    ['of a stock operation', (good: Buffer) => Buffer.concat([Buffer.from([9]), good.subarray(1)])],
    ['a word', () => Buffer.from('\x01 not a record')],
  ])('%s: is refused alone, for every verb', async (_, damage) => {
    await outcomes(reserve(HELD, { 'X@A': 2 }, { ttlS: 1 }));
    const [key, field] = placeOf(HELD);
    const good = (await t.redis.hgetBuffer(key, field)) ?? Buffer.alloc(0);
    const bad = damage(good);
    await t.redis.hset(key, field, bad);
    const before = await cells();
    expect(
      await outcomes(
        settle('commit', HELD),
        settle('release', HELD),
        { kind: 'inspect', id: HELD },
        { kind: 'extend', id: HELD, ttlS: 900 },
        settle('release', OTHER),
      ),
    ).toEqual([...Array<string>(4).fill('unreadable'), 'not_found']);
    expect(
      await outcomes(
        reserve(HELD, { 'X@A': 2 }, { ttlS: 1 }),
        reserve(HELD, { 'X@A': 3 }),
        reserve(OTHER, { 'Y@A': 1 }, { ttlS: 1 }),
      ),
    ).toEqual(['unreadable', 'unreadable', 'created']);
    expect(await detailOf(settle('commit', HELD))).toMatch(
      /the record of held .*: holdfast reconcile --apply$/,
    );
    expect((await cells()).X).toEqual(before.X);
    expect(await t.redis.hgetBuffer(key, field)).toEqual(bad);
    await t.passSeconds(2);
    expect((await sweep()).expired, 'the other one').toBe(1);
    await t.redis.hset(key, field, good);
    await t.passSeconds(RETRY_S);
    expect((await sweep()).expired).toBe(1);
    expect(await cells()).toEqual({ X: { A: [10, 0, 0], B: [10, 0, 0] }, Y: { A: [10, 0, 0] } });
  });

  it('of a stock operation: its repeat is not applied again', async () => {
    const id = packId('receipt');
    const receive = () =>
      t.lane.stock(stockOperation(id, [{ sku: X, field: 'A' as CellField, delta: 5 }]));
    expect((await receive()).outcome).toBe('applied');
    const [key, field] = placeOf(id);
    await t.redis.hset(key, field, 'x');
    expect((await receive()).outcome).toBe('unreadable');
    expect((await t.cells('X')).A).toEqual([15, 0, 0]);
  });

  it('its hash is another key: who asks is told, the lane stays open', async () => {
    await outcomes(reserve(HELD, { 'X@A': 2 }));
    const [key] = placeOf(HELD);
    await t.redis.set(key, 'no hash');
    expect(await outcomes(settle('commit', HELD), reserve(HELD, { 'X@A': 2 }))).toEqual([
      'unreadable',
      'unreadable',
    ]);
    expect((await t.state.tail({ epoch: TERM, seq: 0 }, 1)).halfDone).toBe(false);
  });
});

describe('the log', () => {
  it('has one line for each cell in ten minutes, and forgets what is old', () => {
    let now = 0;
    const isNews = tellOnce(() => now);
    const cell = (field: string) => ({ kind: 'cell', sku: X, field: field as CellField }) as const;
    expect([isNews(cell('A')), isNews(cell('A')), isNews(cell('B'))]).toEqual([true, false, true]);
    now = 600_000;
    expect([isNews(cell('A')), isNews(cell('A'))]).toEqual([true, false]);
    const many = Array.from({ length: 2_000 }, (_, i) => isNews(cell(`W${i}`)));
    expect(many.filter((told) => told).length).toBe(999);
    expect(nameOf(cell(''))).toBe('the stock of X');
  });
});
