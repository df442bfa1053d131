-- Changes of reservations that PostgreSQL has: each to the newest row of its id. Runs before the
-- batch's own new rows are there. An id without a row makes one: a commit may take the units of a
-- forgotten hold again (revived); any other has lost its past, which is returned, with the lines
-- whose balance breaks a rule, as what makes a cell suspect.
-- $1 lane
WITH target AS MATERIALIZED (
  SELECT s.reservation_id,
         coalesce(n.created_epoch, s.created_epoch) AS created_epoch,
         coalesce(n.created_seq, s.created_seq) AS created_seq,
         n.created_epoch IS NULL AS is_absent,
         s.generation, s.status, s.version, s.fingerprint, s.created_s, s.deadline_s,
         s.commit_fingerprint, s.closed_by, s.order_id, s.customer_id, s.channel, s.actor, s.operations,
         s.epoch, s.seq, s.revived
  FROM batch_settled s
  LEFT JOIN LATERAL (
    SELECT r.created_epoch, r.created_seq
    FROM reservations r
    WHERE r.reservation_id = s.reservation_id
    ORDER BY r.created_epoch DESC, r.created_seq DESC
    LIMIT 1
  ) n ON true
), changed AS (
  UPDATE reservations r
  SET status = coalesce(t.status, r.status),
      version = t.version,
      generation = t.generation,
      fingerprint = coalesce(t.fingerprint, r.fingerprint),
      created_s = coalesce(t.created_s, r.created_s),
      deadline_s = CASE WHEN t.revived THEN t.deadline_s ELSE coalesce(t.deadline_s, r.deadline_s) END,
      commit_fingerprint = coalesce(t.commit_fingerprint, r.commit_fingerprint),
      closed_by = coalesce(t.closed_by, r.closed_by),
      order_id = coalesce(t.order_id, r.order_id),
      customer_id = coalesce(t.customer_id, r.customer_id),
      channel = coalesce(t.channel, r.channel),
      actor = coalesce(r.actor, t.actor),
      operations = CASE WHEN t.revived THEN t.operations ELSE r.operations || t.operations END,
      epoch = t.epoch,
      seq = t.seq
  FROM target t
  WHERE NOT t.is_absent
    AND r.reservation_id = t.reservation_id
    AND r.created_epoch = t.created_epoch
    AND r.created_seq = t.created_seq
), made AS (
  INSERT INTO reservations (
    reservation_id, created_epoch, created_seq, lane, generation, status, version, fingerprint,
    created_s, deadline_s, commit_fingerprint, closed_by, order_id, customer_id, channel, actor,
    operations, epoch, seq)
  SELECT reservation_id, created_epoch, created_seq, $1, generation, coalesce(status, 'held'),
         version, coalesce(fingerprint, '\x0000000000000000'), coalesce(created_s, 0), deadline_s,
         coalesce(commit_fingerprint, 0), closed_by, order_id, customer_id, channel, actor,
         operations, epoch, seq
  FROM target
  WHERE is_absent
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
SELECT t.reservation_id, b.sku_id, b.warehouse_id, b.pool,
       'reservation ' || t.reservation_id || ' was not known' AS cause
FROM target t
LEFT JOIN batch_settled_lines b USING (reservation_id)
WHERE t.is_absent AND NOT t.revived
UNION ALL
SELECT reservation_id, sku_id, warehouse_id, pool,
       format('line %s of reservation %s has %s reserved, %s allocated',
              line, reservation_id, reserved, allocated)
FROM lines
WHERE reserved < 0 OR allocated < 0
