/**
 * Reserves under ids that a client's key makes, in runs, on a real Redis: what a look finds, in every form,
 * and the neighbours that it must not touch. `runs.prop.test.ts` has the mixes.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  addressOf,
  BLOCK_BUCKETS,
  BUCKET_DIGITS,
  BUCKETS,
  digestId,
  GENERATION_MS,
  generationOf,
  packId,
} from '../domain/reservation-id.ts';
import type { Lane } from './lane-port.ts';
import type { Operation, ReserveOperation } from './operation.ts';
import {
  KEYS,
  open,
  prepareBatch,
  reserve,
  startTestLane,
  TERM,
  type TestLane,
} from './testing/test-lane.ts';

const DAY_S = GENERATION_MS / 1_000;
/** Lane time stands while the clock of Redis is behind it. */
const FAR_MS = 4_000_000_000_000;

let t: TestLane;
beforeEach(async () => {
  t = await startTestLane();
  await t.receive({ 'X@A': 100, 'Y@A': 100 });
});
afterEach(() => t.stop());

const idOf = (key: string): Buffer => packId(digestId('ik_', 'test', key));
const buy = (key: string, more: Partial<ReserveOperation> = {}): ReserveOperation =>
  reserve(idOf(key), { 'X@A': 1 }, more);
const outcomesOf = async (operations: readonly ReserveOperation[], lane?: Lane) =>
  (await Promise.all(operations.map((each) => t.submit(each, lane)))).map(({ outcome }) => outcome);
async function send(script: 'submit' | 'settle', operations: readonly Operation[]) {
  const { batch, arrive } = prepareBatch(t, operations);
  return { batch, answers: await arrive(script) };
}

const bucketKey = (key: string, generation = generationOf(t.lane.nowMs())): string =>
  KEYS.hold(generation, addressOf(idOf(key)).bucket);

it('has a number of as many digits for each of their buckets', () => {
  expect([BLOCK_BUCKETS, BUCKETS - 1].map((each) => String(each).length)).toEqual([
    BUCKET_DIGITS,
    BUCKET_DIGITS,
  ]);
});

it('is one entry for all of them, as of fresh ids', async () => {
  const before = (await t.entries()).length;
  const keys = Array.from({ length: 64 }, (_, i) => `k${i}`);
  expect(new Set(await outcomesOf(keys.map((key) => buy(key))))).toEqual(new Set(['created']));
  const entries = (await t.entries()).slice(before);
  expect(entries.map(({ changes }) => changes.length)).toEqual([64]);
  expect(await t.cells('X')).toEqual({ A: [36, 64, 0] });
});

it('is exactly one hold a key when several engines are asked at once', async () => {
  const lanes = Array.from({ length: 4 }, () => t.connectLane());
  // An engine that has not seen the lane yet has no runs that are in time.
  await Promise.all(lanes.map((lane) => lane.availability([])));
  const keys = Array.from({ length: 40 }, (_, i) => `k${i % 20}`);
  const all = await Promise.all(
    lanes.map((lane) =>
      outcomesOf(
        keys.map((key) => buy(key)),
        lane,
      ),
    ),
  );
  const outcomes = all.flat();
  expect(outcomes.filter((each) => each === 'created')).toHaveLength(20);
  expect(outcomes.filter((each) => each === 'exists')).toHaveLength(140);
  expect(await t.cells('X')).toEqual({ A: [80, 20, 0] });
});

it('is held once where one batch has a key several times, whatever is asked under it', async () => {
  const other = { fingerprint: Buffer.from('another!') };
  await t.lane.availability([]);
  expect(await outcomesOf([buy('a'), buy('b'), buy('a', other), buy('a')])).toEqual([
    'created',
    'created',
    'exists_with_different_payload',
    'exists',
  ]);
  expect(await t.cells('X')).toEqual({ A: [98, 2, 0] });
  const more = reserve(idOf('c'), { 'X@A': 99 });
  expect(await outcomesOf([more, more])).toEqual(['insufficient', 'insufficient']);
});

