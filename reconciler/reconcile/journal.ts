/** What each run came to, in the table `reconciliations`. */
import { randomBytes } from 'node:crypto';
import type { Pool } from '../../engine/postgres/pool.ts';
import type { ReconcileReport } from './report.ts';

export async function keepReport(pool: Pool, report: ReconcileReport): Promise<void> {
  const started = new Date(report.started_at);
  const ended = new Date(started.getTime() + report.duration_ms);
  await pool.query(INSERT, [
    ...[report.run, report.lane, started, ended, null, report.applied],
    ...[JSON.stringify(report.compared), JSON.stringify(report.by_cause)],
    ...[report.repaired, report.left, JSON.stringify(report)],
  ]);
}

/** The stores could not be compared. */
export async function keepFailure(
  pool: Pool,
  { lane, startedAt, applied, error }: FailedRun,
): Promise<void> {
  const run = `rc-${randomBytes(6).toString('hex')}`;
  await pool.query(INSERT, [
    ...[run, lane, startedAt, new Date(), error.message, applied],
    ...['{}', '{}', 0, 0, null],
  ]);
}

export interface FailedRun {
  readonly lane: number;
  readonly startedAt: Date;
  readonly applied: boolean;
  readonly error: Error;
}

const INSERT = `
  INSERT INTO reconciliations (run, lane, started_at, ended_at, failure, applied, compared,
    differences, repaired, remaining, report)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`;
