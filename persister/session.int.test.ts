/** The plans that a connection keeps are those for large tables, also when it began with empty ones. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PoolClient } from '../engine/postgres/pool.ts';
import { SESSION } from './session.ts';
import { type MigratedDatabase, migratedDatabase } from './testing/database.ts';

let database: MigratedDatabase;
let client: PoolClient;

beforeAll(async () => {
  database = await migratedDatabase();
  // What the planner knows of a first day.
  await database.pool.query('ANALYZE reservations, reservation_lines, inventory');
  client = await database.pool.connect();
  await client.query(SESSION);
});
afterAll(async () => {
  client.release(true);
  await database.end();
});

async function planOf(statement: string): Promise<string> {
  const { rows } = await client.query<{ readonly 'QUERY PLAN': string }>(`EXPLAIN ${statement}`);
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}

it('finds reservations by their key, and joins what the batch brings by a hash', async () => {
  const plan = await planOf('EXECUTE settle (0)');
  expect(plan).not.toContain('Seq Scan on reservations');
  expect(plan).toMatch(/Index Scan.* on reservations_pkey|Index Scan.* using reservations_pkey/);
  // The one nested loop is the look-up of each reservation.
  expect(plan.match(/Nested Loop/g)).toHaveLength(1);
  expect(plan).toMatch(/Hash Join|Hash Right Join/);
});

it('finds cells by their key', async () => {
  const plan = await planOf('EXECUTE merge_cells');
  expect(plan).not.toContain('Seq Scan on inventory');
  expect(plan).toMatch(/Index Scan.* on inventory_pkey|Index Scan.* using inventory_pkey/);
});

it('has no plan compiled', async () => {
  const { rows } = await client.query('SHOW jit');
  expect(rows).toEqual([{ jit: 'off' }]);
});