describe('beside one whose record is', () => {
  const OTHERS = ['a', 'b', 'c'];
  const amongOthers = async () => {
    const [first, own, ...more] = await outcomesOf(['a', 'known', 'b', 'c'].map((key) => buy(key)));
    expect([first, ...more]).toEqual(OTHERS.map(() => 'created'));
    return own;
  };

  it('held by the same', async () => {
    await outcomesOf([buy('known')]);
    expect(await amongOthers()).toBe('exists');
  });

  it('held by another payload', async () => {
    await outcomesOf([buy('known', { fingerprint: Buffer.from('another!') })]);
    expect(await amongOthers()).toBe('exists_with_different_payload');
  });

  it('a cart too great for its bucket', async () => {
    const skus = Array.from({ length: 20 }, (_, i) => `A-SKU-OF-A-LONG-NAME-${i}@A`);
    await t.receive(Object.fromEntries(skus.map((each) => [each, 5])));
    const lines = Object.fromEntries(skus.map((each) => [each, 1]));
    await outcomesOf([reserve(idOf('known'), lines)]);
    expect(await amongOthers()).toBe('exists');
  });

  it('written over', async () => {
    await t.redis.hset(bucketKey('known'), idOf('known'), 'no record');
    expect(await amongOthers()).toBe('unreadable');
  });

  it('in a key that is no hash', async () => {
    await t.redis.set(bucketKey('known'), 'no bucket');
    expect(await amongOthers()).toBe('unreadable');
  });

  it('of yesterday', async () => {
    await outcomesOf([buy('known', { ttlS: 2 * DAY_S })]);
    await t.passSeconds(DAY_S);
    // The engine has not seen the new day: nothing is decided in a run.
    expect(await amongOthers()).toBe('exists');
    expect(await outcomesOf(['d', 'known', 'e'].map((key) => buy(key)))).toEqual([
      'created',
      'exists',
      'created',
    ]);
  });
});

it('takes nothing under a key whose hold lives in a day that nobody looks at', async () => {
  await outcomesOf([buy('old')]);
  await t.passSeconds(3 * DAY_S);
  await t.lane.availability([]);
  const [other, old] = await outcomesOf([buy('other'), buy('old')]);
  expect([other, old]).toEqual(['created', 'undecided']);
  expect(await t.cells('X')).toEqual({ A: [98, 2, 0] });
});

it('is decided by itself, in the day that it is, when its engine still thinks of the one before', async () => {
  const midnight = Math.ceil(FAR_MS / GENERATION_MS) * GENERATION_MS;
  await t.redis.hset(KEYS.meta, 'time', midnight - 300);
  await t.lane.availability([]);
  await t.redis.hset(KEYS.meta, 'time', midnight + 300);
  const keys = ['a', 'b', 'c'];
  const outcomes = await outcomesOf(keys.map((key) => buy(key)));
  expect(outcomes).toEqual(['created', 'created', 'created']);
  const today = generationOf(midnight);
  for (const key of keys) {
    expect(await t.redis.hexists(bucketKey(key, today), idOf(key)), key).toBe(1);
  }
  const reserved = (await t.entries()).flatMap(({ changes }) =>
    changes.filter((each) => each.type === 'reserved'),
  );
  expect(reserved.map(({ generation }) => generation)).toEqual([today, today, today]);
  await t.redis.hset(KEYS.meta, 'time', midnight + 700_000);
  expect(await t.lane.expire(512)).toMatchObject({ outcome: 'expired', expired: 3 });
  expect(await t.cells('X')).toEqual({ A: [100, 0, 0] });
});

it('is decided by itself when it comes late, and nobody notices', async () => {
  const engine = t.connectLane();
  expect(await outcomesOf([buy('a')], engine)).toEqual(['created']);
  await t.passSeconds(600);
  expect(await outcomesOf([buy('b'), buy('c')], engine)).toEqual(['created', 'created']);
  await open(t.state, TERM + 1);
  expect(await outcomesOf([buy('b'), buy('d')], engine)).toEqual(['exists', 'created']);
});

