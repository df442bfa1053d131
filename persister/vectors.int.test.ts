/** SQL's share of the vectors: applied one by one and all at once, they come to the listed rows. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { decodeEntry } from '../engine/events/entry-codec.ts';
import type { Pool } from '../engine/postgres/pool.ts';
import { applyEntries } from './testing/apply-entries.ts';
import { type MigratedDatabase, migratedDatabase } from './testing/database.ts';

const PATH = join(import.meta.dirname, '../engine/events/vectors.json');
const { vectors, rows } = JSON.parse(readFileSync(PATH, 'utf8')) as {
  readonly vectors: readonly { readonly hex: string }[];
  readonly rows: Readonly<Record<string, unknown>>;
};

let database: MigratedDatabase;
beforeEach(async () => {
  database = await migratedDatabase();
});
afterEach(() => database.end());

/** Rows as arrays of text, in an order of their own. */
const TABLES: Readonly<Record<string, string>> = {
  positions: 'SELECT lane, epoch, seq, nonce, time_ms, parked FROM positions',
  entries:
    'SELECT epoch, seq, nonce, pred_epoch, pred_seq, pred_nonce, kind, time_ms FROM entries ORDER BY epoch, seq',
  products: 'SELECT sku_id, defined_epoch, defined_seq FROM products ORDER BY sku_id',
  inventory: `SELECT sku_id, warehouse_id, pool, available_qty, reserved_qty, allocated_qty, total_qty,
    version, epoch, seq, suspect FROM inventory ORDER BY sku_id, warehouse_id, pool`,
  reservations: `SELECT reservation_id, created_epoch, created_seq, generation, status, version,
    fingerprint, created_s, deadline_s, commit_fingerprint, closed_by, order_id, customer_id, channel,
    actor, operations, epoch, seq FROM reservations ORDER BY reservation_id`,
  reservation_lines: `SELECT reservation_id, line, placement, sku_id, warehouse_id, pool, requested,
    reserved, allocated, shipped, cancelled, released
    FROM reservation_lines ORDER BY reservation_id, line, placement`,
  operations: `SELECT operation_id, epoch, seq, generation, kind, fingerprint, created_s
    FROM operations ORDER BY epoch, seq`,
  stock_movements: `SELECT movement_id, sku_id, source_warehouse, dest_warehouse, pool, source_location,
    dest_location, quantity, movement_type, reason, reference_type, reference_id, unit_cost, currency,
    actor FROM movements ORDER BY epoch, seq, idx`,
};

async function readTables(pool: Pool): Promise<Record<string, unknown>> {
  const tables = await Promise.all(
    Object.entries(TABLES).map(async ([name, text]) => {
      const found = await pool.query<unknown[]>({ text, rowMode: 'array' });
      return [name, found.rows.map((row) => row.map(readable))] as const;
    }),
  );
  return Object.fromEntries(tables);
}

function readable(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('hex');
  return Array.isArray(value) ? value.map(readable) : value;
}

it.each([1, vectors.length])('%i entries to a batch', async (size) => {
  const entries = vectors.map(({ hex }) => decodeEntry(Buffer.from(hex, 'hex')));
  await applyEntries(database.pool, entries, [size]);
  expect(await readTables(database.pool)).toEqual(rows);
});
