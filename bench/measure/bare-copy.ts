/**
 * What PostgreSQL takes of the rows that a persister wrote when nothing but COPY brings them: the
 * ceiling of a persister on this machine, in this hour. The rows are taken out of their tables into
 * memory, and written once more from there into tables that the same migrations made in a schema of
 * their own: one connection, as many entries a transaction as the persister's, each transaction one
 * message, whose bytes are ready before the clock starts. Nothing is decoded, folded or decided.
 *
 * What was new is copied straight into its table; what changed rows that were there (settled
 * reservations, their lines, the balances of cells) is copied to a temporary table and merged.
 */
import { buffer } from 'node:stream/consumers';
import { to as copyTo } from 'pg-copy-streams';
import { createPool, type PoolClient } from '../../engine/postgres/pool.ts';
import { migrate } from '../../persister/migrate.ts';
import { runScript, type Statement } from '../../persister/script.ts';

/** Entries of one epoch, `after` excluded. */
export interface LogRange {
  readonly epoch: number;
  readonly after: number;
  readonly upTo: number;
  /** In each transaction. */
  readonly entriesEach: number;
}

export interface BareCopy {
  /** That COPY brings, to the tables and to the temporary ones. */
  readonly rows: number;
  /** Once. Throws when PostgreSQL counts other rows. */
  readonly write: () => Promise<void>;
}

interface Source {
  readonly table: string;
  /** Of a row of the table `t`: the transaction that wrote it, from 0. */
  readonly transaction: string;
  readonly from: string;
  /** Columns that were something else when the row was written. */
  readonly was?: Readonly<Record<string, string>>;
  readonly isMerged?: boolean;
}

/** In the order in which a transaction writes them. */
function sourcesOf({ epoch, after, upTo, entriesEach }: LogRange): readonly Source[] {
  const transaction = (seq: string): string => `(${seq} - ${after + 1}) / ${entriesEach}`;
  const within = (entry: string): string =>
    `${entry}epoch = ${epoch} AND ${entry}seq > ${after} AND ${entry}seq <= ${upTo}`;
  const written = { transaction: transaction('t.seq') };
  const created = { transaction: transaction('t.created_seq') };
  const settled = (row: string): string => `${within(row)} AND ${row}seq > ${row}created_seq`;
  return [
    { table: 'entries', ...written, from: `public.entries t WHERE ${within('t.')}` },
    {
      ...{ table: 'reservations', ...created },
      from: `public.reservations t WHERE ${within('t.created_')}`,
      // The hold that each was first: else the index of holds would be spared.
      was: { status: "'held'", epoch: 't.created_epoch', seq: 't.created_seq' },
    },
    {
      // As they are now, which costs the same.
      ...{ table: 'reservation_lines', ...created },
      from: `public.reservation_lines t WHERE ${within('t.created_')}`,
    },
    {
      table: 'stock_movements',
      ...written,
      from: `public.stock_movements t WHERE ${within('t.')}`,
    },
    {
      ...{ table: 'reservations', ...written, isMerged: true },
      from: `public.reservations t WHERE ${settled('t.')}`,
    },
    {
      ...{ table: 'reservation_lines', transaction: transaction('r.seq'), isMerged: true },
      from: `public.reservations r JOIN public.reservation_lines t USING (${RESERVATION_KEY})
        WHERE ${settled('r.')}`,
    },
    {
      ...{ table: 'inventory', transaction: 'm.transaction', isMerged: true },
      from: `(
        SELECT DISTINCT ${transaction('t.seq')} AS transaction, sku_id, pool, lane,
          coalesce(source_warehouse, dest_warehouse) AS warehouse_id
        FROM public.stock_movements t WHERE ${within('t.')}
      ) m JOIN public.inventory t USING (sku_id, warehouse_id, pool, lane)`,
    },
  ];
}

const RESERVATION_KEY = 'reservation_id, created_epoch, created_seq';
export const SCHEMA = 'bare_copy';
/** Nothing of it is timed, and it reads all that was written: a busy machine may take a minute. */
const TAKING_MS_MAX = 600_000;
const TAKING = { query_timeout: TAKING_MS_MAX };

/**
 * Takes out what the entries of `range` left in the database of `url`, and calls `work`, which times
 * the writing. Afterwards the schema is gone; the other tables are only read.
 */
