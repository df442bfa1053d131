/** How the scripts reserve, expire and move stock, on a real Redis. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CellField, Sku } from '../domain/ids.ts';
import { packId } from '../domain/reservation-id.ts';
import {
  KEYS,
  reserve,
  retaking,
  settle,
  startTestLane,
  stockOperation,
  type TestLane,
} from './testing/test-lane.ts';

let t: TestLane;
let names = 0;
/** A SKU and an id of their own for each test: nothing depends on what ran before. */
const newSku = (): string => `S${++names}`;
const newId = (): Buffer => packId(`client-${++names}`);

beforeAll(async () => {
  t = await startTestLane();
});
afterAll(() => t.stop());

describe('reserve', () => {
  it('takes from the first named cell that has all', async () => {
    const sku = newSku();
    await t.receive({ [`${sku}@A`]: 3, [`${sku}@B`]: 10 });
    const { outcome, record } = await t.submit(reserve(newId(), { [`${sku}@A,B`]: 5 }));
    expect(outcome).toBe('created');
    expect(record).toMatchObject({
      state: 'held',
      lines: [{ line: 0, sku, requested: 5, placements: [{ field: 'B', quantity: 5 }] }],
    });
    expect(await t.cells(sku)).toEqual({ A: [3, 0, 0], B: [5, 5, 0] });
  });

  it('splits over the named cells in their order, unless told not to', async () => {
    const sku = newSku();
    await t.receive({ [`${sku}@A`]: 3, [`${sku}@B`]: 10 });
    const whole = await t.submit(reserve(newId(), { [`${sku}@A,B`]: 12 }, { split: false }));
    expect(whole).toMatchObject({
      outcome: 'insufficient',
      shortages: [{ line: 0, available: 10 }],
    });
    const { record } = await t.submit(reserve(newId(), { [`${sku}@A,B`]: 12 }));
    expect(record).toMatchObject({
      lines: [
        {
          placements: [
            { field: 'A', quantity: 3 },
            { field: 'B', quantity: 9 },
          ],
        },
      ],
    });
  });

  it('takes from the fullest cell when none is named', async () => {
    const sku = newSku();
    await t.receive({ [`${sku}@A`]: 3, [`${sku}@B`]: 10, [`${sku}@C`]: 4 });
    const { record } = await t.submit(reserve(newId(), { [sku]: 11 }));
    expect(record).toMatchObject({
      lines: [
        {
          placements: [
            { field: 'B', quantity: 10 },
            { field: 'C', quantity: 1 },
          ],
        },
      ],
    });
    const none = await t.submit(reserve(newId(), { [sku]: 7 }));
    expect(none).toMatchObject({ outcome: 'insufficient', shortages: [{ line: 0, available: 6 }] });
  });

  it('takes all lines of a cart or none, and says of each what there is', async () => {
    const [a, b, c] = [newSku(), newSku(), newSku()];
    await t.receive({ [`${a}@A`]: 5, [`${b}@A`]: 1, [`${c}@A`]: 0 });
    const before = await t.entries();
    const result = await t.submit(
      reserve(newId(), { [`${a}@A`]: 2, [`${b}@A`]: 2, [`${c}@A`]: 1 }),
    );
    expect(result.outcome).toBe('insufficient');
    expect(result.shortages).toEqual([
      { line: 1, available: 1 },
      { line: 2, available: 0 },
    ]);
    expect(await t.cells(a)).toEqual({ A: [5, 0, 0] });
    expect(await t.entries()).toHaveLength(before.length);
  });

  it('takes what there is of a partial cart', async () => {
    const [a, b] = [newSku(), newSku()];
    await t.receive({ [`${a}@A`]: 5, [`${b}@A`]: 1 });
    const result = await t.submit(
      reserve(newId(), { [`${a}@A`]: 2, [`${b}@A`]: 4 }, { partial: true }),
    );
    expect(result).toMatchObject({ outcome: 'created', shortages: [{ line: 1, available: 1 }] });
    expect(result.record).toMatchObject({
      lines: [
        { sku: a, requested: 2 },
        { sku: b, requested: 4, placements: [{ quantity: 1 }] },
      ],
    });
    const nothing = await t.submit(reserve(newId(), { [`${b}@A`]: 1 }, { partial: true }));
    expect(nothing.outcome).toBe('insufficient');
  });

  it('takes what a partial cart can have beside a warehouse that lacks the SKU', async () => {
    const sku = newSku();
    await t.receive({ [`${sku}@A`]: 5 });
    const both = reserve(newId(), { [`${sku}@Z`]: 1, [`${sku}@A`]: 1 }, { partial: true });
    expect(await t.submit(both)).toMatchObject({
      outcome: 'created',
      shortages: [{ line: 0, available: 0 }],
    });
    const nowhere = reserve(newId(), { [`${sku}@Z`]: 1 }, { partial: true });
    expect((await t.submit(nowhere)).outcome).toBe('unknown_warehouse');
  });

  it('answers a repeat with the reservation as it now is, and another body with a refusal', async () => {
    const sku = newSku();
    await t.receive({ [`${sku}@A`]: 5 });
    const id = newId();
    await t.submit(reserve(id, { [`${sku}@A`]: 2 }));
    await t.submit(settle('commit', id));
    const repeat = await t.submit(reserve(id, { [`${sku}@A`]: 2 }));
    expect(repeat).toMatchObject({
      outcome: 'exists',
      replayed: true,
      record: { state: 'committed' },
    });
    const other = reserve(id, { [`${sku}@A`]: 3 }, { fingerprint: Buffer.from('another!') });
    expect((await t.submit(other)).outcome).toBe('exists_with_different_payload');
    expect(await t.cells(sku)).toEqual({ A: [3, 0, 2] });
  });

  it('remembers no rejection', async () => {
    const sku = newSku();
    await t.receive({ [`${sku}@A`]: 0 });
    const operation = reserve(newId(), { [`${sku}@A`]: 1 });
    expect((await t.submit(operation)).outcome).toBe('insufficient');
    await t.receive({ [`${sku}@A`]: 1 });
    expect((await t.submit(operation)).outcome).toBe('created');
  });

  it('tells an unknown SKU from an unknown warehouse from a SKU that is sold out everywhere', async () => {
    const sku = newSku();
    await t.receive({ [`${sku}@A`]: 1 });
    const defined = newSku();
    await t.lane.defineProducts([defined as Sku]);
    const outcome = async (line: string) =>
      (await t.submit(reserve(newId(), { [line]: 1 }))).outcome;
    expect(await outcome(`${newSku()}@A`)).toBe('unknown_sku');
    expect(await outcome(newSku())).toBe('unknown_sku');
    expect(await outcome(`${sku}@Z`)).toBe('unknown_warehouse');
    expect(await outcome(defined)).toBe('insufficient');
  });

  it('decides a batch one by one: a bad item fails none of its neighbours', async () => {
    const sku = newSku();
    await t.receive({ [`${sku}@A`]: 3 });
    const outcomes = await Promise.all(
      [1, 5, 1, 0, 1, 1].map((units, i) =>
        t.submit(reserve(newId(), { [`${i === 3 ? 'unknown' : sku}@A`]: Math.max(1, units) })),
      ),
    );
    expect(outcomes.map(({ outcome }) => outcome)).toEqual([
      'created',
      'insufficient',
      'created',
      'unknown_sku',
      'created',
      'insufficient',
    ]);
    expect(new Set(outcomes.map(({ stamp }) => stamp.seq)).size).toBe(1);
  });

  it('keeps a cart of 1,000 lines beside small records, whole', async () => {
    const sku = newSku();
    const fields = Array.from({ length: 1_000 }, (_, i) => `${sku}-${i}`);
    await t.receive(Object.fromEntries(fields.map((each) => [`${each}@A`, 2])));
    const id = newId();
    await t.submit(reserve(id, Object.fromEntries(fields.map((each) => [`${each}@A`, 1]))));
    const { record } = await t.submit({ kind: 'inspect', id });
    expect(record).toMatchObject({ state: 'held' });
    expect(record?.state === 'held' ? record.lines : []).toHaveLength(1_000);
    expect((await t.submit(settle('release', id))).outcome).toBe('released');
    expect(await t.cells(`${sku}-999`)).toEqual({ A: [2, 0, 0] });
    expect(await t.redis.keys('*cart:*')).toEqual([]);
  });
});

