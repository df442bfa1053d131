-- Changes of reservations that PostgreSQL has: each to the newest row of its id. Runs before the
-- batch's own new rows are there. An id without a row makes one: a commit may take the units of a
-- forgotten hold again (revived); any other has lost its past, which makes its cells suspect, as lines
-- do whose balance breaks a rule.
-- $1 lane
WITH target AS MATERIALIZED (
  SELECT s.reservation_id,
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
         CASE WHEN s.revived THEN s.operations ELSE coalesce(n.operations, '{}') || s.operations END
           AS operations,
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
), merged AS (
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
), lines AS (
  INSERT INTO reservation_lines AS l (
    reservation_id, created_epoch, created_seq, line, placement, sku_id, warehouse_id, pool,
    requested, reserved, allocated, shipped, cancelled, released)
  SELECT t.reservation_id, t.created_epoch, t.created_seq, b.line, b.placement, b.sku_id,
         b.warehouse_id, b.pool, b.requested, b.reserved, b.allocated, b.shipped, b.cancelled,
         b.released
  FROM batch_settled_lines b
  JOIN target t USING (reservation_id)
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
)
INSERT INTO batch_suspects (sku_id, warehouse_id, pool, cause)
SELECT b.sku_id, b.warehouse_id, b.pool,
       'reservation ' || t.reservation_id || ' was not known'
FROM target t
LEFT JOIN batch_settled_lines b USING (reservation_id)
WHERE t.is_absent AND NOT t.revived
UNION ALL
SELECT sku_id, warehouse_id, pool,
       format('line %s of reservation %s has %s reserved, %s allocated',
              line, reservation_id, reserved, allocated)
FROM lines
WHERE reserved < 0 OR allocated < 0
