/**
 * Brings a database to the schema of this release: the files of `migrations/`, in order, each in a
 * transaction of its own, never backwards. Several processes may start at once: one migrates, the
 * others wait for it and find nothing left to do.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pool, PoolClient } from '../engine/postgres/pool.ts';
import { persisterPath } from './sql-files.ts';

export interface Migration {
  readonly version: number;
  /** Name of the file. */
  readonly name: string;
  readonly sql: string;
}

/** 'holdfast' in ASCII: nobody else's lock. */
const MIGRATION_LOCK = '7525338969187418996';
const FILE_NAME = /^(\d{3})_[a-z_]+\.sql$/;

/** The migrations of this release; throws when a number is missing or taken twice. */
export function readMigrations(folder = persisterPath('migrations')): readonly Migration[] {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .sort();
  return names.map((name, i) => {
    const version = Number(FILE_NAME.exec(name)?.[1]);
    if (version !== i + 1) {
      throw new Error(`migration ${name} stands at place ${i + 1}: want NNN_name.sql from 001 on`);
    }
    return { version, name, sql: readFileSync(join(folder, name), 'utf8') };
  });
}

/** Applies what is missing; returns the names of what it applied. */
export async function migrate(pool: Pool, migrations = readMigrations()): Promise<string[]> {
  const client = await pool.connect();
  try {
    // Building an index may take longer than any statement of ours is otherwise allowed to.
    await client.query('SET statement_timeout = 0');
    await client.query(`SELECT pg_advisory_lock(${MIGRATION_LOCK})`);
    await client.query(`CREATE TABLE IF NOT EXISTS schema_migrations (
      version integer PRIMARY KEY,
      name text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now())`);
    const missing = migrations.slice(await currentVersion(client, migrations));
    for (const migration of missing) await applyMigration(client, migration);
    return missing.map((migration) => migration.name);
  } finally {
    // Ends the session, and with it the lock and the setting.
    client.release(true);
  }
}

/** The database has not the schema of this release; the message says what to do. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError';
}

/** Throws SchemaError unless the database has exactly the schema of this release. */
export async function requireSchema(pool: Pool, migrations = readMigrations()): Promise<void> {
  const { rows } = await pool.query<{ known: boolean }>(
    `SELECT to_regclass('schema_migrations') IS NOT NULL AS known`,
  );
  const version = rows[0]?.known === true ? await currentVersion(pool, migrations) : 0;
  if (version < migrations.length) {
    throw new SchemaError(
      `the database has schema ${version}, this release needs ${migrations.length}: run \`holdfast migrate\``,
    );
  }
}

async function currentVersion(
  db: Pool | PoolClient,
  migrations: readonly Migration[],
): Promise<number> {
  const { rows } = await db.query<{ version: number | null }>(
    'SELECT max(version) AS version FROM schema_migrations',
  );
  const version = rows[0]?.version ?? 0;
  if (version > migrations.length) {
    throw new SchemaError(
      `the database has schema ${version}, newer than this release (${migrations.length}): start the newer release`,
    );
  }
  return version;
}

async function applyMigration(client: PoolClient, migration: Migration): Promise<void> {
  try {
    await client.query('BEGIN');
    await client.query(migration.sql);
    await client.query('INSERT INTO schema_migrations (version, name) VALUES ($1, $2)', [
      migration.version,
      migration.name,
    ]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`migration ${migration.name} failed and left nothing behind: ${reason}`, {
      cause: error,
    });
  }
}
