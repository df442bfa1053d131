/**
 * PostgreSQL against itself: for each cell, the balances (inventory), the sums of the ledger
 * (stock_movements) and the sums of the reservations' lines must be the same numbers, and what is
 * promised must not exceed what was granted (I1, I4).
 */
import type { Findings, Found } from './difference.ts';
import type { Snapshot } from './snapshot.ts';
import { fieldOf } from './stored-reservations.ts';

export interface LedgerRow {
  readonly sku_id: string;
  readonly warehouse_id: string;
  readonly pool: string;
  /** Balances by the ledger; null when it has no movement of the cell. */
  readonly available: number | null;
  readonly reserved: number | null;
  readonly allocated: number | null;
  readonly shipped: number | null;
  /** Units that came into the cell less those that left it other than to customers. */
  readonly granted: number | null;
  /** Balances by inventory; null when there is no row. */
  readonly available_qty: number | null;
  readonly reserved_qty: number | null;
  readonly allocated_qty: number | null;
  readonly suspect: string | null;
  /** Sums of the lines of reservations; null when none names the cell. */
  readonly line_reserved: number | null;
  readonly line_allocated: number | null;
}

/** Sums over all cells, in units. */
export interface UnitTotals {
  granted: number;
  available: number;
  reserved: number;
  allocated: number;
  shipped: number;
  oversold: number;
}

/** Where units stand in a warehouse, and where customers have them; all else is outside. */
const SELECT_LEDGER = `
  WITH flows AS (
    SELECT sku_id, coalesce(dest_warehouse, source_warehouse) AS warehouse_id, pool,
           dest_location AS location, quantity AS units
    FROM stock_movements WHERE lane = $1
    UNION ALL
    SELECT sku_id, coalesce(source_warehouse, dest_warehouse), pool, source_location, -quantity
    FROM stock_movements WHERE lane = $1
  ), ledger AS (
    SELECT sku_id, warehouse_id, pool,
           coalesce(sum(units) FILTER (WHERE location = 'available'), 0)::bigint AS available,
           coalesce(sum(units) FILTER (WHERE location = 'reserved'), 0)::bigint AS reserved,
           coalesce(sum(units) FILTER (WHERE location = 'allocated'), 0)::bigint AS allocated,
           coalesce(sum(units) FILTER (WHERE location = 'customer'), 0)::bigint AS shipped,
           -coalesce(sum(units) FILTER (WHERE location NOT IN
             ('available', 'reserved', 'allocated', 'customer')), 0)::bigint AS granted
    FROM flows GROUP BY sku_id, warehouse_id, pool
  ), balances AS (
    SELECT sku_id, warehouse_id, pool, available_qty, reserved_qty, allocated_qty, suspect
    FROM inventory WHERE lane = $1
  ), lines AS (
    SELECT sku_id, warehouse_id, pool, sum(reserved)::bigint AS line_reserved,
           sum(allocated)::bigint AS line_allocated
    FROM reservation_lines WHERE reserved <> 0 OR allocated <> 0
    GROUP BY sku_id, warehouse_id, pool
  )
  SELECT * FROM ledger
    FULL JOIN balances USING (sku_id, warehouse_id, pool)
    FULL JOIN lines USING (sku_id, warehouse_id, pool)`;

/** Checks every cell; calls `onCell` with each, so that others can compare theirs. */
export async function auditLedger(
  snapshot: Snapshot,
  lane: number,
  findings: Findings,
): Promise<{ cells: number; units: UnitTotals }> {
  const units = { granted: 0, available: 0, reserved: 0, allocated: 0, shipped: 0, oversold: 0 };
  let cells = 0;
  for await (const rows of snapshot.pieces<LedgerRow>(SELECT_LEDGER, [lane])) {
    for (const row of rows) {
      cells += 1;
      addUp(units, row);
      for (const found of compareLedger(row)) findings.add(found);
    }
  }
  return { cells, units };
}

function addUp(units: UnitTotals, row: LedgerRow): void {
  units.granted += row.granted ?? 0;
  units.available += row.available_qty ?? 0;
  units.reserved += row.reserved_qty ?? 0;
  units.allocated += row.allocated_qty ?? 0;
  units.shipped += row.shipped ?? 0;
  units.oversold += Math.max(0, oversoldUnits(row));
}

function oversoldUnits(row: LedgerRow): number {
  const promised = (row.allocated ?? 0) + (row.reserved ?? 0) + (row.shipped ?? 0);
  return promised - (row.granted ?? 0);
}

export function compareLedger(row: LedgerRow): Found[] {
  const where = `cell ${row.sku_id} ${fieldOf(row)}`;
  const found: Found[] = [];
  const disagree = (what: string, ledger: number | null, balance: number | null) => {
    if ((ledger ?? 0) === (balance ?? 0)) return;
    const postgres = `${balance ?? 'no row'} ${what}`;
    const explanation = `the ledger's movements sum to ${ledger ?? 'nothing'} ${what}`;
    found.push({ invariant: 'I4', where, postgres, explanation });
  };
  disagree('available', row.available, row.available_qty);
  disagree('reserved', row.reserved, row.reserved_qty);
  disagree('allocated', row.allocated, row.allocated_qty);
  const lines = (what: string, sum: number | null, balance: number | null) => {
    if ((sum ?? 0) === (balance ?? 0)) return;
    const postgres = `${balance ?? 'no row'} ${what}`;
    const explanation = `the lines of reservations sum to ${sum ?? 0} ${what}`;
    found.push({ invariant: 'I4', where, postgres, explanation });
  };
  lines('reserved', row.line_reserved, row.reserved_qty);
  lines('allocated', row.line_allocated, row.allocated_qty);
  return [...found, ...brokenPromises(where, row)];
}

function brokenPromises(where: string, row: LedgerRow): Found[] {
  const found: Found[] = [];
  const oversold = oversoldUnits(row);
  if (oversold > 0) {
    const promised = `${row.allocated ?? 0} committed + ${row.reserved ?? 0} held + ${row.shipped ?? 0} shipped`;
    const explanation = `${promised} is ${oversold} more than the ${row.granted ?? 0} granted`;
    found.push({ invariant: 'I1', where, explanation });
  }
  for (const what of ['available_qty', 'reserved_qty', 'allocated_qty'] as const) {
    const balance = row[what] ?? 0;
    if (balance < 0) {
      const explanation = 'a balance is below zero';
      found.push({ invariant: 'I1', where, postgres: `${what} = ${balance}`, explanation });
    }
  }
  if (row.suspect !== null) {
    const explanation = `the persister marked the cell suspect: ${row.suspect}`;
    found.push({ invariant: 'I4', where, explanation });
  }
  return found;
}
