/** How long a look into PostgreSQL is waited for while its statements hang: behind a lock that another has. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MigratedDatabase, migratedDatabase } from '../../persister/testing/database.ts';
import { readPosition } from '../postgres/position.ts';
import type { LaneStamp } from '../redis/operation.ts';
import { type Archive, createArchive } from './archive.ts';

const WAIT_MS = 100;
const REACHED: LaneStamp = { epoch: 0, seq: 0, timeMs: 0, offsetMs: 0 };

let database: MigratedDatabase;
let archive: Archive;

beforeAll(async () => {
  database = await migratedDatabase();
  archive = createArchive({ ...{ pool: database.pool, lane: 0, waitMs: WAIT_MS }, demand() {} });
});
afterAll(() => database.end());

/** Whoever reads the table waits meanwhile. */
async function whileLocked(table: string, work: () => Promise<void>): Promise<void> {
  const client = await database.pool.connect();
  // Else PostgreSQL ends the session after ten seconds, and a look that waits too long would go on.
  await client.query('BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0');
  await client.query(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
  try {
    await work();
  } finally {
    client.release(true);
  }
}

describe('a look into PostgreSQL', () => {
  it.each([
    ['positions', 'how far it is'],
    ['reservations', 'what it has'],
  ])('ends in its time while %s cannot be read: %s', async (table) => {
    await whileLocked(table, async () => {
      let isHanging = true;
      const hung = database.pool.query(`SELECT FROM ${table}`).finally(() => {
        isHanging = false;
      });
      hung.catch(() => undefined);
      const said = await archive.find('any', REACHED).then(String, String);
      expect(said).toContain('no answer within');
      expect(isHanging, 'whoever reads it without a bound still waits').toBe(true);
    });
    await expect.poll(() => archive.find('any', REACHED).catch(String)).toBeUndefined();
  });

  it('says where PostgreSQL is when that is not far enough in time', async () => {
    const { epoch, seq } = await readPosition(database.pool, 0);
    const beyond = { ...REACHED, epoch, seq: seq + 1 };
    await expect(archive.find('any', beyond)).rejects.toThrow(
      `it is at ${epoch}-${seq} of lane 0 and did not get to ${epoch}-${seq + 1} within ${WAIT_MS} ms`,
    );
  });
});
