/** Questions with a deadline, on a real PostgreSQL and a pool of one connection. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type TestDatabase, testDatabase } from '../testing/servers.ts';
import { createPool, type Pool } from './pool.ts';
import { readerUntil } from './reader.ts';

const SOON_MS = 100;

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());

beforeEach(() => {
  pool = createPool({
    url: database.url,
    applicationName: 'reader-test',
    connectionsMax: 1,
    onIdleError: () => undefined,
  });
});
afterEach(() => pool.end());

const soon = () => readerUntil(pool, performance.now() + SOON_MS);

it('answers as the pool does', async () => {
  const reader = readerUntil(pool, performance.now() + 60_000);
  expect((await reader.query('SELECT $1::int AS n', [7])).rows).toEqual([{ n: 7 }]);
  await expect(reader.query('SELECT nothing')).rejects.toThrow('does not exist');
  expect((await reader.query('SELECT 8 AS n')).rows, 'and goes on').toEqual([{ n: 8 }]);
});

it('gives up a question that hangs, and its connection with it', async () => {
  await pool.query('SELECT');
  const said = await soon().query('SELECT pg_sleep(600)').then(String, String);
  expect(said).toContain('no answer within');
  // Else the only connection would be busy until the pool gives up whoever waits for it.
  const rows = await pool.query('SELECT 1 AS n').then((answer) => answer.rows, String);
  expect(rows).toEqual([{ n: 1 }]);
});

it('does not wait for a connection longer, and asks nothing that nobody waits for', async () => {
  await pool.query('CREATE SEQUENCE asked');
  const client = await pool.connect();
  let isGivenUp = false;
  const another = pool.connect().then(
    (late) => late.release(),
    () => {
      isGivenUp = true;
    },
  );
  const said = await soon().query("SELECT nextval('asked')").then(String, String);
  expect(said).toContain('no answer within');
  expect(isGivenUp, 'the pool still looks for a connection').toBe(false);
  client.release();
  await another;
  const { rows } = await pool.query('SELECT is_called FROM asked');
  expect(rows).toEqual([{ is_called: false }]);
});
