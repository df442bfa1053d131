/** A pool over a primary and its standby: it follows the one that takes writes. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startPostgresPair, type TestPostgresPair } from '../testing/postgres-pair.ts';
import { startPostgres, type TestPostgres } from '../testing/servers.ts';
import { createPool, type Pool } from './pool.ts';
import { hang } from './testing/hang.ts';

const TEST_MS_MAX = 120_000;
const WAIT_MS_MAX = 60_000;

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
}, TEST_MS_MAX);

function open(url: string): Pool {
  const pool = createPool({
    url,
    applicationName: 'primary-pool-test',
    connectionsMax: 4,
    onIdleError: () => undefined,
  });
  ends.push(() => pool.end());
  return pool;
}

/** The port that a query of the pool gets to. */
async function portOf(pool: Pool): Promise<number | undefined> {
  const { rows } = await pool.query<{ port: number }>('SELECT inet_server_port() AS port');
  return rows[0]?.port;
}

/** Asked again and again, as every caller of a pool does; a write, so that it is the primary. */
async function untilWritable(pool: Pool): Promise<number | undefined> {
  const deadline = performance.now() + WAIT_MS_MAX;
  for (;;) {
    try {
      await pool.query('CREATE TEMP TABLE IF NOT EXISTS probe (i int)');
      return await portOf(pool);
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('over a primary and a standby', () => {
  let pair: TestPostgresPair;
  let pool: Pool;

  beforeEach(async () => {
    pair = await startPostgresPair();
    ends.push(() => pair.stop());
    pool = open(pair.url);
  }, TEST_MS_MAX);

  it(
    'connects to the primary, wherever it stands in the URL',
    async () => {
      expect(await portOf(pool)).toBe(pair.primary.port);
      const { primary, standby } = pair;
      const turned = open(
        `postgresql://holdfast@127.0.0.1:${standby.port},127.0.0.1:${primary.port}/holdfast`,
      );
      const ports = await Promise.all([1, 2, 3, 4].map(() => portOf(turned)));
      expect(new Set(ports)).toEqual(new Set([primary.port]));
    },
    TEST_MS_MAX,
  );

  it(
    'goes on at the standby that was promoted when the primary died',
    async () => {
      await portOf(pool);
      await pair.primary.kill('SIGKILL');
      await expect(untilFails(pool)).resolves.toMatch(
        new RegExp(
          `no host of DATABASE_URL takes writes: 127.0.0.1:${pair.primary.port} cannot be reached ` +
            `\\(.*ECONNREFUSED.*; 127.0.0.1:${pair.standby.port} is a standby`,
        ),
      );
      await pair.promote();
      expect(await untilWritable(pool)).toBe(pair.standby.port);
    },
    TEST_MS_MAX,
  );

  it(
    'leaves a primary that hangs, ends what waits on it, and does not go back when it wakes',
    async () => {
      const client = await pool.connect();
      const wake = hang(pair.primary);
      try {
        const waiting = client.query('SELECT 1').catch((error: Error) => error.message);
        await pair.promote();
        expect(await untilWritable(pool)).toBe(pair.standby.port);
        expect(await waiting).toContain('left PostgreSQL at');
        client.release();
      } finally {
        wake();
      }
      // Awake, it takes writes: on an older timeline.
      const alone = open(pair.primary.url);
      expect(await untilWritable(alone)).toBe(pair.primary.port);
      const looks = await Promise.all(Array.from({ length: 20 }, () => portOf(pool)));
      expect(new Set(looks)).toEqual(new Set([pair.standby.port]));
      await pair.standby.stop();
      expect(await untilFails(pool)).toMatch(/writes on timeline 1, but 2 was seen/);
    },
    TEST_MS_MAX,
  );

  it(
    'leaves a primary that was replaced while it lives',
    async () => {
      expect(await portOf(pool)).toBe(pair.primary.port);
      await pair.promote();
      await until('it moved', async () => (await untilWritable(pool)) === pair.standby.port);
      const left = open(pair.primary.url);
      await until('no connection is left behind', async () => {
        const { rows } = await left.query(
          `SELECT FROM pg_stat_activity WHERE application_name = 'primary-pool-test'
           AND pid <> pg_backend_pid()`,
        );
        return rows.length === 0;
      });
    },
    TEST_MS_MAX,
  );

  it(
    'leaves a primary that was fenced off by making it read-only',
    async () => {
      const client = await pool.connect();
      await client.query(`ALTER SYSTEM SET default_transaction_read_only = on`);
      await client.query('SELECT pg_reload_conf()');
      client.release();
      expect(await untilFails(pool)).toContain(`127.0.0.1:${pair.primary.port} is read-only`);
      await pair.promote();
      expect(await untilWritable(pool)).toBe(pair.standby.port);
    },
    TEST_MS_MAX,
  );

  it(
    'asks over one connection to each host, and closes them at its end',
    async () => {
      const watched = open(pair.url);
      await portOf(watched);
      const observer = open(pair.primary.url);
      const probes = async () => {
        const { rows } = await observer.query(
          `SELECT FROM pg_stat_activity WHERE application_name = 'primary-pool-test-probe'`,
        );
        return rows.length;
      };
      await until('it watches', async () => (await probes()) === 1);
      ends.splice(ends.length - 2, 1);
      await watched.end();
      await until('it stopped', async () => (await probes()) === 0);
    },
    TEST_MS_MAX,
  );
});

/** What the first query that fails says of the hosts. */
async function untilFails(pool: Pool): Promise<string> {
  let said = '';
  await until('no host takes writes', async () => {
    try {
      await pool.query('CREATE TEMP TABLE IF NOT EXISTS probe (i int)');
    } catch (error) {
      said = error instanceof Error ? error.message : String(error);
    }
    return said.startsWith('no host');
  });
  return said;
}

describe('over one host', () => {
  let postgres: TestPostgres;
  let pool: Pool;

  beforeEach(async () => {
    postgres = await startPostgres();
    ends.push(() => postgres.stop());
    pool = open(postgres.url);
  }, TEST_MS_MAX);

  const pidOf = async (): Promise<number | undefined> => {
    const { rows } = await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    return rows[0]?.pid;
  };

  it(
    'does not hand out a connection again whose server refused a write',
    async () => {
      const client = await pool.connect();
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      await client.query('SET default_transaction_read_only = on');
      await expect(client.query('CREATE TABLE t (i int)')).rejects.toMatchObject({ code: '25006' });
      client.release();
      expect(await pidOf()).not.toBe(rows[0]?.pid);
    },
    TEST_MS_MAX,
  );

  it(
    'a connection that breaks while somebody holds it ends nothing but his query',
    async () => {
      const client = await pool.connect();
      const sleeping = client.query('SELECT pg_sleep(60)').catch((error: Error) => error);
      await postgres.kill('SIGKILL');
      expect(await sleeping).toBeInstanceOf(Error);
      client.release(true);
      await postgres.start();
      expect(await pidOf()).toBeGreaterThan(0);
    },
    TEST_MS_MAX,
  );
});
