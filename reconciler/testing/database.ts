/** A migrated database of a test's own, and the pool that recovery uses on it. */
import { createPool, type Pool } from '../../engine/postgres/pool.ts';
import { testDatabase } from '../../engine/testing/servers.ts';
import { migrate } from '../../persister/migrate.ts';

export interface Database {
  readonly url: string;
  readonly pool: Pool;
  end(): Promise<void>;
}

export function openPool(url: string): Pool {
  return createPool({
    url,
    applicationName: 'recovery-test',
    connectionsMax: 8,
    onIdleError: () => undefined,
  });
}

export async function migratedDatabase(): Promise<Database> {
  const database = await testDatabase();
  const pool = openPool(database.url);
  await migrate(pool);
  return {
    url: database.url,
    pool,
    end: async () => {
      await pool.end();
      await database.drop();
    },
  };
}
