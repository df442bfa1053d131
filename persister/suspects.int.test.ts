/** What the log says is applied, also when it cannot be true; then it is marked, and told. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { asReservation } from '../engine/domain/ids.ts';
import { applyEntries } from './testing/apply-entries.ts';
import { emptyTables, type MigratedDatabase, migratedDatabase } from './testing/database.ts';
import { readCells, readLedger, readReservations } from './testing/rows-of.ts';
import { CELL, stockedLane } from './testing/stocked-lane.ts';

let database: MigratedDatabase;

beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(() => database.end());
beforeEach(() => emptyTables(database.pool));

describe('what cannot be true is applied and marked', () => {
  async function suspectOf(): Promise<string | null | undefined> {
    const { rows } = await database.pool.query<{ suspect: string | null }>(
      'SELECT suspect FROM inventory',
    );
    return rows[0]?.suspect;
  }

  it('a balance that PostgreSQL did not have', async () => {
    const { lane, entries } = stockedLane();
    await applyEntries(database.pool, entries);
    await database.pool.query('UPDATE inventory SET available_qty = 7');
    lane.reserve(asReservation('r1'), [CELL]);
    const [applied] = await applyEntries(database.pool, [lane.batch()]);
    const cause = 'balances were 7/0/0, the batch to 1-3 started from 10/0/0';
    expect(applied).toEqual({
      outcome: 'applied',
      suspects: [{ sku: 'HOT-1', warehouse: 'W1', pool: 'shared', cause }],
    });
    expect(await readCells(database.pool)).toEqual({ 'HOT-1 W1': [9, 1, 0, 2] });
    expect(await suspectOf()).toBe(cause);
    // Only the first cause is kept, and told.
    await database.pool.query('UPDATE inventory SET available_qty = 3');
    lane.commit(asReservation('r1'));
    expect(await applyEntries(database.pool, [lane.batch()])).toEqual([
      { outcome: 'applied', suspects: [] },
    ]);
    expect(await suspectOf()).toBe(cause);
  });

  it('a balance that changed between two entries of a batch', async () => {
    const { lane, entries } = stockedLane();
    const cell = lane.cells.get('HOT-1 W1');
    if (cell !== undefined) cell.available = 4;
    lane.reserve(asReservation('r1'), [CELL]);
    await applyEntries(database.pool, [...entries, lane.batch()]);
    expect(await suspectOf()).toBe('available is off by -6 at 1-3');
  });

  it('a negative balance', async () => {
    const { lane, entries } = stockedLane();
    lane.moveStock('loss', 'adjust', [{ ...CELL, quantity: -12 }]);
    await applyEntries(database.pool, [...entries, lane.batch()]);
    expect(await suspectOf()).toBe('balances are -2/0/0 at 1-3');
    expect(await readLedger(database.pool)).toEqual({ 'HOT-1 W1': [-2, 0, 0] });
  });

  it('a settlement of a reservation that PostgreSQL never had', async () => {
    const { lane, entries } = stockedLane();
    lane.reserve(asReservation('r1'), [CELL]);
    lane.batch();
    await applyEntries(database.pool, entries);
    lane.commit(asReservation('r1'));
    await applyEntries(database.pool, [lane.batch()]);
    expect(await suspectOf()).toBe('reservation r1 was not known');
    expect(await readReservations(database.pool)).toMatchObject({ r1: { state: 'committed' } });
  });

  it('an extension of a reservation that PostgreSQL never had, of which no cell is known', async () => {
    const { lane, entries } = stockedLane();
    lane.reserve(asReservation('r1'), [CELL]);
    lane.batch();
    await applyEntries(database.pool, entries);
    lane.extend(asReservation('r1'), 1_200);
    const cause = 'reservation r1 was not known';
    expect(await applyEntries(database.pool, [lane.batch()])).toEqual([
      { outcome: 'applied', suspects: [{ sku: null, warehouse: null, pool: null, cause }] },
    ]);
    expect(await suspectOf()).toBeNull();
  });

  it('a line that gives back more than it had', async () => {
    const { lane, entries } = stockedLane();
    lane.reserve(asReservation('r1'), [CELL]);
    await applyEntries(database.pool, [...entries, lane.batch()]);
    const placement = lane.reservations.get(asReservation('r1'))?.placements[0];
    if (placement !== undefined) placement.units = 3;
    lane.release(asReservation('r1'));
    await applyEntries(database.pool, [lane.batch()]);
    expect(await suspectOf()).toBe('line 0 of reservation r1 has -2 reserved, 0 allocated');
  });
});
