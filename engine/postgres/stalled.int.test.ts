/** Sessions that keep a row: who of them is ended, on a real PostgreSQL. */

import { from as copyFrom } from 'pg-copy-streams';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type TestDatabase, testDatabase } from '../testing/servers.ts';
import { createPool, type Pool, type PoolClient } from './pool.ts';
import { endingStalled } from './stalled.ts';

const TEST_MS_MAX = 60_000;

let database: TestDatabase;
let pool: Pool;
let holder: PoolClient;
let errors: Error[];

beforeAll(async () => {
  database = await testDatabase();
  pool = createPool({
    url: database.url,
    applicationName: 'stalled-test',
    connectionsMax: 5,
    onIdleError: () => undefined,
  });
  await pool.query('CREATE TABLE kept (id int PRIMARY KEY, n int); CREATE TABLE copied (n int)');
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

/** The row is kept by a transaction that is under way. */
beforeEach(async () => {
  await pool.query('TRUNCATE kept, copied');
  await pool.query('INSERT INTO kept VALUES (1, 0)');
  holder = await pool.connect();
  errors = [];
  holder.on('error', (error) => errors.push(error));
  await holder.query('BEGIN');
  await holder.query('UPDATE kept SET n = 10 WHERE id = 1');
});

afterEach(() => holder.release(true));

async function takeRow(): Promise<number> {
  const client = await pool.connect();
  try {
    const take = () => client.query('UPDATE kept SET n = n + 1 WHERE id = 1 RETURNING n');
    const { rows } = await endingStalled(pool, client, take);
    return Number(rows[0]?.n);
  } finally {
    client.release();
  }
}

it(
  'ends one whose client sends nothing between two statements',
  async () => {
    expect(await takeRow(), 'as if the other had never been').toBe(1);
    await expect(holder.query('COMMIT')).rejects.toThrow();
  },
  TEST_MS_MAX,
);

it(
  'ends one whose client sends nothing more of a COPY, which no timeout of a statement does',
  async () => {
    const stream = holder.query(copyFrom('COPY copied FROM STDIN'));
    const ended = new Promise((resolve) => stream.on('error', resolve));
    stream.write('1\n');
    expect(await takeRow()).toBe(1);
    await ended;
    expect((await pool.query('SELECT FROM copied')).rowCount).toBe(0);
  },
  TEST_MS_MAX,
);

it(
  'lets one go on that PostgreSQL itself is busy with',
  async () => {
    const busy = holder.query('SELECT pg_sleep(3)').then(() => holder.query('COMMIT'));
    expect(await takeRow(), 'behind the other').toBe(11);
    await busy;
    expect(errors).toEqual([]);
  },
  TEST_MS_MAX,
);