describe('a line over very many cells', () => {
  it('is split over 255 of them at the most', async () => {
    const sku = newSku();
    const cells = Array.from({ length: 300 }, (_, i) => [`${sku}@W${i}`, 1] as const);
    await t.receive(Object.fromEntries(cells));
    expect((await t.submit(reserve(newId(), { [sku]: 256 }))).outcome).toBe('insufficient');
    const { record } = await t.submit(reserve(newId(), { [sku]: 255 }));
    expect(record?.state === 'held' && record.lines[0]?.placements).toHaveLength(255);
    const views = Object.values(await t.cells(sku));
    expect(views.filter(([available]) => available === 1)).toHaveLength(45);
  });
});

describe('expiry', () => {
  it('gives units back at the deadline, once, and leaves what was extended or settled', async () => {
    const own = await startTestLane();
    try {
      await own.receive({ 'X@A': 10 });
      const [gone, extended, committed] = [newId(), newId(), newId()];
      for (const id of [gone, extended, committed]) {
        await own.submit(reserve(id, { 'X@A': 2 }, { ttlS: 60 }));
      }
      await own.submit({ kind: 'extend', id: extended, ttlS: 600 });
      await own.submit(settle('commit', committed));
      expect(await own.lane.expire(1_000)).toMatchObject({ expired: 0 });
      await own.passSeconds(62);
      const engines = [own.lane, own.connectLane(), own.connectLane()];
      const swept = await Promise.all(engines.map((lane) => lane.expire(1_000)));
      expect(
        swept.map((each) => ('expired' in each ? each.expired : -1)).toSorted((a, b) => a - b),
      ).toEqual([0, 0, 1]);
      expect(await own.cells('X')).toEqual({ A: [6, 2, 2] });
      expect((await own.submit(settle('commit', gone))).outcome).toBe('expired');
      expect((await own.submit(retaking(gone, { 'X@A': 2 }))).outcome).toBe('committed');
      expect(await own.cells('X')).toEqual({ A: [4, 2, 4] });
      await own.passSeconds(600);
      expect(await own.lane.expire(1_000)).toMatchObject({ expired: 1, more: false });
    } finally {
      await own.stop();
    }
  });

  it('works in bounded slices until nothing is due', async () => {
    const own = await startTestLane();
    try {
      await own.receive({ 'X@A': 2_000 });
      await Promise.all(
        Array.from({ length: 1_500 }, () =>
          own.submit(reserve(newId(), { 'X@A': 1 }, { ttlS: 5 })),
        ),
      );
      await own.passSeconds(7);
      let expired = 0;
      for (let more = true; more; ) {
        const slice = await own.lane.expire(256);
        if (slice.outcome !== 'expired') throw new Error(slice.detail);
        expect(slice.expired).toBeLessThanOrEqual(256 + 128);
        expired += slice.expired;
        more = slice.more;
      }
      expect(expired).toBe(1_500);
      expect(await own.cells('X')).toEqual({ A: [2_000, 0, 0] });
      expect(await own.redis.keys('*due:*')).toEqual([]);
      expect(await own.redis.exists(KEYS.deadlines)).toBe(0);
    } finally {
      await own.stop();
    }
  });
});

