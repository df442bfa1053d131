/**
 * The one place where the options of PostgreSQL's client are spelled. Numbers: `bigint` columns
 * become JavaScript numbers, because every one of ours counts below 2^53; one that does not is an
 * error, never a rounded number. `numeric` stays text.
 */
import pg from 'pg';

export type { Pool, PoolClient } from 'pg';

export interface PoolOptions {
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

export function createPool(options: PoolOptions): pg.Pool {
  const settings = Object.entries(options.settings ?? {});
  const pool = new pg.Pool({
    connectionString: options.url,
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
  });
  pool.on('error', options.onIdleError);
  return pool;
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
