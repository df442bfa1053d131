/** What the ledger and the lines of reservations sum to, cell by cell: common table expressions. */

/** By cell: the sums of its movements. $1 lane, $2 SKUs or null. */
export const FLOWS = `
  flows AS (
    SELECT sku_id, coalesce(dest_warehouse, source_warehouse) AS warehouse_id, pool,
           dest_location AS location, quantity AS units
    FROM stock_movements WHERE lane = $1 AND ($2::text[] IS NULL OR sku_id = ANY ($2))
    UNION ALL
    SELECT sku_id, coalesce(source_warehouse, dest_warehouse), pool, source_location, -quantity
    FROM stock_movements WHERE lane = $1 AND ($2::text[] IS NULL OR sku_id = ANY ($2))
  ), ledger AS (
    SELECT sku_id, warehouse_id, pool,
           coalesce(sum(units) FILTER (WHERE location = 'available'), 0)::bigint AS available,
           coalesce(sum(units) FILTER (WHERE location = 'reserved'), 0)::bigint AS reserved,
           coalesce(sum(units) FILTER (WHERE location = 'allocated'), 0)::bigint AS allocated
    FROM flows GROUP BY sku_id, warehouse_id, pool
  ), lines AS (
    SELECT sku_id, warehouse_id, pool, sum(reserved)::bigint AS line_reserved,
           sum(allocated)::bigint AS line_allocated
    FROM reservation_lines
    WHERE (reserved <> 0 OR allocated <> 0) AND ($2::text[] IS NULL OR sku_id = ANY ($2))
    GROUP BY sku_id, warehouse_id, pool
  )`;
