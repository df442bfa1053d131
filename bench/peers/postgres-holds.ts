/**
 * Holds in a table, as shops with one PostgreSQL keep them: a row a hold with its deadline, a unique
 * key against double clicks, and a job that gives back what is over. The ways to take the units
 * differ (postgres-take.ts); all else is the same for the three.
 */
import { createPool, type Pool } from '../../engine/postgres/pool.ts';
import type { Bookkeeper, Committed, Hold, Peer, Reserved, Wish } from './peer.ts';

export type Take = (pool: Pool, wish: Wish) => Promise<Reserved>;

/** The default of the client library, which few change. */
const CONNECTIONS_MAX = 10;

const SCHEMA = `
  CREATE TABLE stock (
    sku text PRIMARY KEY,
    available integer NOT NULL CHECK (available >= 0),
    version bigint NOT NULL DEFAULT 0
  );
  CREATE TABLE holds (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    key text UNIQUE,
    sku text NOT NULL,
    quantity integer NOT NULL,
    state text NOT NULL DEFAULT 'held',
    expires_at timestamptz NOT NULL
  );
  CREATE INDEX ON holds (expires_at) WHERE state = 'held'`;

/** Columns of a hold, for RETURNING too. */
export const HOLD_COLUMNS = 'id, sku, quantity, state, expires_at';

export interface HoldRow {
  readonly id: string;
  readonly sku: string;
  readonly quantity: number;
  readonly state: string;
  readonly expires_at: Date;
}

const COMMIT = `
  UPDATE holds SET state = 'committed'
  WHERE id = $1 AND state = 'held' AND expires_at > now()
  RETURNING ${HOLD_COLUMNS}`;

const EXPIRE = `
  WITH gone AS (
    UPDATE holds SET state = 'expired'
    WHERE state = 'held' AND expires_at <= now()
    RETURNING sku, quantity
  ), sums AS (
    SELECT sku, sum(quantity)::integer AS quantity FROM gone GROUP BY sku
  )
  UPDATE stock SET available = available + sums.quantity, version = version + 1
  FROM sums WHERE stock.sku = sums.sku`;

export function createPostgresPeer(databaseUrl: string, take: Take): Peer {
  const pool = createPool({
    url: databaseUrl,
    applicationName: 'holdfast-bench-peer',
    connectionsMax: CONNECTIONS_MAX,
    onIdleError: () => undefined,
  });
  return {
    holdDurability: 'persisted',
    commitDurability: 'persisted',
    async setUp(units) {
      await pool.query(SCHEMA);
      for (const [sku, available] of Object.entries(units)) {
        await pool.query('INSERT INTO stock (sku, available) VALUES ($1, $2)', [sku, available]);
      }
    },
    reserve: (wish) => take(pool, wish),
    commit: (id) => commit(pool, id),
    async expire() {
      await pool.query(EXPIRE);
    },
    close: () => pool.end(),
  };
}

async function commit(pool: Pool, id: string): Promise<Committed> {
  const done = await pool.query<HoldRow>(COMMIT, [id]);
  if (done.rows[0] !== undefined) {
    return { outcome: 'committed', hold: holdOf(done.rows[0]), isReplay: false };
  }
  const { rows } = await pool.query<HoldRow>(`SELECT ${HOLD_COLUMNS} FROM holds WHERE id = $1`, [
    id,
  ]);
  const [row] = rows;
  if (row === undefined) return { outcome: 'not_found' };
  if (row.state !== 'committed') return { outcome: 'expired' };
  return { outcome: 'committed', hold: holdOf(row), isReplay: true };
}

export function holdOf({ id, sku, quantity, expires_at }: HoldRow): Hold {
  return { id, sku, quantity, deadlineMs: expires_at.getTime() };
}

export const postgresBooks: Bookkeeper = {
  async read({ pool }, sku) {
    const { rows } = await pool.query<{ for_sale: number; held: number; sold: number }>(
      `SELECT (SELECT available FROM stock WHERE sku = $1) AS for_sale,
              coalesce(sum(quantity) FILTER (WHERE state = 'held'), 0)::integer AS held,
              coalesce(sum(quantity) FILTER (WHERE state = 'committed'), 0)::integer AS sold
       FROM holds WHERE sku = $1`,
      [sku],
    );
    const [row] = rows;
    if (row === undefined) throw new Error('bug: an aggregate without a row');
    return { forSale: row.for_sale, held: row.held, sold: row.sold };
  },
  async countSold({ pool }, ids) {
    const { rows } = await pool.query<{ n: number }>(
      `SELECT count(*)::integer AS n FROM holds WHERE state = 'committed' AND id = ANY($1::uuid[])`,
      [ids],
    );
    return rows[0]?.n ?? 0;
  },
};
