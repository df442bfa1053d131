/**
 * Who waits for a row need not wait for a client that is gone.
 *
 * A process that is cut off from PostgreSQL, or stopped, in the middle of a transaction keeps its row
 * locks. PostgreSQL notices a cut by TCP alone, after hours by default; and a COPY that waits for its
 * client is ended by no timeout of a statement. So the position row of a lane could be kept from every
 * other persister, and a failover wait for a network to heal (seen: 117 s). Whoever waits for the row
 * therefore ends the sessions that keep it and wait for their own clients. Safe at any time: what such
 * a session has not committed is applied again by whoever goes on.
 */
import type { Pool, PoolClient } from './pool.ts';

/** A client that lives sends its next statement, or the next bytes of its COPY, within milliseconds. */
export const STALLED_MS = 1_000;

const END_STALLED = `
  SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE pid = ANY (pg_blocking_pids($1)) AND wait_event = 'ClientRead'
    AND state_change < clock_timestamp() - $2 * interval '1 millisecond'`;

/**
 * Runs `work`, a statement on the client that may wait for a row. Meanwhile, once in STALLED_MS, the
 * sessions that it waits for are looked at over another connection of the pool.
 */
export async function endingStalled<T>(
  pool: Pool,
  client: PoolClient,
  work: () => Promise<T>,
): Promise<T> {
  const { processID } = client as PoolClient & { readonly processID: number };
  // When that look fails the next one may not; the statement's own timeout stands above all.
  const look = (): void =>
    void pool.query(END_STALLED, [processID, STALLED_MS]).catch(() => undefined);
  const timer = setInterval(look, STALLED_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
