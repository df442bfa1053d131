/** The yardstick writes what the persister wrote, and leaves nothing behind. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { asReservation, asSku } from '../../engine/domain/ids.ts';
import type { Entry } from '../../engine/events/entry.ts';
import { applyEntries } from '../../persister/testing/apply-entries.ts';
import { type MigratedDatabase, migratedDatabase } from '../../persister/testing/database.ts';
import { at, SimulatedLane } from '../../persister/testing/simulated-lane.ts';
import { SCHEMA, withBareCopy } from './bare-copy.ts';

const SKUS = ['HOT-1', 'HOT-2'].map(asSku);
const FIELDS = [at('W1'), at('W2')];
const EACH = 10;

let database: MigratedDatabase;

beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(() => database.end());

/** Each entry reserves ten carts; some entries later they are committed, all but every third. */
function history(lane: SimulatedLane): Entry[] {
  const id = (i: number) => asReservation(`order-${String(i).padStart(4, '0')}`);
  const lines = (i: number) =>
    SKUS.map((sku) => ({ sku, field: FIELDS[i % 2] ?? at('W1'), quantity: 1 + (i % 3) }));
  const entries: Entry[] = [];
  for (let entry = 0; entry < 12; entry++) {
    for (let i = entry * EACH; i < (entry + 1) * EACH; i++) {
      lane.reserve(id(i), lines(i));
      if (i >= 4 * EACH && i % 3 > 0) lane.commit(id(i - 4 * EACH));
    }
    entries.push(lane.batch());
  }
  return entries;
}

async function rowsOf(table: string, where: string, columns = '*'): Promise<unknown[]> {
  const { rows } = await database.pool.query<{ row: unknown }>(
    `SELECT row_to_json(t)::text AS row FROM (SELECT ${columns} FROM ${table} ${where}) t ORDER BY 1`,
  );
  return rows.map(({ row }) => row);
}

const count = async (table: string): Promise<number> => (await rowsOf(table, '')).length;

it('writes the rows of the entries once more, changes included', async () => {
  const lane = new SimulatedLane();
  const opening = [lane.open(1)];
  // Of the third nothing is sold after the opening.
  const skus = [...SKUS, asSku('KEPT')];
  for (const sku of skus) lane.define(sku);
  const stock = skus.flatMap((sku) => FIELDS.map((field) => ({ sku, field, quantity: 1_000 })));
  lane.moveStock('opening', 'receive', stock);
  const [kept] = stock.slice(-1);
  if (kept !== undefined) lane.reserve(asReservation('before'), [kept]);
  opening.push(lane.batch());
  const entries = history(lane);
  await applyEntries(database.pool, [...opening, ...entries], [2, 5]);
  const tables = ['entries', 'reservations', 'reservation_lines', 'stock_movements', 'inventory'];
  const before = await Promise.all(tables.map((table) => rowsOf(table, '')));

  const range = {
    epoch: 1,
    after: opening.at(-1)?.key.seq ?? 0,
    upTo: entries.at(-1)?.key.seq ?? 0,
  };
  const [all, ...sizes] = await withBareCopy(
    database.url,
    { ...range, entriesEach: 5 },
    async (copy) => {
      expect(await count(`${SCHEMA}.reservations`)).toBe(0);
      await copy.write();
      const made = `WHERE created_seq > ${range.after}`;
      const written = `WHERE seq > ${range.after}`;
      for (const [table, where] of [
        ['entries', written],
        ['reservations', made],
        ['reservation_lines', made],
        ['stock_movements', written],
        ['inventory', written],
      ] as const) {
        expect(await rowsOf(`${SCHEMA}.${table}`, ''), table).toEqual(await rowsOf(table, where));
      }
      const settled = await rowsOf('reservations', `WHERE status = 'committed'`);
      const sizesSeen = await Promise.all(
        tables.slice(0, 4).map((each) => count(`${SCHEMA}.${each}`)),
      );
      return [copy.rows, ...sizesSeen, settled.length, settled.length * SKUS.length];
    },
  );
  // Besides: four cells in each of three transactions.
  expect(all).toBe(sizes.reduce((sum, size) => sum + size, 3 * 4));
  expect(await Promise.all(tables.map((table) => rowsOf(table, '')))).toEqual(before);
  const { rows: schemas } = await database.pool.query(
    `SELECT 1 FROM pg_namespace WHERE nspname = '${SCHEMA}'`,
  );
  expect(schemas).toEqual([]);
});
