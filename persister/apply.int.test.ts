/** The transaction on a real PostgreSQL. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { asReservation } from '../engine/domain/ids.ts';
import type { Entry } from '../engine/events/entry.ts';
import { readPosition } from '../engine/postgres/position.ts';
import { Applier } from './apply.ts';
import { foldBatch } from './batch.ts';
import { applyEntries } from './testing/apply-entries.ts';
import {
  emptyTables,
  type MigratedDatabase,
  migratedDatabase,
  openPool,
} from './testing/database.ts';
import { history, play } from './testing/random-history.ts';
import {
  cellsOfLane,
  readCells,
  readLedger,
  readReservations,
  reservationsOfLane,
} from './testing/rows-of.ts';
import { at, SimulatedLane } from './testing/simulated-lane.ts';
import { CELL, SKU, stockedLane } from './testing/stocked-lane.ts';

let database: MigratedDatabase;

beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(() => database.end());
beforeEach(() => emptyTables(database.pool));

it('comes to the state of any lane, however its history is cut into batches', async () => {
  const property = fc
    .asyncProperty(
      history,
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 }),
      async (happenings, sizes) => {
        const lane = new SimulatedLane();
        const entries = play(lane, happenings);
        const applied = await applyEntries(database.pool, entries, sizes);
        expect(applied).toEqual(applied.map(() => ({ outcome: 'applied', suspects: [] })));
        expect(await readCells(database.pool)).toEqual(cellsOfLane(lane));
        const balances = Object.entries(cellsOfLane(lane)).map(([name, row]) => [
          name,
          row.slice(0, 3),
        ]);
        expect(await readLedger(database.pool)).toEqual(Object.fromEntries(balances));
        expect(await readReservations(database.pool)).toEqual(reservationsOfLane(lane));
        expect(await readPosition(database.pool, 0)).toMatchObject({
          ...lane.last,
          timeMs: entries.at(-1)?.timeMs,
        });
        const { rows } = await database.pool.query('SELECT count(*) AS n FROM entries');
        expect(rows).toEqual([{ n: entries.length }]);
      },
    )
    .beforeEach(() => emptyTables(database.pool));
  await fc.assert(property, { numRuns: 40 });
});

describe('whoever was overtaken', () => {
  it('finds no row and changes nothing', async () => {
    const { lane, entries } = stockedLane();
    const from = await readPosition(database.pool, 0);
    await applyEntries(database.pool, entries);
    lane.reserve(asReservation('r1'), [CELL]);
    const batch = foldBatch([...entries, lane.batch()]);
    const applier = new Applier({ pool: database.pool, lane: 0 });
    const step = { from, to: { ...from, ...lane.last }, timeMs: 1, parked: undefined, batch };
    const applied = await applier.apply({ ...step, encoded: applier.encode(batch) });
    applier.close();
    expect(applied).toEqual({ outcome: 'overtaken' });
    expect(await readReservations(database.pool)).toEqual({});
    expect(await readPosition(database.pool, 0)).toMatchObject({ epoch: 1, seq: 2 });
  });

  it.each(['term', 'epoch', 'seq', 'log_offset'])('also when only %s differs', async (column) => {
    const { entries } = stockedLane();
    const from = await readPosition(database.pool, 0);
    await database.pool.query(`UPDATE positions SET ${column} = ${column} + 1`);
    const batch = foldBatch(entries);
    const applier = new Applier({ pool: database.pool, lane: 0 });
    const step = { from, to: { ...from, seq: 2 }, timeMs: 1, parked: undefined, batch };
    expect(await applier.apply({ ...step, encoded: applier.encode(batch) })).toEqual({
      outcome: 'overtaken',
    });
    applier.close();
  });

  it('waits for the one who is at it, and then finds no row', async () => {
    const { entries } = stockedLane();
    const from = await readPosition(database.pool, 0);
    const pools = [openPool(database.url), openPool(database.url)];
    const outcomes = await Promise.all(
      pools.map(async (pool) => {
        const applier = new Applier({ pool, lane: 0 });
        const batch = foldBatch(entries);
        const to = { ...from, epoch: 1, seq: 2 };
        const step = { from, to, timeMs: 1, parked: undefined, batch };
        const { outcome } = await applier.apply({ ...step, encoded: applier.encode(batch) });
        applier.close();
        await pool.end();
        return outcome;
      }),
    );
    expect(outcomes.toSorted()).toEqual(['applied', 'overtaken']);
    expect(await readCells(database.pool)).toEqual({ 'HOT-1 W1': [10, 0, 0, 1] });
  });
});

describe('a commit that takes the units of a lost hold again', () => {
  const id = asReservation('order-1');

  it('makes the reservation where PostgreSQL never had it', async () => {
    const { lane, entries } = stockedLane();
    lane.retake(id, [{ ...CELL, quantity: 4 }]);
    await applyEntries(database.pool, [...entries, lane.batch()], [1]);
    expect(await readReservations(database.pool)).toEqual(reservationsOfLane(lane));
    expect(await readReservations(database.pool)).toMatchObject({
      'order-1': { state: 'committed', lines: ['0 HOT-1 W1/shared 4'] },
    });
  });

  it.each([1, 9])(
    'revives the newest row of an expired hold, %i entries at a time',
    async (size) => {
      const { lane, entries } = stockedLane();
      lane.reserve(id, [{ ...CELL, quantity: 4 }]);
      entries.push(lane.batch());
      lane.expire(id);
      entries.push(lane.batch());
      lane.timeMs += 5_000;
      lane.retake(id, [{ ...CELL, quantity: 3 }]);
      entries.push(lane.batch());
      await applyEntries(database.pool, entries, [size]);
      const { rows } = await database.pool.query(
        `SELECT status, deadline_s, created_s, requested, allocated, released
       FROM reservations JOIN reservation_lines USING (reservation_id, created_epoch, created_seq)`,
      );
      const createdS = Math.floor(lane.timeMs / 1_000);
      expect(rows).toEqual([
        {
          status: 'committed',
          deadline_s: null,
          created_s: createdS,
          requested: 3,
          allocated: 3,
          released: 4,
        },
      ]);
    },
  );
});

it('settles the cells of a line apart', async () => {
  const { lane, entries } = stockedLane();
  const id = asReservation('r1');
  const cells = ['W2', 'W3'].map((name) => ({ sku: SKU, field: at(name), quantity: 5 }));
  lane.moveStock('others', 'receive', cells);
  lane.reserve(id, cells);
  entries.push(asOneLine(lane.batch()));
  let kept = 0;
  lane.commit(id, () => [1, 4][kept++] ?? 0);
  entries.push(asOneLine(lane.batch()));
  await applyEntries(database.pool, entries, [1]);
  const { rows } = await database.pool.query(
    `SELECT line, warehouse_id AS cell, reserved, allocated, released FROM reservation_lines
     ORDER BY warehouse_id`,
  );
  expect(rows).toEqual([
    { line: 0, cell: 'W2', reserved: 0, allocated: 1, released: 4 },
    { line: 0, cell: 'W3', reserved: 0, allocated: 4, released: 1 },
  ]);
});

/** The lane makes a line of each cell; a wide SKU's units stand in several cells of one line. */
function asOneLine(entry: Entry): Entry {
  const changes = entry.changes.map((change) => {
    if (change.type === 'committed') {
      return { ...change, moves: change.moves.map((each) => ({ ...each, line: 0 })) };
    }
    if (change.type !== 'reserved') return change;
    const placements = change.lines.flatMap((line) => line.placements);
    const requested = placements.reduce((sum, { quantity }) => sum + quantity, 0);
    return { ...change, lines: [{ line: 0, requested, placements }] };
  });
  return { ...entry, changes };
}

