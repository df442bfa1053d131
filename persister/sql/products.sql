-- SKUs that the log defined. Their description, if there is one, stays as it is.
INSERT INTO products (sku_id, defined_epoch, defined_seq)
SELECT DISTINCT ON (sku_id) sku_id, epoch, seq
FROM json_to_recordset($1) AS defined (sku_id text, epoch bigint, seq bigint)
ORDER BY sku_id, epoch DESC, seq DESC
ON CONFLICT (sku_id) DO UPDATE
SET defined_epoch = excluded.defined_epoch, defined_seq = excluded.defined_seq
