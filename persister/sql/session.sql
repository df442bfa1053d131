-- Once for each connection of the persister. First the tables that a batch is brought to before it is
-- merged; they are emptied at each commit.
CREATE TEMPORARY TABLE IF NOT EXISTS batch_settled (
  reservation_id text COLLATE "C" NOT NULL,
  created_epoch bigint NOT NULL,
  created_seq bigint NOT NULL,
  generation integer NOT NULL,
  status text,
  version integer NOT NULL,
  fingerprint bytea,
  created_s bigint,
  deadline_s bigint,
  commit_fingerprint bigint,
  closed_by text,
  order_id text,
  customer_id text,
  channel text,
  actor text,
  operations bytea[] NOT NULL,
  epoch bigint NOT NULL,
  seq bigint NOT NULL,
  revived boolean NOT NULL
) ON COMMIT DELETE ROWS;

CREATE TEMPORARY TABLE IF NOT EXISTS batch_settled_lines (
  reservation_id text COLLATE "C" NOT NULL,
  line integer NOT NULL,
  placement integer NOT NULL,
  sku_id text COLLATE "C" NOT NULL,
  warehouse_id text COLLATE "C" NOT NULL,
  pool text COLLATE "C" NOT NULL,
  requested bigint NOT NULL,
  reserved bigint NOT NULL,
  allocated bigint NOT NULL,
  shipped bigint NOT NULL,
  cancelled bigint NOT NULL,
  released bigint NOT NULL
) ON COMMIT DELETE ROWS;

CREATE TEMPORARY TABLE IF NOT EXISTS batch_cells (
  sku_id text COLLATE "C" NOT NULL,
  warehouse_id text COLLATE "C" NOT NULL,
  pool text COLLATE "C" NOT NULL,
  lane integer NOT NULL,
  available_qty bigint NOT NULL,
  reserved_qty bigint NOT NULL,
  allocated_qty bigint NOT NULL,
  version bigint NOT NULL,
  available_before bigint NOT NULL,
  reserved_before bigint NOT NULL,
  allocated_before bigint NOT NULL,
  suspect text,
  epoch bigint NOT NULL,
  seq bigint NOT NULL,
  updated_at timestamptz NOT NULL
) ON COMMIT DELETE ROWS;

-- Cells of which a settlement could not be true; without a cell where only a reservation is known.
CREATE TEMPORARY TABLE IF NOT EXISTS batch_suspects (
  sku_id text COLLATE "C",
  warehouse_id text COLLATE "C",
  pool text COLLATE "C",
  cause text NOT NULL
) ON COMMIT DELETE ROWS;

CREATE OR REPLACE FUNCTION pg_temp.overtaken() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the position is not where this batch begins' USING ERRCODE = 'HF001';
END
$$;

-- The merges are planned once for a connection, on a day on which the tables may be small. So each has
-- one plan, whatever the statistics say: rows that PostgreSQL has are found by their keys (LATERAL), and
-- rows of the batch are joined by a hash. What is not wanted but cannot be avoided costs the planner
-- so much that it would have it compiled.
SET enable_seqscan = off;
SET enable_nestloop = off;
SET enable_mergejoin = off;
SET jit = off;