it.each([
  { batches: 'each entry alone', sizes: [1] },
  { batches: 'the release and the second reserve together', sizes: [3, 2, 1] },
  { batches: 'and its commit', sizes: [3, 3] },
])('settles the row that was meant when a client used an id again, $batches', async ({ sizes }) => {
  const { lane, entries } = stockedLane();
  const id = asReservation('order-1');
  lane.reserve(id, [CELL]);
  entries.push(lane.batch());
  lane.release(id);
  entries.push(lane.batch());
  // The idempotency window is over, and Redis has forgotten it.
  lane.reservations.delete(id);
  lane.timeMs += 3 * 86_400_000;
  lane.reserve(id, [{ ...CELL, quantity: 2 }]);
  entries.push(lane.batch());
  lane.commit(id);
  entries.push(lane.batch());
  await applyEntries(database.pool, entries, sizes);
  const { rows } = await database.pool.query(
    'SELECT status, created_seq, generation FROM reservations ORDER BY created_seq',
  );
  expect(rows).toEqual([
    { status: 'released', created_seq: 3, generation: 20_778 },
    { status: 'committed', created_seq: 5, generation: 20_781 },
  ]);
});

describe('the ledger', () => {
  it('says who, what for and at what cost', async () => {
    const { lane, entries } = stockedLane(
      '{"order_id":"o-1","customer_id":"c-1","channel":"web","actor":"api"}',
    );
    lane.moveStock(
      'second',
      'receive',
      [{ ...CELL, quantity: 5 }],
      '{"reason":"delivery","reference_type":"purchase_order","reference_id":"PO-7","actor":"ann","lines":[{"unit_cost":"12.50","currency":"EUR"}]}',
    );
    lane.moveStock(
      'third',
      'adjust',
      [{ ...CELL, quantity: -2 }],
      '{"reason":"broken \\u0000 in \\u2603"}',
    );
    lane.reserve(asReservation('r1'), [CELL]);
    await applyEntries(database.pool, [...entries, lane.batch()]);
    const { rows } = await database.pool.query(
      `SELECT movement_id, movement_type, source_location, source_warehouse, dest_location,
              dest_warehouse, quantity, reason, reference_type, reference_id, unit_cost, currency, actor
       FROM movements WHERE seq = 3 ORDER BY idx`,
    );
    expect(rows).toMatchObject([
      {
        movement_id: '0-1-3-0',
        movement_type: 'receive',
        source_location: 'supplier',
        source_warehouse: null,
        dest_location: 'available',
        dest_warehouse: 'W1',
        quantity: 5,
        reason: 'delivery',
        reference_type: 'purchase_order',
        reference_id: 'PO-7',
        unit_cost: '12.50',
        currency: 'EUR',
        actor: 'ann',
      },
      {
        movement_id: '0-1-3-1',
        movement_type: 'adjust',
        source_location: 'available',
        source_warehouse: 'W1',
        dest_location: 'loss',
        dest_warehouse: null,
        quantity: 2,
        reason: 'broken \ufffd in \u2603',
        reference_type: 'operation',
        unit_cost: null,
      },
      {
        movement_id: '0-1-3-2',
        movement_type: 'reserve',
        source_location: 'available',
        dest_location: 'reserved',
        reference_type: 'reservation',
        reference_id: 'r1',
        actor: 'api',
      },
    ]);
    const { rows: reservations } = await database.pool.query(
      'SELECT order_id, customer_id, channel, actor FROM reservations',
    );
    expect(reservations).toEqual([
      { order_id: 'o-1', customer_id: 'c-1', channel: 'web', actor: 'api' },
    ]);
  });

  it('is immutable, and has a partition for each month that was met, and the next', async () => {
    const { entries } = stockedLane();
    await applyEntries(database.pool, entries);
    const refusal = /stock_movements_2026_11 is immutable/;
    const tables = 'stock_movements_2026_11';
    await expect(database.pool.query('UPDATE stock_movements SET quantity = 1')).rejects.toThrow(
      refusal,
    );
    await expect(database.pool.query('DELETE FROM stock_movements')).rejects.toThrow(refusal);
    await expect(database.pool.query(`TRUNCATE ${tables}`)).rejects.toThrow(refusal);
    await expect(database.pool.query('TRUNCATE stock_movements')).rejects.toThrow(/is immutable/);
    const { rows } = await database.pool.query<{ name: string }>(
      `SELECT inhrelid::regclass::text AS name FROM pg_inherits
       WHERE inhparent = 'stock_movements'::regclass ORDER BY 1`,
    );
    expect(rows.map(({ name }) => name)).toEqual(
      expect.arrayContaining([tables, 'stock_movements_2026_12']),
    );
  });
});
