-- The registry of lanes, and how far PostgreSQL has applied each lane's log (design, section 7).

-- One number is epoch and term: timeline of PostgreSQL * 2^32 + counter. Compare-and-set only.
CREATE TABLE lanes (
  lane       integer PRIMARY KEY,
  term       bigint NOT NULL,
  state      text NOT NULL CHECK (state IN ('new', 'recovering', 'open', 'parked')),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- The first statement of every transaction that applies the log is an UPDATE of this row that
-- names what it expects to find; a writer that was overtaken finds nothing and changes nothing.
CREATE TABLE positions (
  lane       integer PRIMARY KEY,
  term       bigint NOT NULL,
  epoch      bigint NOT NULL,
  seq        bigint NOT NULL,
  nonce      bytea NOT NULL CHECK (octet_length(nonce) = 8),
  -- Offset of the next record to read; 0 while the log is the stream in Redis.
  log_offset bigint NOT NULL,
  -- Lane time of the last entry, ms: what the rows are true as of.
  time_ms    bigint NOT NULL,
  -- Why the lane is stopped until a person looks; null: it is not.
  parked     text
);

-- Every entry that was applied: recovery asks whether the last entry of a Redis is among them.
CREATE TABLE entries (
  lane       integer NOT NULL,
  epoch      bigint NOT NULL,
  seq        bigint NOT NULL,
  nonce      bytea NOT NULL,
  pred_epoch bigint NOT NULL,
  pred_seq   bigint NOT NULL,
  pred_nonce bytea NOT NULL,
  kind       text NOT NULL,
  time_ms    bigint NOT NULL,
  PRIMARY KEY (lane, epoch, seq)
);

CREATE TABLE recoveries (
  lane       integer NOT NULL,
  term       bigint NOT NULL,
  cause      text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  -- [{step, at, ...}] in the order in which they were done.
  steps      jsonb NOT NULL DEFAULT '[]',
  ended_at   timestamptz,
  outcome    text,
  PRIMARY KEY (lane, term)
);

INSERT INTO lanes (lane, term, state) VALUES (0, 0, 'new');
INSERT INTO positions (lane, term, epoch, seq, nonce, log_offset, time_ms)
  VALUES (0, 0, 0, 0, '\x0000000000000000', 0, 0);
