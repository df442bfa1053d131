-- Reservations for ever; Redis forgets them when their idempotency window is over.

CREATE TABLE reservations (
  reservation_id     text COLLATE "C" NOT NULL,
  -- The entry that made this row: a client may use an id again after the window, and look-ups
  -- return the newest.
  created_epoch      bigint NOT NULL,
  created_seq        bigint NOT NULL,
  lane               integer NOT NULL,
  -- Day of lane time under which Redis keeps the record.
  generation         integer NOT NULL,
  status             text NOT NULL,
  version            integer NOT NULL,
  fingerprint        bytea NOT NULL,
  -- Lane time in whole seconds, as in the record in Redis.
  created_s          bigint NOT NULL,
  deadline_s         bigint,
  commit_fingerprint bigint NOT NULL DEFAULT 0,
  -- The verb that took the last unit of a closed reservation.
  closed_by          text,
  order_id           text,
  customer_id        text,
  channel            text,
  actor              text,
  -- Keys of the partial settlements that were applied, 8 bytes each, in their order.
  operations         bytea[] NOT NULL DEFAULT '{}',
  -- The entry that changed it last.
  epoch              bigint NOT NULL,
  seq                bigint NOT NULL,
  -- Also the look-up of the newest by id.
  PRIMARY KEY (reservation_id, created_epoch, created_seq),
  CHECK (status IN ('held', 'committed', 'released', 'expired', 'closed')),
  CHECK (closed_by IN ('cancel', 'ship'))
);

-- Holds must be in Redis whatever their age.
CREATE INDEX reservations_held ON reservations (lane, epoch, seq) WHERE status = 'held';
-- Copy back asks for what is newer than a position, and for what was settled in the last days. Rows
-- come in that order, so a summary per megabyte finds them; a second b-tree of everything would cost the hot path more.
CREATE INDEX reservations_changed ON reservations
  USING brin (epoch, seq, generation) WITH (autosummarize = on);

CREATE TABLE reservation_lines (
  reservation_id text COLLATE "C" NOT NULL,
  created_epoch  bigint NOT NULL,
  created_seq    bigint NOT NULL,
  line           integer NOT NULL,
  -- Order of the cells of one line: a commit of less frees them in this order.
  placement      integer NOT NULL,
  sku_id         text COLLATE "C" NOT NULL,
  warehouse_id   text COLLATE "C" NOT NULL,
  pool           text COLLATE "C" NOT NULL,
  -- Units that the whole line asked for.
  requested      bigint NOT NULL,
  -- Units now reserved and now allocated here ...
  reserved       bigint NOT NULL DEFAULT 0,
  allocated      bigint NOT NULL DEFAULT 0,
  -- ... and what became of the others. released: freed while held, expiry included.
  shipped        bigint NOT NULL DEFAULT 0,
  cancelled      bigint NOT NULL DEFAULT 0,
  released       bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (reservation_id, created_epoch, created_seq, line, sku_id, warehouse_id, pool)
);

-- Stock operations: that they were done, and with what body.
CREATE TABLE operations (
  operation_id text COLLATE "C" NOT NULL,
  epoch        bigint NOT NULL,
  seq          bigint NOT NULL,
  lane         integer NOT NULL,
  generation   integer NOT NULL,
  kind         text NOT NULL CHECK (kind IN ('receive', 'adjust')),
  fingerprint  bytea NOT NULL,
  created_s    bigint NOT NULL,
  PRIMARY KEY (operation_id, epoch, seq)
);

CREATE INDEX operations_changed ON operations (lane, epoch, seq);