export async function withBareCopy<T>(
  url: string,
  range: LogRange,
  work: (copy: BareCopy) => Promise<T>,
): Promise<T> {
  const pool = createPool({
    url,
    applicationName: 'bare-copy',
    connectionsMax: 2,
    onIdleError: () => undefined,
    settings: { search_path: SCHEMA },
  });
  try {
    await pool.query(`CREATE SCHEMA ${SCHEMA}`);
    await migrate(pool);
    const client = await pool.connect();
    try {
      return await work(await prepare(client, range));
    } finally {
      client.release(true);
    }
  } finally {
    await pool.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`);
    await pool.end();
  }
}

async function prepare(client: PoolClient, range: LogRange): Promise<BareCopy> {
  await client.query(`SET statement_timeout = ${TAKING_MS_MAX}`);
  await client.query(`
    SELECT ensure_movement_partition(month)
    FROM (SELECT DISTINCT date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month
          FROM public.stock_movements) months`);
  const count = Math.ceil((range.upTo - range.after) / range.entriesEach);
  const transactions: Statement[][] = Array.from({ length: count }, () => []);
  let rows = 0;
  for (const source of sourcesOf(range)) {
    rows += await take(client, source, transactions);
  }
  return { rows, write: () => writeAll(client, transactions, rows) };
}

/** Adds what the source has for each of the transactions; returns how many rows that are. */
async function take(
  client: PoolClient,
  { table, transaction: index, from, was = {}, isMerged = false }: Source,
  transactions: readonly Statement[][],
): Promise<number> {
  const columns = await columnsOf(client, table);
  const names = columns.map(({ name }) => name);
  const keys = columns.filter(({ isKey }) => isKey).map(({ name }) => name);
  // In the order in which they stand in their table, which is that of the log.
  await client.query({
    text: `
      CREATE TEMPORARY TABLE taken AS
      SELECT ${index} AS transaction,
        ${names.map((name) => `${was[name] ?? `t.${name}`} AS ${name}`).join(', ')}
      FROM ${from};
      CREATE INDEX ON taken (transaction)`,
    ...TAKING,
  });
  const into = isMerged ? `merged_${table}` : table;
  const merge = isMerged ? [{ statement: mergeStatement(table, names, keys) }] : [];
  if (isMerged) {
    await client.query(`CREATE TEMPORARY TABLE ${into} (LIKE ${table}) ON COMMIT DELETE ROWS`);
  }
  const statement = `COPY ${into} (${names.join(', ')}) FROM STDIN (FORMAT binary)`;
  let rows = 0;
  for (const [i, transaction] of transactions.entries()) {
    const query = `SELECT ${names.join(', ')} FROM taken WHERE transaction = ${i}`;
    const { bytes, count } = await copyOut(client, query);
    if (count > 0) transaction.push({ statement, bytes }, ...merge);
    rows += count;
  }
  await client.query('DROP TABLE taken');
  return rows;
}

function mergeStatement(table: string, names: readonly string[], keys: readonly string[]): string {
  const changed = names.filter((name) => !keys.includes(name));
  return `INSERT INTO ${table} (${names.join(', ')})
    SELECT ${names.join(', ')} FROM merged_${table}
    ON CONFLICT (${keys.join(', ')})
    DO UPDATE SET ${changed.map((name) => `${name} = excluded.${name}`).join(', ')}`;
}

interface Column {
  readonly name: string;
  readonly isKey: boolean;
}

/** All that can be written. */
async function columnsOf(client: PoolClient, table: string): Promise<Column[]> {
  const { rows } = await client.query<Column>(
    `SELECT a.attname AS name, a.attnum = ANY (i.indkey) AS "isKey"
     FROM pg_attribute a JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
     WHERE a.attrelid = $1::regclass AND a.attnum > 0
       AND NOT a.attisdropped AND a.attgenerated = ''
     ORDER BY a.attnum`,
    [table],
  );
  return rows;
}

async function copyOut(
  client: PoolClient,
  query: string,
): Promise<{ readonly bytes: Buffer; readonly count: number }> {
  const stream = Object.assign(copyTo(`COPY (${query}) TO STDOUT (FORMAT binary)`), {
    callback: () => undefined,
  });
  try {
    const bytes = await buffer(client.query(stream));
    return { bytes, count: stream.rowCount };
  } finally {
    // The client has put the end of its timer into the callback, which pg-copy-streams never calls.
    stream.callback();
  }
}

async function writeAll(
  client: PoolClient,
  transactions: readonly (readonly Statement[])[],
  rows: number,
): Promise<void> {
  let copied = 0;
  for (const statements of transactions) {
    const script = [{ statement: 'BEGIN' }, ...statements, { statement: 'COMMIT' }];
    const { tags } = await runScript(client, script);
    for (const tag of tags) copied += Number(/^COPY (\d+)$/.exec(tag)?.[1] ?? 0);
  }
  if (copied !== rows) throw new Error(`bare COPY: ${copied} of ${rows} rows were written`);
}
