-- What each run of reconcile compared, found and repaired, for as long as somebody keeps it.
CREATE TABLE reconciliations (
  run         text PRIMARY KEY,
  lane        integer NOT NULL,
  started_at  timestamptz NOT NULL,
  ended_at    timestamptz NOT NULL,
  -- Why the stores could not be compared; null: they were.
  failure     text,
  applied     boolean NOT NULL,
  -- {cells, records, holds, due_entries, ledger_cells, unsettled}
  compared    jsonb NOT NULL,
  -- Differences by cause.
  differences jsonb NOT NULL,
  repaired    integer NOT NULL,
  -- Differences that stood when the run was over.
  remaining   integer NOT NULL,
  -- The whole report, with the first differences.
  report      jsonb
);

CREATE INDEX reconciliations_newest ON reconciliations (lane, started_at DESC);
