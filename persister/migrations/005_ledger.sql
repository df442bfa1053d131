-- The ledger: one immutable row per movement of units between two locations. Quantities are
-- positive, the locations give the direction; so the balances of all locations sum to zero, and a
-- cell's balance is what came to its location less what left it.

CREATE TABLE stock_movements (
  lane             integer NOT NULL,
  epoch            bigint NOT NULL,
  seq              bigint NOT NULL,
  -- Position of the movement in its entry, from 0.
  idx              integer NOT NULL,
  sku_id           text COLLATE "C" NOT NULL,
  -- Null: outside of every warehouse (customer, supplier, loss).
  source_warehouse text COLLATE "C",
  dest_warehouse   text COLLATE "C",
  pool             text COLLATE "C" NOT NULL,
  source_location  text NOT NULL,
  dest_location    text NOT NULL,
  quantity         bigint NOT NULL CHECK (quantity > 0),
  movement_type    text NOT NULL,
  reason           text,
  reference_type   text,
  reference_id     text,
  unit_cost        numeric,
  currency         text,
  actor            text,
  -- Lane time of the entry.
  created_at       timestamptz NOT NULL,
  PRIMARY KEY (lane, epoch, seq, idx, created_at)
) PARTITION BY RANGE (created_at);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is immutable: correct it with a movement of its own', TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER stock_movements_immutable BEFORE UPDATE OR DELETE ON stock_movements
  FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Makes the partition of a month when it is missing. The persister calls it for the months of a
-- batch before the batch, so there is no default partition that would swallow rows.
CREATE FUNCTION ensure_movement_partition(first_day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  partition text := 'stock_movements_' || to_char(first_day, 'YYYY_MM');
BEGIN
  IF to_regclass(partition) IS NOT NULL THEN RETURN; END IF;
  -- Two persisters may come to the same month at once.
  PERFORM pg_advisory_xact_lock(hashtext('ensure_movement_partition'));
  IF to_regclass(partition) IS NOT NULL THEN RETURN; END IF;
  -- Attached, not created in place: that would wait for every reader of the ledger.
  EXECUTE format(
    'CREATE TABLE %I (LIKE stock_movements INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition);
  EXECUTE format(
    'ALTER TABLE stock_movements ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
    partition,
    first_day::timestamp AT TIME ZONE 'UTC',
    (first_day + interval '1 month')::timestamp AT TIME ZONE 'UTC');
  EXECUTE format(
    'CREATE TRIGGER %I BEFORE TRUNCATE ON %I EXECUTE FUNCTION refuse_change()',
    partition || '_kept', partition);
END $$;

-- The ledger as people read it, with the name of each movement.
CREATE VIEW movements AS
  SELECT concat_ws('-', lane, epoch, seq, idx) AS movement_id, m.*
  FROM stock_movements m;
