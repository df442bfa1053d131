/** What events leave behind for good: in the log, and in PostgreSQL with its indexes. */
import type { Redis } from 'ioredis';
import { decodeEntry } from '../../engine/events/entry-codec.ts';
import type { Pool } from '../../engine/postgres/pool.ts';
import { laneKeys } from '../../engine/redis/keys.ts';

const LANE = 0;
/** The last entries, of which the mean is taken. */
const ENTRIES = 256;

/** Bytes of the log's entries for each change; NaN where the log is empty. */
export async function logBytesPerEvent(redis: Redis): Promise<number> {
  const { log } = laneKeys(LANE);
  const entries = await redis.callBuffer('XREVRANGE', log, '+', '-', 'COUNT', ENTRIES);
  let bytes = 0;
  let events = 0;
  for (const [, [, entry]] of entries as [Buffer, [Buffer, Buffer]][]) {
    bytes += entry.length;
    events += decodeEntry(entry).changes.length;
  }
  return bytes / events;
}

/** Of the whole database, indexes and all. */
export async function databaseBytes(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ bytes: string }>(
    'SELECT pg_database_size(current_database())::text AS bytes',
  );
  return Number(rows[0]?.bytes);
}
