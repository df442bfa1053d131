-- Once for each connection of the persister.
CREATE OR REPLACE FUNCTION pg_temp.overtaken() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the position is not where this batch begins' USING ERRCODE = 'HF001';
END
$$;

-- The merge is planned once for a connection, on a day on which the tables may be small. So it has one
-- plan, whatever the statistics and the batch say: rows that PostgreSQL has are found by their keys
-- (LATERAL), and rows of the batch are joined by a hash. What is not wanted but cannot be avoided costs
-- the planner so much that it would have it compiled.
SET plan_cache_mode = force_generic_plan;
SET enable_seqscan = off;
SET enable_nestloop = off;
SET enable_mergejoin = off;
SET jit = off;
