import { Client } from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { startPostgresPair } from './postgres-pair.ts';
import type { TestPostgres } from './servers.ts';

const cleanups: Array<() => Promise<unknown>> = [];
afterAll(() => Promise.all(cleanups.map((cleanup) => cleanup())));

async function query({ url }: TestPostgres, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows.map((row) => Object.values(row)[0]);
  } finally {
    await client.end();
  }
}

const TIMELINE = 'SELECT timeline_id FROM pg_control_checkpoint()';
const KEPT = 'SELECT x FROM kept ORDER BY x';

describe('startPostgresPair', () => {
  it('streams, is cut off and caught up, and is promoted behind on a new timeline', async () => {
    const pair = await startPostgresPair();
    cleanups.push(() => pair.stop());
    const { primary, standby } = pair;
    expect(pair.url).toMatch(/^postgresql:\/\/holdfast@127[\d.:]+,127[\d.:]+\/holdfast$/);
    await query(primary, 'CREATE TABLE kept (x int)');
    await query(primary, 'INSERT INTO kept VALUES (1)');
    await pair.pauseReplay();
    await query(primary, 'INSERT INTO kept VALUES (2)');
    expect(await query(standby, KEPT)).toEqual([1]);
    await expect(query(standby, 'INSERT INTO kept VALUES (0)')).rejects.toThrow('read-only');

    await pair.resumeReplay();
    expect(await query(standby, KEPT)).toEqual([1, 2]);

    await pair.pauseReplay();
    await query(primary, 'INSERT INTO kept VALUES (3)');
    await primary.kill();
    await pair.promote();
    await query(standby, 'INSERT INTO kept VALUES (4)');
    expect(await query(standby, KEPT)).toEqual([1, 2, 4]);
    await query(standby, 'CHECKPOINT');
    expect(await query(standby, TIMELINE)).toEqual([2]);

    // It stays what it became, and the old primary still thinks that it is one.
    await standby.restart();
    await query(standby, 'INSERT INTO kept VALUES (5)');
    await primary.start();
    expect(await query(primary, KEPT)).toEqual([1, 2, 3]);
  });
});
