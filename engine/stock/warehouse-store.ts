/** Warehouses in PostgreSQL. */
import type { Pool } from '../postgres/pool.ts';
import type { Reader } from '../postgres/reader.ts';
import type { Warehouse } from './warehouse.ts';

const COLUMNS = `warehouse_id, name, location, latitude, longitude, time_zone,
  to_char(cut_off, 'HH24:MI') AS cut_off, handling_days, capacity`;

/** Those of the ids that exist; undefined: all. */
export async function readWarehouses(
  db: Reader,
  ids: readonly string[] | undefined,
): Promise<Warehouse[]> {
  const all = `SELECT ${COLUMNS} FROM warehouses`;
  const { rows } =
    ids === undefined
      ? await db.query<Warehouse>(all)
      : await db.query<Warehouse>(`${all} WHERE warehouse_id = ANY($1)`, [ids]);
  return rows;
}

const PUT = `
  INSERT INTO warehouses (warehouse_id, name, location, latitude, longitude, time_zone, cut_off,
                          handling_days, capacity)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
  ON CONFLICT (warehouse_id) DO UPDATE SET
    name = excluded.name, location = excluded.location, latitude = excluded.latitude,
    longitude = excluded.longitude, time_zone = excluded.time_zone, cut_off = excluded.cut_off,
    handling_days = excluded.handling_days, capacity = excluded.capacity, updated_at = now()
  RETURNING xmax = 0 AS inserted`;

/** Replaces the whole description; `created`: there was none. */
export async function putWarehouse(
  pool: Pool,
  warehouse: Warehouse,
): Promise<{ readonly created: boolean }> {
  const { rows } = await pool.query<{ inserted: boolean }>(PUT, [
    warehouse.warehouse_id,
    warehouse.name,
    warehouse.location,
    warehouse.latitude,
    warehouse.longitude,
    warehouse.time_zone,
    warehouse.cut_off,
    warehouse.handling_days,
    warehouse.capacity,
  ]);
  return { created: rows[0]?.inserted === true };
}
