/** How the scripts settle a hold, on a real Redis. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressOf, GENERATION_MS, generationOf, packId } from '../domain/reservation-id.ts';
import { KEYS, reserve, settle, startTestLane, type TestLane } from './testing/test-lane.ts';

let t: TestLane;
let names = 0;
/** A SKU and an id of their own for each test: nothing depends on what ran before. */
const newSku = (): string => `S${++names}`;
const newId = (): Buffer => packId(`client-${++names}`);

beforeAll(async () => {
  t = await startTestLane();
});
afterAll(() => t.stop());

describe('settlements', () => {
  const held = async (units = 4) => {
    const sku = newSku();
    const id = newId();
    await t.receive({ [`${sku}@A`]: 10 });
    await t.submit(reserve(id, { [`${sku}@A`]: units }));
    return { sku, id };
  };
  const key = (name: string) => Buffer.from(name.padEnd(8, '-'));

  it('commits part and frees the rest, for good', async () => {
    const { sku, id } = await held();
    const part = settle('commit', id, { [sku]: 3 }, { commitFingerprint: 7 });
    expect(await t.submit(part)).toMatchObject({ outcome: 'committed', replayed: false });
    expect(await t.cells(sku)).toEqual({ A: [7, 0, 3] });
    expect(await t.submit(part)).toMatchObject({ outcome: 'committed', replayed: true });
    expect((await t.submit(settle('commit', id))).outcome).toBe('already_committed');
    expect(await t.cells(sku)).toEqual({ A: [7, 0, 3] });
  });

  it('commits no more than is held', async () => {
    const { sku, id } = await held();
    const more = settle('commit', id, { [sku]: 5 }, { commitFingerprint: 7 });
    expect((await t.submit(more)).outcome).toBe('exceeds_reservation');
    const other = settle('commit', id, { other: 1 }, { commitFingerprint: 7 });
    expect((await t.submit(other)).outcome).toBe('exceeds_reservation');
    expect(await t.cells(sku)).toEqual({ A: [6, 4, 0] });
  });

  it('has one winner between commit, release and expiry, and the losers are told', async () => {
    const released = await held();
    await t.submit(settle('release', released.id));
    expect(await t.submit(settle('release', released.id))).toMatchObject({ replayed: true });
    expect((await t.submit(settle('commit', released.id))).outcome).toBe('already_released');
    const committed = await held();
    await t.submit(settle('commit', committed.id));
    expect((await t.submit(settle('release', committed.id))).outcome).toBe('already_committed');
    expect((await t.submit({ kind: 'extend', id: committed.id, ttlS: 9 })).outcome).toBe(
      'already_committed',
    );
    expect((await t.submit(settle('commit', newId()))).outcome).toBe('not_found');
  });

  it('releases a part under its key once', async () => {
    const { sku, id } = await held();
    const part = settle('release', id, { [sku]: 1 }, { operationKey: key('r1') });
    expect(await t.submit(part)).toMatchObject({ outcome: 'released', replayed: false });
    expect(await t.submit(part)).toMatchObject({ outcome: 'released', replayed: true });
    expect(await t.cells(sku)).toEqual({ A: [7, 3, 0] });
    const other = settle('release', id, { [sku]: 2 }, { operationKey: Buffer.from('r1--else') });
    expect((await t.submit(other)).outcome).toBe('exists_with_different_payload');
  });

  it('ships and cancels parts until nothing is left, each once', async () => {
    const { sku, id } = await held();
    expect((await t.submit(settle('ship', id))).outcome).toBe('not_committed');
    await t.submit(settle('commit', id));
    const ship = settle('ship', id, { [sku]: 3 }, { operationKey: key('s1') });
    await t.submit(ship);
    expect(await t.submit(ship)).toMatchObject({ outcome: 'shipped', replayed: true });
    expect(await t.cells(sku)).toEqual({ A: [6, 0, 1] });
    const cancel = settle('cancel', id);
    expect(await t.submit(cancel)).toMatchObject({
      outcome: 'cancelled',
      record: { state: 'closed' },
    });
    expect(await t.cells(sku)).toEqual({ A: [7, 0, 0] });
    expect(await t.submit(cancel)).toMatchObject({ outcome: 'cancelled', replayed: true });
    expect(await t.submit(ship)).toMatchObject({ outcome: 'shipped', replayed: true });
    expect((await t.submit(settle('ship', id))).outcome).toBe('already_closed');
    expect(await t.submit(settle('commit', id))).toMatchObject({
      outcome: 'committed',
      replayed: true,
    });
  });

  it('extends up to the greatest age of a hold', async () => {
    const { id } = await held();
    const deadline = async (ttlS: number) => {
      const { outcome, record } = await t.submit({ kind: 'extend', id, ttlS });
      return { outcome, age: record?.state === 'held' ? record.deadlineS - record.createdS : 0 };
    };
    expect(await deadline(3_000)).toMatchObject({ outcome: 'extended' });
    expect(await deadline(90_000)).toEqual({ outcome: 'extended', age: 7_200 });
    expect(await deadline(90_000)).toMatchObject({ outcome: 'extend_limit_reached' });
  });

  it('tells the holds of one cart apart that are settled in one batch', async () => {
    const sku = newSku();
    await t.receive({ [`${sku}@A`]: 20 });
    const ids = Array.from({ length: 4 }, () => t.ids.make(t.lane.nowMs(), 0));
    await Promise.all(ids.map((id) => t.submit(reserve(id, { [`${sku}@A`]: 4 }))));
    const [first, second, third, last] = ids as [Buffer, Buffer, Buffer, Buffer];
    const before = (await t.entries()).length;
    const answers = await Promise.all(
      [
        settle('release', first, { [sku]: 1 }, { operationKey: key('r1') }),
        settle('release', second, { [sku]: 3 }, { operationKey: key('r2') }),
        settle('commit', third, { [sku]: 2 }, { commitFingerprint: 7 }),
        settle('commit', last),
        settle('commit', last),
        settle('release', first, { [sku]: 4 }, { operationKey: key('r3') }),
        settle('release', first),
      ].map((each) => t.submit(each)),
    );
    expect(answers.map(({ outcome, replayed }) => [outcome, replayed])).toEqual([
      ['released', false],
      ['released', false],
      ['committed', false],
      ['committed', false],
      ['committed', true],
      ['exceeds_reservation', false],
      ['released', false],
    ]);
    expect((await t.entries()).slice(before).map(({ changes }) => changes.length)).toEqual([5]);
    const units = answers.map(({ record }) =>
      record !== undefined && 'lines' in record
        ? record.lines.flatMap(({ placements }) => placements.map(({ quantity }) => quantity))
        : [],
    );
    expect(units).toEqual([[3], [1], [2], [4], [4], [], []]);
    expect(await t.cells(sku)).toEqual({ A: [13, 1, 6] });
  });

  it('goes on with the record of PostgreSQL when its own has left Redis', async () => {
    const { sku, id } = await held();
    const { record } = await t.submit(settle('commit', id));
    for (const found of await t.redis.keys('*hold:*')) await t.redis.hdel(found, id.toString());
    expect((await t.submit(settle('ship', id))).outcome).toBe('not_found');
    const adopting = settle('ship', id, undefined, record ? { adopt: record } : {});
    expect((await t.submit(adopting)).outcome).toBe('shipped');
    expect(await t.submit(settle('ship', id))).toMatchObject({ replayed: true });
    expect(await t.cells(sku)).toEqual({ A: [6, 0, 0] });
  });

  it('finds a record by what its bucket does not say of its id', async () => {
    const sku = newSku();
    await t.receive({ [`${sku}@A`]: 10 });
    const fieldsAt = (generation: number, bucket: number) =>
      t.redis.hkeysBuffer(KEYS.hold(generation, bucket));
    const id = t.ids.make(t.lane.nowMs(), 0);
    const { generation, bucket } = addressOf(id);
    await t.submit(reserve(id, { [`${sku}@A`]: 4 }, { fresh: true }));
    expect(await fieldsAt(generation, bucket)).toContainEqual(id.subarray(8));
    const { record } = await t.submit(settle('commit', id));
    await t.redis.del(KEYS.hold(generation, bucket));

    // Taken back into the day of its settlement, which its id does not name: there it stands whole.
    const old = t.ids.make(t.lane.nowMs() - 5 * GENERATION_MS, 0);
    const today = generationOf(t.lane.nowMs());
    const [ship, cancel] = (['ship', 'cancel'] as const).map((kind) =>
      settle(
        kind,
        old,
        { [sku]: 2 },
        { operationKey: key(kind), ...(record && { adopt: record }) },
      ),
    );
    if (ship === undefined || cancel === undefined) throw new Error('there are two');
    expect((await t.submit(ship)).outcome).toBe('shipped');
    expect(await fieldsAt(today, addressOf(old).bucket)).toEqual([old]);
    expect((await t.submit(cancel)).outcome).toBe('cancelled');
    expect(await t.submit(ship)).toMatchObject({ replayed: true });
    expect(await t.cells(sku)).toEqual({ A: [8, 0, 0] });
  });
});
