/**
 * Questions of somebody who waits for the answer. A server that hangs keeps its connections open and
 * says nothing: then a query is given up after 35 s (pool.ts), and one that finds no connection free
 * after 5 s. Here each ends by a deadline, whatever PostgreSQL does, and what is given up stands in
 * nobody's way: its connection is replaced, and what was not sent by then never is.
 */
import type { QueryConfig, QueryResultRow } from 'pg';
import { within } from '../runtime/within.ts';
import type { Pool } from './pool.ts';

/** The client takes it; its types do not name it. */
interface TimedQuery extends QueryConfig {
  readonly query_timeout: number;
}

/** A pool is one, too, and a client. */
export interface Reader {
  query<Row extends QueryResultRow>(
    text: string,
    values?: unknown[],
  ): Promise<{ readonly rows: Row[] }>;
}

/** All questions together end by the deadline, by the clock of `performance.now`. */
export function readerUntil(pool: Pool, deadline: number): Reader {
  return {
    async query<Row extends QueryResultRow>(text: string, values: unknown[] = []) {
      const question = { text, values, deadline, isAwaited: true };
      const leftMs = deadline - performance.now();
      return within(ask<Row>(pool, question), leftMs).finally(() => {
        question.isAwaited = false;
      });
    },
  };
}

interface Question {
  readonly text: string;
  readonly values: unknown[];
  readonly deadline: number;
  /** Cleared when whoever asked has been answered. */
  readonly isAwaited: boolean;
}

async function ask<Row extends QueryResultRow>(
  pool: Pool,
  question: Question,
): Promise<{ readonly rows: Row[] }> {
  const client = await pool.connect();
  if (!question.isAwaited) {
    client.release();
    throw new Error('whoever asked has left');
  }
  const { text, values, deadline } = question;
  // 0 would be no timeout of its own.
  const leftMs = Math.max(1, Math.ceil(deadline - performance.now()));
  const timed: TimedQuery = { text, values, query_timeout: leftMs };
  try {
    const answer = await client.query<Row>(timed);
    client.release();
    return answer;
  } catch (error) {
    // Not handed out again: the server may still be at it, or hang.
    client.release(true);
    throw error;
  }
}
