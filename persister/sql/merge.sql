-- What a batch changes of rows that PostgreSQL has. Its rows come as parameters, an array a column, and
-- stand before this text as batch_settled, batch_lines and batch_cells (merge-columns.ts); $1 is the lane.
--
-- Changes of reservations go each to the newest row of its id, so this runs before the batch's own new
-- rows are there. An id without a row makes one: a commit may take the units of a forgotten hold again
-- (revived); any other has lost its past, which makes its cells suspect, as lines do whose balance
-- breaks a rule.
--
-- Cells take the balances that Redis decided. A cell whose balance here is not what the batch
-- started from, or that breaks a rule, is marked with the first cause. New marks are returned, and what
-- settlements broke that is no cell of the batch.
target AS MATERIALIZED (
  SELECT s.place,
         s.reservation_id,
         coalesce(n.created_epoch, s.created_epoch) AS created_epoch,
         coalesce(n.created_seq, s.created_seq) AS created_seq,
         n.created_epoch IS NULL AS is_absent,
         s.revived,
         s.generation,
         coalesce(s.status, n.status, 'held') AS status,
         s.version,
         coalesce(s.fingerprint, n.fingerprint, '\x0000000000000000') AS fingerprint,
         coalesce(s.created_s, n.created_s, 0) AS created_s,
         CASE WHEN s.revived THEN s.deadline_s ELSE coalesce(s.deadline_s, n.deadline_s) END
           AS deadline_s,
         coalesce(s.commit_fingerprint, n.commit_fingerprint, 0) AS commit_fingerprint,
         coalesce(s.closed_by, n.closed_by) AS closed_by,
         coalesce(s.order_id, n.order_id) AS order_id,
         coalesce(s.customer_id, n.customer_id) AS customer_id,
         coalesce(s.channel, n.channel) AS channel,
         coalesce(n.actor, s.actor) AS actor,
         CASE WHEN s.revived THEN '{}' ELSE coalesce(n.operations, '{}') END
           || coalesce(s.operations::bytea[], '{}') AS operations,
         s.epoch,
         s.seq
  FROM batch_settled s
  LEFT JOIN LATERAL (
    SELECT r.*
    FROM reservations r
    WHERE r.reservation_id = s.reservation_id
    ORDER BY r.created_epoch DESC, r.created_seq DESC
    LIMIT 1
  ) n ON true
), merged_reservations AS (
  -- By the key and not by UPDATE ... FROM, for which the planner may read the whole table.
  INSERT INTO reservations (
    reservation_id, created_epoch, created_seq, lane, generation, status, version, fingerprint,
    created_s, deadline_s, commit_fingerprint, closed_by, order_id, customer_id, channel, actor,
    operations, epoch, seq)
  SELECT reservation_id, created_epoch, created_seq, $1, generation, status, version, fingerprint,
         created_s, deadline_s, commit_fingerprint, closed_by, order_id, customer_id, channel, actor,
         operations, epoch, seq
  FROM target
  ON CONFLICT (reservation_id, created_epoch, created_seq)
  DO UPDATE
  SET generation = excluded.generation,
      status = excluded.status,
      version = excluded.version,
      fingerprint = excluded.fingerprint,
      created_s = excluded.created_s,
      deadline_s = excluded.deadline_s,
      commit_fingerprint = excluded.commit_fingerprint,
      closed_by = excluded.closed_by,
      order_id = excluded.order_id,
      customer_id = excluded.customer_id,
      channel = excluded.channel,
      actor = excluded.actor,
      operations = excluded.operations,
      epoch = excluded.epoch,
      seq = excluded.seq
), merged_lines AS (
  INSERT INTO reservation_lines AS l (
    reservation_id, created_epoch, created_seq, line, placement, sku_id, warehouse_id, pool,
    requested, reserved, allocated, shipped, cancelled, released)
  SELECT t.reservation_id, t.created_epoch, t.created_seq, b.line, b.placement, b.sku_id,
         b.warehouse_id, b.pool, b.requested, b.reserved, b.allocated, b.shipped, b.cancelled,
         b.released
  FROM batch_lines b
  JOIN target t ON t.place = b.settled
  ON CONFLICT (reservation_id, created_epoch, created_seq, line, sku_id, warehouse_id, pool)
  DO UPDATE
  -- 0: not asked anew.
  SET requested = CASE WHEN excluded.requested > 0 THEN excluded.requested ELSE l.requested END,
      reserved = l.reserved + excluded.reserved,
      allocated = l.allocated + excluded.allocated,
      shipped = l.shipped + excluded.shipped,
      cancelled = l.cancelled + excluded.cancelled,
      released = l.released + excluded.released
  RETURNING l.reservation_id, l.line, l.sku_id, l.warehouse_id, l.pool, l.reserved, l.allocated
), suspects AS MATERIALIZED (
  -- Without a cell where only a reservation is known.
  SELECT b.sku_id, b.warehouse_id, b.pool,
         'reservation ' || t.reservation_id || ' was not known' AS cause
  FROM target t
  LEFT JOIN batch_lines b ON b.settled = t.place
  WHERE t.is_absent AND NOT t.revived
  UNION ALL
  SELECT sku_id, warehouse_id, pool,
         format('line %s of reservation %s has %s reserved, %s allocated',
                line, reservation_id, reserved, allocated)
  FROM merged_lines
  WHERE reserved < 0 OR allocated < 0
), judged AS MATERIALIZED (
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
    WHERE (sku_id, warehouse_id, pool, lane) = (c.sku_id, c.warehouse_id, c.pool, $1)
    LIMIT 1
  ) i ON true
  LEFT JOIN LATERAL (
    SELECT cause
    FROM suspects
    WHERE (sku_id, warehouse_id, pool) = (c.sku_id, c.warehouse_id, c.pool)
    LIMIT 1
  ) s ON true
), merged_cells AS (
  INSERT INTO inventory AS i (
    sku_id, warehouse_id, pool, lane, available_qty, reserved_qty, allocated_qty, version, epoch,
    seq, suspect, updated_at)
  SELECT sku_id, warehouse_id, pool, $1, available_qty, reserved_qty, allocated_qty, version,
         epoch, seq, cause, timestamptz 'epoch' + time_ms * interval '1 millisecond'
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
FROM suspects s
WHERE NOT EXISTS (
  SELECT FROM batch_cells c
  WHERE (c.sku_id, c.warehouse_id, c.pool) = (s.sku_id, s.warehouse_id, s.pool)
)
