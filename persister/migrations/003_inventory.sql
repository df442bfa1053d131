-- Cells: one row per (cell, lane), so that lanes never wait for each other; the view sums.

CREATE TABLE inventory (
  sku_id        text COLLATE "C" NOT NULL,
  warehouse_id  text COLLATE "C" NOT NULL,
  pool          text COLLATE "C" NOT NULL DEFAULT 'shared',
  lane          integer NOT NULL,
  -- No CHECK here: what Redis decided is applied, and a balance that breaks a rule is marked.
  available_qty bigint NOT NULL,
  reserved_qty  bigint NOT NULL,
  allocated_qty bigint NOT NULL,
  total_qty     bigint GENERATED ALWAYS AS (available_qty + reserved_qty + allocated_qty) STORED,
  reorder_point bigint,
  -- Redis's own: equal versions mean equal balances.
  version       bigint NOT NULL,
  -- The entry that changed it last.
  epoch         bigint NOT NULL,
  seq           bigint NOT NULL,
  -- The first rule that the row was seen to break, until somebody clears it.
  suspect       text,
  updated_at    timestamptz NOT NULL,
  PRIMARY KEY (sku_id, warehouse_id, pool, lane)
)
-- A hot cell is rewritten by every batch: room in the page keeps it there.
WITH (fillfactor = 70);

CREATE INDEX inventory_suspect ON inventory (sku_id) WHERE suspect IS NOT NULL;

CREATE VIEW inventory_totals AS
  SELECT sku_id, warehouse_id, pool,
         sum(available_qty)::bigint AS available_qty,
         sum(reserved_qty)::bigint  AS reserved_qty,
         sum(allocated_qty)::bigint AS allocated_qty,
         sum(total_qty)::bigint     AS total_qty,
         max(reorder_point)         AS reorder_point,
         sum(version)::bigint       AS version,
         bool_or(suspect IS NOT NULL) AS is_suspect,
         max(updated_at)            AS updated_at
  FROM inventory
  GROUP BY sku_id, warehouse_id, pool;
