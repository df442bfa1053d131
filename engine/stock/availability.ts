/**
 * How many units of which SKU stand where.
 *
 * The lane answers from Redis, all SKUs at one instant. While the lane is closed or cannot be
 * reached, PostgreSQL answers, marked stale, as of the last entry that it has applied.
 */
import type { Sku } from '../domain/ids.ts';
import { cellField, SHARED_POOL, splitCellField } from '../domain/ids.ts';
import type { Pool } from '../postgres/pool.ts';
import type { Lane, LaneRefusal } from '../redis/lane-port.ts';
import { isRefusal } from '../redis/lane-port.ts';
import type { CellView, SkuView } from '../redis/operation.ts';
import type { WarehouseDirectory } from './directory.ts';
import type { ShipDates } from './ship-date.ts';

export interface CellAvailability {
  readonly warehouse_id: string;
  /** Absent: the shared pool. */
  readonly pool?: string;
  readonly available_qty: number;
  readonly reserved_qty: number;
  readonly allocated_qty: number;
  /** Null: nothing is there to be shipped, or the warehouse was never described. */
  readonly estimated_ship_date: string | null;
}

export interface SkuAvailability {
  readonly sku_id: string;
  readonly total_available: number;
  /** Sum of the versions of the cells: it grows with each change. */
  readonly version: number;
  readonly as_of: string;
  readonly stale?: true;
  readonly warehouses: readonly CellAvailability[];
}

export interface AvailabilityAnswer {
  readonly known: readonly SkuAvailability[];
  readonly unknown: readonly string[];
}

export interface AvailabilityDeps {
  readonly lane: Lane;
  readonly pool: Pool;
  readonly directory: WarehouseDirectory;
  readonly shipDates: ShipDates;
}

/** What was read, from either store. */
interface Reading {
  readonly skus: readonly SkuView[];
  /** Wall time, ms. */
  readonly asOfMs: number;
  readonly isStale: boolean;
}

/** `skus` without repeats. */
export async function readAvailability(
  skus: readonly Sku[],
  deps: AvailabilityDeps,
): Promise<AvailabilityAnswer | LaneRefusal> {
  const reading = await read(skus, deps);
  if ('outcome' in reading) return reading;
  return {
    known: reading.skus.filter((view) => view.known).map((view) => toSku(view, reading, deps)),
    unknown: reading.skus.filter((view) => !view.known).map((view) => view.sku),
  };
}

async function read(skus: readonly Sku[], deps: AvailabilityDeps): Promise<Reading | LaneRefusal> {
  const answer = await deps.lane.availability(skus);
  if (!isRefusal(answer)) {
    const asOfMs = answer.stamp.timeMs - answer.stamp.offsetMs;
    return { skus: answer.skus, asOfMs, isStale: false };
  }
  // The queue is full: PostgreSQL would be next.
  if (answer.outcome === 'overloaded') return answer;
  try {
    return await readMirror(skus, deps);
  } catch {
    return answer;
  }
}

function toSku(view: SkuView, reading: Reading, deps: AvailabilityDeps): SkuAvailability {
  let total = 0;
  let version = 0;
  for (const cell of view.cells) {
    total += cell.available;
    version += cell.version;
  }
  return {
    sku_id: view.sku,
    total_available: total,
    version,
    as_of: new Date(reading.asOfMs).toISOString(),
    ...(reading.isStale ? { stale: true } : {}),
    warehouses: view.cells.map((cell) => toCell(cell, deps)).sort(byPlace),
  };
}

function toCell(cell: CellView, deps: AvailabilityDeps): CellAvailability {
  const { warehouse: id, pool } = splitCellField(cell.field);
  const warehouse = cell.available > 0 ? deps.directory.get(id) : undefined;
  return {
    warehouse_id: id,
    ...(pool === SHARED_POOL ? {} : { pool }),
    available_qty: cell.available,
    reserved_qty: cell.reserved,
    allocated_qty: cell.allocated,
    estimated_ship_date:
      warehouse === undefined ? null : deps.shipDates.estimate(warehouse, Date.now()),
  };
}

function byPlace(a: CellAvailability, b: CellAvailability): number {
  const left = cellField(a.warehouse_id, a.pool);
  const right = cellField(b.warehouse_id, b.pool);
  return left < right ? -1 : Number(left > right);
}

const SELECT_MIRROR = `
  SELECT p.sku_id, at.time_ms, i.warehouse_id, i.pool, i.available_qty, i.reserved_qty,
         i.allocated_qty, i.version
  FROM products p
  CROSS JOIN (SELECT time_ms FROM positions WHERE lane = $2) at
  LEFT JOIN inventory i ON i.sku_id = p.sku_id AND i.lane = $2
  WHERE p.sku_id = ANY($1)`;

/** The columns of `inventory` are null together, for a SKU that was never received. */
interface MirrorRow {
  readonly sku_id: string;
  readonly time_ms: number;
  readonly warehouse_id: string | null;
  readonly pool: string;
  readonly available_qty: number;
  readonly reserved_qty: number;
  readonly allocated_qty: number;
  readonly version: number;
}

async function readMirror(skus: readonly Sku[], deps: AvailabilityDeps): Promise<Reading> {
  const { rows } = await deps.pool.query<MirrorRow>(SELECT_MIRROR, [skus, deps.lane.number]);
  const cells = new Map<string, CellView[]>();
  for (const row of rows) {
    const list = cells.get(row.sku_id) ?? [];
    cells.set(row.sku_id, list);
    if (row.warehouse_id === null) continue;
    list.push({
      field: cellField(row.warehouse_id, row.pool),
      available: row.available_qty,
      reserved: row.reserved_qty,
      allocated: row.allocated_qty,
      version: row.version,
    });
  }
  // Lane time runs beside this clock by an offset that the engine knows from its last reply.
  const offsetMs = deps.lane.nowMs() - Date.now();
  return {
    skus: skus.map((sku) => ({ sku, known: cells.has(sku), cells: cells.get(sku) ?? [] })),
    asOfMs: (rows[0]?.time_ms ?? 0) - offsetMs,
    isStale: true,
  };
}