describe('stock', () => {
  it('moves all lines or none, never below zero, and once under its id', async () => {
    const sku = newSku();
    await t.receive({ [`${sku}@A`]: 5 });
    const line = (delta: number, field = 'A') => ({
      sku: sku as Sku,
      field: field as CellField,
      delta,
    });
    const adjust = (id: Buffer, ...lines: ReturnType<typeof line>[]) =>
      t.lane.stock(stockOperation(id, lines, { kind: 'adjust' }));
    expect(await adjust(newId(), line(1, 'B'), line(-6))).toMatchObject({
      outcome: 'insufficient',
      shortages: [{ line: 1, available: 5 }],
    });
    expect(await t.cells(sku)).toEqual({ A: [5, 0, 0] });
    const id = newId();
    expect(await adjust(id, line(-2))).toMatchObject({ outcome: 'applied', replayed: false });
    expect(await adjust(id, line(-2))).toMatchObject({ outcome: 'applied', replayed: true });
    expect(await t.cells(sku)).toEqual({ A: [3, 0, 0] });
    expect(await adjust(newId(), line(1_000_000_000_000))).toMatchObject({
      outcome: 'out_of_range',
    });
    const unknown = stockOperation(newId(), [{ ...line(1), sku: newSku() as Sku }]);
    expect(await t.lane.stock(unknown)).toMatchObject({ outcome: 'unknown_sku' });
  });
});
