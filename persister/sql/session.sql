-- Once for each connection of the persister: the tables that a batch is brought to before it is
-- merged. They are emptied at each commit.
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
