import type { Pool, PoolClient } from '../pool.ts';

/**
 * Keeps the position rows until the function that it gives is called. PostgreSQL is busy with the
 * session meanwhile: one that only waited for its client would be ended (stalled.ts).
 */
export async function keepPositions(pool: Pool): Promise<() => Promise<void>> {
  const client = await pool.connect();
  await client.query('BEGIN');
  await client.query('SELECT FROM positions FOR UPDATE');
  const { processID } = client as PoolClient & { readonly processID: number };
  let isBusy = true;
  const busy = client
    .query('SELECT pg_sleep(600)')
    .catch(() => undefined)
    .finally(() => {
      isBusy = false;
    });
  return async () => {
    // A cancellation that comes before the statement has begun is lost.
    while (isBusy) {
      await pool.query('SELECT pg_cancel_backend($1)', [processID]);
      await Promise.race([busy, new Promise((resolve) => setTimeout(resolve, 50))]);
    }
    await client.query('ROLLBACK');
    client.release();
  };
}

/** Keeps it while the work is done, and lets it go whatever becomes of that. */
export async function whilePositionsAreKept<T>(pool: Pool, work: () => Promise<T>): Promise<T> {
  const letGo = await keepPositions(pool);
  try {
    return await work();
  } finally {
    await letGo();
  }
}
