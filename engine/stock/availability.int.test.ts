/** A crowd that PostgreSQL answers, because Redis does not: each takes their part in the line. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type MigratedDatabase, migratedDatabase } from '../../persister/testing/database.ts';
import { asSku } from '../domain/ids.ts';
import type { LaneRefusal } from '../redis/lane-port.ts';
import { Line } from '../runtime/line.ts';
import { type AvailabilityAnswer, createAvailability } from './availability.ts';
import { ShipDates } from './ship-date.ts';

const SKUS = Array.from({ length: 40 }, (_, i) => asSku(`S-${i}`));
const WAREHOUSES = 2;
const ASKERS = 30;
/** Of the line's clock: a turn has room for a hundred cells, and an answer has 80. */
const MS_A_CELL = 0.05;
const CELLS_A_TURN_MAX = 200;

let database: MigratedDatabase;
beforeAll(async () => {
  database = await migratedDatabase();
  await database.pool.query(
    `INSERT INTO products (sku_id, attributes) SELECT sku, '{}' FROM unnest($1::text[]) sku`,
    [SKUS],
  );
  await database.pool.query(
    `INSERT INTO inventory (sku_id, warehouse_id, pool, lane, available_qty, reserved_qty,
       allocated_qty, version, epoch, seq, updated_at)
     SELECT sku, 'W-' || w, 'shared', 0, 5, 2, 1, 7, 1, 1, now()
     FROM unnest($1::text[]) sku, generate_series(1, $2) w`,
    [SKUS, WAREHOUSES],
  );
});
afterAll(() => database?.end());

it('answers all of them, in many turns of the event loop', async () => {
  let turn = 0;
  let isOver = false;
  const count = (): void => {
    turn += 1;
    if (!isOver) setImmediate(count);
  };
  count();
  let clockMs = 0;
  const cellsInTurn = new Map<number, number>();
  const availability = createAvailability({
    pool: database.pool,
    line: new Line({ nowMs: () => clockMs, cpuMs: () => clockMs }),
    lane: {
      number: 0,
      nowMs: () => 1_000,
      // It hangs, so all who wait give it up at one time.
      availability: () => new Promise(() => undefined),
    },
    directory: {
      get: () => {
        clockMs += MS_A_CELL;
        cellsInTurn.set(turn, (cellsInTurn.get(turn) ?? 0) + 1);
        return undefined;
      },
    },
    shipDates: new ShipDates(),
  });
  const answers = await Promise.all(
    Array.from(
      { length: ASKERS },
      () =>
        new Promise<AvailabilityAnswer | LaneRefusal>((resolve, reject) => {
          availability.read(SKUS, resolve, reject);
        }),
    ),
  );
  isOver = true;
  for (const answer of answers) {
    expect(answer).toMatchObject({ unknown: [], staleMs: expect.any(Number) });
    const { known } = answer as AvailabilityAnswer;
    expect(known.map(({ sku_id: sku }) => sku)).toEqual(SKUS);
    expect(known.every(({ total_available: units }) => units === 5 * WAREHOUSES)).toBe(true);
  }
  const counts = [...cellsInTurn.values()];
  expect(counts.reduce((sum, each) => sum + each, 0)).toBe(ASKERS * SKUS.length * WAREHOUSES);
  expect(Math.max(...counts)).toBeLessThanOrEqual(CELLS_A_TURN_MAX);
});
