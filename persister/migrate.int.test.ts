import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Pool } from '../engine/postgres/pool.ts';
import { type TestDatabase, testDatabase } from '../engine/testing/servers.ts';
import { migrate, readMigrations, requireSchema } from './migrate.ts';
import { persisterPath } from './sql-files.ts';
import { openPool } from './testing/database.ts';
import { dumpSchema } from './testing/dump-schema.ts';

let database: TestDatabase;
let pool: Pool;

beforeEach(async () => {
  database = await testDatabase();
  pool = openPool(database.url);
});
afterEach(async () => {
  await pool.end();
  await database.drop();
});

const ALL = readMigrations();

describe('migrate', () => {
  it('brings an empty database to the schema that is checked in', async () => {
    expect(await migrate(pool)).toEqual(ALL.map(({ name }) => name));
    expect(await migrate(pool)).toEqual([]);
    await requireSchema(pool);
    // `vitest -u` writes the file anew after a migration was added.
    await expect(await dumpSchema(database.url)).toMatchFileSnapshot(persisterPath('schema.sql'));
  });

  it('goes on from any earlier schema, and leaves what stands there', async () => {
    await migrate(pool, ALL.slice(0, 2));
    await expect(requireSchema(pool)).rejects.toThrow('the database has schema 2, this release');
    await pool.query(`INSERT INTO products (sku_id) VALUES ('A-1')`);
    expect(await migrate(pool)).toEqual(ALL.slice(2).map(({ name }) => name));
    const { rows } = await pool.query('SELECT sku_id FROM products');
    expect(rows).toEqual([{ sku_id: 'A-1' }]);
  });

  it('runs once when several processes start at the same time', async () => {
    const ran = await Promise.all([1, 2, 3, 4].map(() => migrate(pool)));
    expect(ran.flat()).toEqual(ALL.map(({ name }) => name));
  });

  it('refuses a database that is newer than the code', async () => {
    await migrate(pool);
    const older = ALL.slice(0, -1);
    const message = `the database has schema ${ALL.length}, newer than this release (${older.length})`;
    await expect(migrate(pool, older)).rejects.toThrow(message);
    await expect(requireSchema(pool, older)).rejects.toThrow(message);
  });

  it('leaves nothing of a migration that failed', async () => {
    const broken = {
      version: 1,
      name: '001_broken.sql',
      sql: 'CREATE TABLE a (); SELECT nothing;',
    };
    await expect(migrate(pool, [broken])).rejects.toThrow(
      /^migration 001_broken.sql failed and left nothing behind: column "nothing" does not exist/,
    );
    const { rows } = await pool.query(
      `SELECT to_regclass('a') AS a, count(*) AS n FROM schema_migrations`,
    );
    expect(rows).toEqual([{ a: null, n: 0 }]);
  });

  it('says what to do with a database that was never migrated', async () => {
    await expect(requireSchema(pool)).rejects.toThrow(/has schema 0.*run `holdfast migrate`/);
  });
});

it('migrations are numbered from 001 without a gap', () => {
  expect(ALL.map(({ version }) => version)).toEqual(ALL.map((_, i) => i + 1));
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-migrations-'));
  writeFileSync(join(folder, '001_a.sql'), '');
  writeFileSync(join(folder, '003_b.sql'), '');
  expect(() => readMigrations(folder)).toThrow('migration 003_b.sql stands at place 2');
  rmSync(folder, { recursive: true });
});
