-- Cells take the balances that Redis decided. A cell whose balance here is not what the batch
-- started from, or that breaks a rule, is marked with the first cause. New marks are returned, and what
-- settlements broke that is no cell of the batch.
WITH judged AS MATERIALIZED (
  SELECT c.*,
         i.suspect IS NULL AS is_new,
         CASE
           WHEN c.suspect IS NOT NULL THEN c.suspect
           WHEN s.cause IS NOT NULL THEN s.cause
           WHEN coalesce(i.available_qty, 0) <> c.available_before
             OR coalesce(i.reserved_qty, 0) <> c.reserved_before
             OR coalesce(i.allocated_qty, 0) <> c.allocated_before
           THEN format('balances were %s/%s/%s, the batch to %s-%s started from %s/%s/%s',
                       coalesce(i.available_qty, 0), coalesce(i.reserved_qty, 0),
                       coalesce(i.allocated_qty, 0), c.epoch, c.seq,
                       c.available_before, c.reserved_before, c.allocated_before)
           WHEN c.available_qty < 0 OR c.reserved_qty < 0 OR c.allocated_qty < 0
           THEN format('balances are %s/%s/%s at %s-%s', c.available_qty, c.reserved_qty,
                       c.allocated_qty, c.epoch, c.seq)
         END AS cause
  FROM batch_cells c
  LEFT JOIN LATERAL (
    SELECT *
    FROM inventory
    WHERE (sku_id, warehouse_id, pool, lane) = (c.sku_id, c.warehouse_id, c.pool, c.lane)
    LIMIT 1
  ) i ON true
  LEFT JOIN LATERAL (
    SELECT cause
    FROM batch_suspects
    WHERE (sku_id, warehouse_id, pool) = (c.sku_id, c.warehouse_id, c.pool)
    LIMIT 1
  ) s ON true
), merged AS (
  INSERT INTO inventory AS i (
    sku_id, warehouse_id, pool, lane, available_qty, reserved_qty, allocated_qty, version, epoch,
    seq, suspect, updated_at)
  SELECT sku_id, warehouse_id, pool, lane, available_qty, reserved_qty, allocated_qty, version,
         epoch, seq, cause, updated_at
  FROM judged
  ON CONFLICT (sku_id, warehouse_id, pool, lane)
  DO UPDATE
  SET available_qty = excluded.available_qty,
      reserved_qty = excluded.reserved_qty,
      allocated_qty = excluded.allocated_qty,
      version = excluded.version,
      epoch = excluded.epoch,
      seq = excluded.seq,
      suspect = coalesce(i.suspect, excluded.suspect),
      updated_at = excluded.updated_at
)
SELECT sku_id, warehouse_id, pool, cause FROM judged WHERE cause IS NOT NULL AND is_new
UNION ALL
SELECT sku_id, warehouse_id, pool, cause
FROM batch_suspects s
WHERE NOT EXISTS (
  SELECT FROM batch_cells c
  WHERE (c.sku_id, c.warehouse_id, c.pool) = (s.sku_id, s.warehouse_id, s.pool)
)
