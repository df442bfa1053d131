/** The recoveries of a run, as the table `recoveries` tells them. */
import type { Pool } from 'pg';

export interface RecoveryTimes {
  readonly term: number;
  readonly cause: string;
  readonly outcome: string;
  /** From its first step to its last; null when it did not end. */
  readonly ms: number | null;
  /** By the clock of PostgreSQL, in ms since 1970; null when it did not end. */
  readonly ended_ms?: number | null;
  readonly steps: unknown;
}

interface Row {
  readonly term: string;
  readonly cause: string;
  readonly outcome: string | null;
  readonly ms: number | null;
  readonly ended_ms: number | null;
  readonly steps: unknown;
}

export async function readRecoveries(pool: Pool, since: Date): Promise<RecoveryTimes[]> {
  const { rows } = await pool.query<Row>(
    `SELECT term::text, cause, outcome, steps,
            (extract(epoch FROM ended_at - started_at) * 1000)::float8 AS ms,
            (extract(epoch FROM ended_at) * 1000)::float8 AS ended_ms
     FROM recoveries WHERE started_at >= $1 ORDER BY started_at`,
    [since],
  );
  return rows.map(({ term, cause, outcome, ms, ended_ms, steps }) => ({
    term: Number(term),
    cause,
    outcome: outcome ?? 'no end',
    ms: ms === null ? null : Math.round(ms),
    ended_ms: ended_ms === null ? null : Math.round(ended_ms),
    steps,
  }));
}
