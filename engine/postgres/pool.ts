/**
 * The one place where the options of PostgreSQL's client are spelled. Numbers: `bigint` columns
 * become JavaScript numbers, because every one of ours counts below 2^53; one that does not is an
 * error, never a rounded number. `numeric` stays text.
 *
 * A URL of several hosts makes a pool that follows the primary (primary-pool.ts).
 */
import pg from 'pg';
import { parseDatabaseUrl } from '../runtime/database-urls.ts';
import { followPrimary } from './primary-pool.ts';

export type { Pool, PoolClient } from 'pg';

export interface PoolOptions {
  /** One host, or several as libpq spells them. */
  readonly url: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  readonly connectionsMax: number;
  /** What an error on an idle connection is told to; the pool replaces the connection by itself. */
  readonly onIdleError: (error: Error) => void;
  /** Settings for every session: `{ enable_hashjoin: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A host that drops packets must not hold a caller for the two minutes of TCP. */
const CONNECT_TIMEOUT_MS = 5_000;
/** The server ends what takes longer; far above any statement of ours. */
const STATEMENT_TIMEOUT_MS = 30_000;
/** The client gives up on a server that hangs; later than the server would. */
const QUERY_TIMEOUT_MS = 35_000;
/**
 * A process that is stopped in the middle of a transaction (SIGSTOP, a paused VM) keeps its row
 * locks; after this the server ends it, and another goes on.
 */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000;
/** How long a client may not use a connection before the pool closes it. */
const IDLE_CONNECTION_TIMEOUT_MS = 60_000;

const INT8_OID = 20;
/** `count(*)[]` and the like: int8[]. */
const INT8_ARRAY_OID = 1016;
/** read_only_sql_transaction: this server takes no writes, or takes none any more. */
const READ_ONLY_SQLSTATE = '25006';

/** Throws RangeError for a URL that cannot be read. */
export function createPool(options: PoolOptions): pg.Pool {
  const { hosts, first } = parseDatabaseUrl(options.url);
  const settings = Object.entries(options.settings ?? {});
  const config: pg.PoolConfig = {
    connectionString: first,
    application_name: options.applicationName,
    max: options.connectionsMax,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_CONNECTION_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    // A peer that vanished is noticed by the kernel instead of never.
    keepAlive: true,
    types: { getTypeParser },
    ...(settings.length === 0
      ? {}
      : { options: settings.map(([name, value]) => `-c ${name}=${value}`).join(' ') }),
  };
  const pool = hosts.length === 1 ? new pg.Pool(config) : followPrimary(hosts, config);
  pool.on('error', options.onIdleError);
  survive(pool);
  dropReadOnly(pool);
  return pool;
}

/**
 * A connection that breaks while a caller holds it fails the caller's query; the client's event of
 * the same error would end the process if nobody listened.
 */
function survive(pool: pg.Pool): void {
  pool.on('connect', (client) => client.on('error', () => undefined));
}

/**
 * A connection whose server refused a write is not handed out again: behind the same address there
 * may soon be a server that takes it.
 */
function dropReadOnly(pool: pg.Pool): void {
  const readOnly = new WeakSet<pg.PoolClient>();
  pool.on('connect', (client) => {
    client.connection.on('errorMessage', (error) => {
      if (error instanceof pg.DatabaseError && error.code === READ_ONLY_SQLSTATE) {
        readOnly.add(client);
      }
    });
  });
  // Comes before the pool looks whether the client may be used again; one that ends may not.
  pool.on('release', (_error, client) => {
    if (readOnly.has(client)) client.end(() => undefined);
  });
}

/** Throws RangeError for a number that JavaScript cannot hold exactly. */
export function parseBigint(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(`PostgreSQL returned ${text}, which is beyond 2^53`);
  }
  return value;
}

const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: string) => {
  if (format !== 'binary') {
    if (oid === INT8_OID) return parseBigint;
    if (oid === INT8_ARRAY_OID) return parseBigintArray;
  }
  return pg.types.getTypeParser(oid, format === 'binary' ? 'binary' : 'text');
};

function parseBigintArray(text: string): (number | null)[] {
  const parts = text.slice(1, -1).split(',');
  return text === '{}' ? [] : parts.map((part) => (part === 'NULL' ? null : parseBigint(part)));
}
