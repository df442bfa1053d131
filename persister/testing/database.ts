/** A migrated database of a test's own. */
import { createPool, type Pool } from '../../engine/postgres/pool.ts';
import { testDatabase } from '../../engine/testing/servers.ts';
import { migrate } from '../migrate.ts';

export interface MigratedDatabase {
  readonly url: string;
  readonly pool: Pool;
  end(): Promise<void>;
}

export function openPool(url: string): Pool {
  return createPool({
    url,
    applicationName: 'test',
    connectionsMax: 8,
    onIdleError: () => undefined,
  });
}

export async function migratedDatabase(): Promise<MigratedDatabase> {
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
