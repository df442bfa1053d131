/** Three ways to take units from a row of PostgreSQL, each as its textbooks have it (README.md). */
import type { Pool, PoolClient } from '../../engine/postgres/pool.ts';
import type { Hold, Reserved, Wish } from './peer.ts';
import { HOLD_COLUMNS, type HoldRow, holdOf, type Take } from './postgres-holds.ts';

const UNIQUE_VIOLATION = '23505';
/** An optimistic update that lost is tried again so often. */
const RETRIES = 3;

const INSERT = `
  INSERT INTO holds (sku, quantity, key, expires_at)
  SELECT $1, $2, $3, now() + $4 * interval '1 second'`;

/** Lock the row, look, write, commit: everybody else waits at the row. */
export const takeForUpdate: Take = async (pool, wish) => {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const answer = await takeLocked(client, wish);
    await client.query('COMMIT');
    return answer;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
};

async function takeLocked(client: PoolClient, wish: Wish): Promise<Reserved> {
  const { sku, quantity } = wish;
  const { rows } = await client.query<{ available: number }>(
    'SELECT available FROM stock WHERE sku = $1 FOR UPDATE',
    [sku],
  );
  const available = rows[0]?.available ?? 0;
  const before = await findByKey(client, wish);
  if (before !== undefined) return { outcome: 'exists', hold: before };
  if (available < quantity) return { outcome: 'insufficient', available };
  await client.query('UPDATE stock SET available = available - $2 WHERE sku = $1', [sku, quantity]);
  const hold = await insertHold(client, `${INSERT} RETURNING ${HOLD_COLUMNS}`, wish);
  if (hold === undefined) throw new Error('bug: an INSERT without a row');
  return { outcome: 'created', hold };
}

/** Units and hold in one statement: the row is locked for as long as PostgreSQL needs for it. */
const TAKE = `
  WITH taken AS (
    UPDATE stock SET available = available - $2 WHERE sku = $1 AND available >= $2 RETURNING sku
  )
  ${INSERT} FROM taken RETURNING ${HOLD_COLUMNS}`;

export const takeByUpdate: Take = async (pool, wish) => {
  const hold = await insertOnce(pool, TAKE, wish);
  if (hold !== undefined) return hold;
  const before = await findByKey(pool, wish);
  if (before !== undefined) return { outcome: 'exists', hold: before };
  return { outcome: 'insufficient', available: 0 };
};

const TAKE_VERSION = `
  WITH taken AS (
    UPDATE stock SET available = available - $2, version = version + 1
    WHERE sku = $1 AND version = $5 RETURNING sku
  )
  ${INSERT} FROM taken RETURNING ${HOLD_COLUMNS}`;

/** Read, and write only if nobody wrote meanwhile: three times again, then the caller is sent away. */
export const takeByVersion: Take = async (pool, wish) => {
  for (let attempt = 0; attempt <= RETRIES; attempt += 1) {
    const { rows } = await pool.query<{ available: number; version: number }>(
      'SELECT available, version FROM stock WHERE sku = $1',
      [wish.sku],
    );
    const [row] = rows;
    if (row === undefined || row.available < wish.quantity) {
      const before = await findByKey(pool, wish);
      if (before !== undefined) return { outcome: 'exists', hold: before };
      return { outcome: 'insufficient', available: row?.available ?? 0 };
    }
    const answer = await insertOnce(pool, TAKE_VERSION, wish, row.version);
    if (answer !== undefined) return answer;
  }
  return { outcome: 'overloaded', detail: `Others wrote first, ${RETRIES + 1} times in a row.` };
};

/** Created, or already there under the key; undefined: no units were taken. */
async function insertOnce(
  pool: Pool,
  statement: string,
  wish: Wish,
  version?: number,
): Promise<Reserved | undefined> {
  try {
    const hold = await insertHold(pool, statement, wish, version);
    return hold && { outcome: 'created', hold };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== UNIQUE_VIOLATION) throw error;
    // The statement failed whole, so the units are back in the row.
    const hold = await findByKey(pool, wish);
    if (hold === undefined) throw error;
    return { outcome: 'exists', hold };
  }
}

async function insertHold(
  client: Pool | PoolClient,
  statement: string,
  { sku, quantity, key, ttlS }: Wish,
  version?: number,
): Promise<Hold | undefined> {
  const values = [sku, quantity, key ?? null, ttlS, ...(version === undefined ? [] : [version])];
  const { rows } = await client.query<HoldRow>(statement, values);
  return rows[0] && holdOf(rows[0]);
}

async function findByKey(client: Pool | PoolClient, { key }: Wish): Promise<Hold | undefined> {
  if (key === undefined) return undefined;
  const { rows } = await client.query<HoldRow>(`SELECT ${HOLD_COLUMNS} FROM holds WHERE key = $1`, [
    key,
  ]);
  return rows[0] && holdOf(rows[0]);
}