it('is told to its own buyer alone when the keys of two look alike', async () => {
  const [one, other] = ['01', '02'].map((end) => packId(`ik_${'ab'.repeat(15)}${end}`));
  const wanted = [one, other, other, one].map((id) => reserve(id ?? Buffer.alloc(0), { 'X@A': 1 }));
  await t.lane.availability([]);
  expect(await outcomesOf(wanted)).toEqual(['created', 'created', 'exists', 'exists']);
  expect(await t.cells('X')).toEqual({ A: [98, 2, 0] });
});

it('goes out once a batch, however often it is asked, and counts what it is', async () => {
  const keys = Array.from({ length: 100 }, (_, i) => `k${i}`);
  const operations = [...keys, ...keys, 'k0'].map((key) => buy(key));
  const { batch, answers } = await send('submit', operations);
  expect(batch.runs.members).toHaveLength(100);
  expect(answers.results.map((each) => each?.outcome)).toEqual([
    ...keys.map(() => 'created'),
    ...keys.map(() => 'exists'),
    'exists',
  ]);
  // Half a reserve, half a look; half a cell.
  expect(answers.work).toBe(Math.ceil(100 * (1 / 2 + 1 / 2) + 1 / 2));
});

it('leaves those beside it in one change, as if it had not come', async () => {
  await t.lane.availability([]);
  const keys = Array.from({ length: 200 }, (_, i) => `k${i}`);
  const skus = ['X@A', 'Z@A'];
  await t.receive({ 'X@A': 300, 'Z@A': 300 });
  const wanted = keys.map((key, i) => reserve(idOf(key), { [skus[i % 2] ?? '']: 1 }));
  const known = wanted.filter((_, i) => i === 0 || i === 100 || (i > 120 && i < 135) || i === 199);
  await outcomesOf(known);
  const before = await t.redis.xlen(KEYS.log);
  const { answers } = await send('submit', wanted);
  const told = answers.results.map((each) => each?.outcome);
  expect(told).toEqual(wanted.map((each) => (known.includes(each) ? 'exists' : 'created')));
  expect(await t.redis.xlen(KEYS.log)).toBe(before + 1);
  const [last] = await t.redis.xrevrangeBuffer(KEYS.log, '+', '-', 'COUNT', 1);
  const made = wanted.length - known.length;
  // One by one each would take some 60.
  expect((last?.[1][1]?.length ?? 0) / made).toBeLessThan(40);
  expect(await t.cells('Z')).toMatchObject({ A: [300 - 100, 100, 0] });
});

it('is of its own cell in the entry where a cell before it gives nothing', async () => {
  await outcomesOf([buy('known')]);
  const { answers } = await send('submit', [buy('known'), reserve(idOf('a'), { 'Y@A': 1 })]);
  expect(answers.results.map((each) => each?.outcome)).toEqual(['exists', 'created']);
  const { cells, changes } = (await t.entries()).at(-1) ?? { cells: [], changes: [] };
  expect(cells.map(({ sku }) => sku)).toEqual(['Y']);
  expect(changes).toMatchObject([{ lines: [{ placements: [{ cell: 0 }] }] }]);
});

it('is written before what comes behind the runs has changed of it', async () => {
  const { answers } = await send('settle', [
    buy('a'),
    { kind: 'commit', id: idOf('a'), attributes: '' },
  ]);
  expect(answers.results.map((each) => each?.outcome)).toEqual(['created', 'committed']);
  expect(await t.submit({ kind: 'inspect', id: idOf('a') })).toMatchObject({
    record: { state: 'committed' },
  });
  expect(await t.cells('X')).toEqual({ A: [99, 0, 1] });
});

it('tells who comes behind the runs of the same batch what these hold', async () => {
  const cart = reserve(idOf('a'), { 'X@A': 1, 'Y@A': 1 });
  const [held, again, other] = await outcomesOf([
    buy('a'),
    cart,
    { ...cart, fingerprint: Buffer.from('another!') },
  ]);
  expect([held, again, other]).toEqual(['created', 'exists', 'exists_with_different_payload']);
  expect(await t.cells('X')).toEqual({ A: [99, 1, 0] });
  expect(await t.cells('Y')).toEqual({ A: [100, 0, 0] });
});
