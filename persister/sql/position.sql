-- First statement of every transaction: elects one writer. Whoever was overtaken fails here, before
-- anything is written.
WITH moved AS (
  UPDATE positions
  SET term = $7, epoch = $8, seq = $9, nonce = $10, log_offset = $11,
      time_ms = greatest(time_ms, $12), parked = $13
  WHERE lane = $1 AND term = $2 AND epoch = $3 AND seq = $4 AND nonce = $5 AND log_offset = $6
    AND parked IS NULL
  RETURNING lane
)
SELECT pg_temp.overtaken() WHERE NOT EXISTS (SELECT FROM moved)
