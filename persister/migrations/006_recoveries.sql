-- What an SRE asks of a recovery afterwards: since when, who, on which Redis, how far.

ALTER TABLE recoveries
  -- The last look at the lane that found it well; null: its watcher never saw it so.
  ADD COLUMN well_at         timestamptz,
  -- The first look that found the cause; started_at is when the term was had.
  ADD COLUMN detected_at     timestamptz,
  -- host:pid of the process that recovered.
  ADD COLUMN leader          text,
  -- The Redis that was claimed, as the leader reached it, and its replication id.
  ADD COLUMN primary_address text,
  ADD COLUMN replid          text,
  -- How far a copy of many rows is: {rows, total, rows_per_s, eta_s}.
  ADD COLUMN progress        jsonb;

-- The newest of a lane.
CREATE INDEX recoveries_newest ON recoveries (lane, started_at DESC);
