/** What PostgreSQL holds, in the words of a simulated lane, so that the two can be compared. */
import { cellField } from '../../engine/domain/ids.ts';
import type { Pool, PoolClient } from '../../engine/postgres/pool.ts';
import type { SimulatedLane } from './simulated-lane.ts';

/** By `SKU field`: available, reserved, allocated, version. */
export async function readCells(pool: Pool | PoolClient): Promise<Record<string, number[]>> {
  const { rows } = await pool.query<{
    sku_id: string;
    warehouse_id: string;
    pool: string;
    numbers: number[];
  }>(
    `SELECT sku_id, warehouse_id, pool,
            ARRAY[available_qty, reserved_qty, allocated_qty, version] AS numbers
     FROM inventory`,
  );
  return Object.fromEntries(
    rows.map((row) => [`${row.sku_id} ${cellField(row.warehouse_id, row.pool)}`, row.numbers]),
  );
}

export function cellsOfLane(lane: SimulatedLane): Record<string, number[]> {
  return Object.fromEntries(
    Array.from(lane.cells, ([name, cell]) => [
      name,
      [cell.available, cell.reserved, cell.allocated, cell.version],
    ]),
  );
}

/** Balances of each cell by the ledger alone. */
export async function readLedger(pool: Pool | PoolClient): Promise<Record<string, number[]>> {
  const { rows } = await pool.query<{
    sku_id: string;
    warehouse: string;
    pool: string;
    numbers: number[];
  }>(
    `SELECT sku_id, warehouse, pool,
            ARRAY[sum(quantity) FILTER (WHERE location = 'available'),
                  sum(quantity) FILTER (WHERE location = 'reserved'),
                  sum(quantity) FILTER (WHERE location = 'allocated')]::bigint[] AS numbers
     FROM (SELECT sku_id, dest_warehouse AS warehouse, pool, dest_location AS location, quantity
           FROM stock_movements
           UNION ALL
           SELECT sku_id, source_warehouse, pool, source_location, -quantity
           FROM stock_movements) AS legs
     WHERE warehouse IS NOT NULL
     GROUP BY sku_id, warehouse, pool`,
  );
  return Object.fromEntries(
    rows.map((row) => [
      `${row.sku_id} ${cellField(row.warehouse, row.pool)}`,
      row.numbers.map((number) => number ?? 0),
    ]),
  );
}

interface ReservationSql {
  readonly reservation_id: string;
  readonly status: string;
  readonly version: number;
  readonly fingerprint: Buffer;
  readonly created_s: number;
  readonly deadline_s: number | null;
  readonly commit_fingerprint: number;
  readonly closed_by: string | null;
  readonly operations: Buffer[];
  readonly lines: string[];
}

/** The newest reservation of each id, with the units that are reserved or allocated. */
export async function readReservations(pool: Pool): Promise<Record<string, unknown>> {
  const { rows } = await pool.query<ReservationSql>(
    `SELECT DISTINCT ON (reservation_id) r.*, ARRAY(
       SELECT format('%s %s %s/%s %s', line, sku_id, warehouse_id, l.pool, reserved + allocated)
       FROM reservation_lines l
       WHERE (l.reservation_id, l.created_epoch, l.created_seq)
             = (r.reservation_id, r.created_epoch, r.created_seq) AND reserved + allocated <> 0
       ORDER BY line) AS lines
     FROM reservations r
     ORDER BY reservation_id, created_epoch DESC, created_seq DESC`,
  );
  return Object.fromEntries(
    rows.map((row) => [
      row.reservation_id,
      {
        state: row.status,
        version: row.version,
        fingerprint: row.fingerprint.toString('hex'),
        createdS: row.created_s,
        deadlineS: row.status === 'held' ? row.deadline_s : null,
        commitFingerprint: row.commit_fingerprint,
        closedBy: row.closed_by,
        operations: row.operations.map((key) => key.toString('hex')),
        lines: row.lines,
      },
    ]),
  );
}

export function reservationsOfLane(lane: SimulatedLane): Record<string, unknown> {
  return Object.fromEntries(
    Array.from(lane.reservations, ([id, record]) => [
      id,
      {
        state: record.state,
        version: record.version,
        fingerprint: record.fingerprint.toString('hex'),
        createdS: record.createdS,
        deadlineS: record.state === 'held' ? record.deadlineS : null,
        commitFingerprint: record.commitFingerprint,
        closedBy: record.closedBy ?? null,
        operations: record.operations.map((key) => key.toString('hex')),
        lines:
          record.state === 'held' || record.state === 'committed'
            ? record.placements
                .filter(({ units }) => units > 0)
                .map(({ line, sku, field, units }) => {
                  const [warehouse, cellPool = 'shared'] = field.split('/');
                  return `${line} ${sku} ${warehouse}/${cellPool} ${units}`;
                })
            : [],
      },
    ]),
  );
}
