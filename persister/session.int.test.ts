/** The plan that a connection keeps is that for large tables, also when it began with empty ones. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asReservation, asSku } from '../engine/domain/ids.ts';
import type { PoolClient } from '../engine/postgres/pool.ts';
import { foldBatch } from './batch.ts';
import { BatchEncoder } from './encode-batch.ts';
import { SESSION } from './session.ts';
import { type MigratedDatabase, migratedDatabase } from './testing/database.ts';
import { at, SimulatedLane } from './testing/simulated-lane.ts';

const SKU = asSku('HOT-1');

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

/** The merge of a batch in which so many holds of an earlier one are committed. */
function mergeOf(commits: number): string {
  const lane = new SimulatedLane();
  lane.open(1);
  lane.moveStock('opening', 'receive', [{ sku: SKU, field: at('W1'), quantity: 2 * commits }]);
  const ids = Array.from({ length: commits }, (_, i) => asReservation(`r${i}`));
  for (const id of ids) lane.reserve(id, [{ sku: SKU, field: at('W1'), quantity: 1 }]);
  lane.batch();
  for (const id of ids) lane.commit(id);
  const { changed } = new BatchEncoder(0).encode(foldBatch([lane.batch()]));
  return changed.map(({ statement }) => statement).join();
}

async function planOf(statement: string): Promise<string> {
  const { rows } = await client.query<{ readonly 'QUERY PLAN': string }>(`EXPLAIN ${statement}`);
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}

describe.each([1, 500])('the merge of %i settled', (commits) => {
  it('finds reservations and cells by their keys, and joins what the batch brings by a hash', async () => {
    const plan = await planOf(mergeOf(commits));
    expect(plan).not.toMatch(/Seq Scan on (reservations|reservation_lines|inventory)/);
    expect(plan).toMatch(/Index Scan.* using reservations_pkey/);
    expect(plan).toMatch(/Index Scan.* using inventory_pkey/);
    // The look-ups of reservations, of cells and of their causes, each a row of the batch at a time.
    expect(plan.match(/Nested Loop/g)).toHaveLength(3);
    expect(plan).toMatch(/Hash (Right )?Join/);
  });

  it('has the same plan whatever the batch has, so that it is made once', async () => {
    expect(await planOf(mergeOf(commits))).toBe(await planOf(mergeOf(2)));
  });
});

it('has no plan compiled', async () => {
  const { rows } = await client.query('SHOW jit');
  expect(rows).toEqual([{ jit: 'off' }]);
});
