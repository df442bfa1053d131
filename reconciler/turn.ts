/**
 * Whose turn it is to recover a lane. Watchers stand by in several processes; were they all to start,
 * each would take a newer term and end the others' work, and none might ever finish. So one takes a
 * lock of PostgreSQL's that goes with its session: it is free again the moment its holder dies.
 *
 * This is for good manners alone. Safety rests on the terms, so who waited long enough beside a
 * holder that shows no sign of life may begin without the lock (watch.ts).
 */
import type { Pool } from '../engine/postgres/pool.ts';

/** 'Hold' in ASCII: first half of the lock's key, the lane is the second. */
const LOCK_CLASS = 0x486f6c64;

export interface Turn {
  /** False: another holds it. */
  readonly isOurs: boolean;
  /** Gives it to others; never throws, because ending the session does it as well. */
  end(): Promise<void>;
}

export async function takeTurn(pool: Pool, lane: number): Promise<Turn> {
  const client = await pool.connect();
  // A session that breaks while nobody uses it would otherwise be an uncaught error.
  const ignore = () => undefined;
  client.on('error', ignore);
  const giveBack = (broken: boolean) => {
    client.off('error', ignore);
    client.release(broken);
  };
  try {
    const { rows } = await client.query<{ ours: boolean }>(
      'SELECT pg_try_advisory_lock($1, $2) AS ours',
      [LOCK_CLASS, lane],
    );
    if (rows[0]?.ours !== true) {
      giveBack(false);
      return { isOurs: false, end: async () => undefined };
    }
  } catch (error) {
    giveBack(true);
    throw error;
  }
  const unlock = async () => {
    const isUnlocked = await client
      .query('SELECT pg_advisory_unlock($1, $2)', [LOCK_CLASS, lane])
      .then(
        () => true,
        () => false,
      );
    giveBack(!isUnlocked);
  };
  return { isOurs: true, end: unlock };
}
