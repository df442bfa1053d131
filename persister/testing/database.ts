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

/** Faster than a database each; the ledger refuses it unless its triggers are off. */
export async function emptyTables(pool: Pool): Promise<void> {
  await pool.query(`
    SET session_replication_role = replica;
    TRUNCATE entries, inventory, reservations, reservation_lines, operations, stock_movements, products;
    SET session_replication_role = DEFAULT;
    UPDATE positions SET term = 0, epoch = 0, seq = 0, nonce = '\\x0000000000000000',
      log_offset = 0, time_ms = 0, parked = NULL`);
}
