/** The last recoveries of a lane as people read them: each phase with when it was reached. */
import type { Pool } from '../../engine/postgres/pool.ts';
import type { CopyProgress } from '../copy-progress.ts';
import type { RecoveryStep, StepDetail } from '../journal.ts';
import { showTerm } from '../term.ts';

export interface Phase {
  readonly phase: string;
  /** When it was reached, since the cause was detected. */
  readonly at_ms: number;
  readonly took_ms: number;
  readonly detail?: StepDetail;
}

export interface RecoveryTimeline {
  /** Timeline and counter, as `1.7`. */
  readonly term: string;
  readonly cause: string;
  /** `opened`, `superseded: why`, `parked: why`, `failed: why`, `abandoned`; missing: under way. */
  readonly outcome?: string;
  readonly leader?: string;
  /** The Redis that was claimed. */
  readonly primary?: string;
  readonly replid?: string;
  /** ISO 8601, by PostgreSQL's clock. */
  readonly detected_at: string;
  readonly ended_at?: string;
  /** From detection to its end. */
  readonly took_ms?: number;
  /** From the last look that found the lane well to its end: the outage is not longer. */
  readonly outage_ms_max?: number;
  readonly phases: readonly Phase[];
  /** While many rows are copied. */
  readonly progress?: CopyProgress;
}

/** Names of the steps (recover.ts) as things that have been reached. */
const PHASES: Readonly<Record<string, string>> = {
  claim: 'claimed',
  fence: 'fenced',
  fence_applied: 'drained',
  lineage: 'lineage known',
  relay: 'tail relayed',
  wipe: 'emptied',
  copy: 'copied back',
  replicate: 'replicated',
  registry: 'registered',
  open: 'opened',
};

interface Row {
  readonly term: number;
  readonly cause: string;
  readonly outcome: string | null;
  readonly leader: string | null;
  readonly primary_address: string | null;
  readonly replid: string | null;
  readonly detected_at: Date;
  readonly ended_at: Date | null;
  readonly begins_ms: number;
  readonly took_ms: number | null;
  readonly outage_ms: number | null;
  readonly steps: readonly RecoveryStep[];
  readonly progress: CopyProgress | null;
}

/** The newest first; `which` says whether all, or only those that opened the lane. */
export async function readRecoveries(
  pool: Pool,
  lane: number,
  count: number,
  which: 'all' | 'opened' = 'all',
): Promise<readonly RecoveryTimeline[]> {
  const { rows } = await pool.query<Row>(
    `SELECT term, cause, outcome, leader, primary_address, replid, steps, progress, ended_at,
            seen AS detected_at,
            ${msBetween('seen', 'started_at')} AS begins_ms,
            ${msBetween('seen', 'ended_at')} AS took_ms,
            ${msBetween('well_at', 'ended_at')} AS outage_ms
     FROM recoveries, LATERAL (SELECT coalesce(detected_at, started_at) AS seen) s
     WHERE lane = $1 AND ($3 = 'all' OR outcome = $3) ORDER BY started_at DESC LIMIT $2`,
    [lane, count, which],
  );
  return rows.map(toTimeline);
}

function msBetween(from: string, to: string): string {
  return `round(extract(epoch FROM ${to} - ${from}) * 1000)::bigint`;
}

/** Of a recovery that has copied back: how many; undefined before. */
export function rowsCopied({ phases }: RecoveryTimeline): number | undefined {
  const copied = phases.find(({ phase }) => phase === PHASES.copy);
  return copied && countRows(copied.detail);
}

/** In what the step `copy` found. */
export function countRows(detail: StepDetail = {}): number {
  return ['products', 'cells', 'records'].reduce((n, of) => n + Number(detail[of] ?? 0), 0);
}

export function toTimeline(row: Row): RecoveryTimeline {
  const steps = row.steps.map(({ step, at_ms, took_ms, detail }) => ({
    phase: PHASES[step] ?? step,
    at_ms: row.begins_ms + at_ms + took_ms,
    took_ms,
    ...(detail !== undefined && { detail }),
  }));
  const isOver = row.outcome !== null;
  return {
    term: showTerm(row.term),
    cause: row.cause,
    ...(row.outcome !== null && { outcome: row.outcome }),
    ...(row.leader !== null && { leader: row.leader }),
    ...(row.primary_address !== null && { primary: row.primary_address }),
    ...(row.replid !== null && { replid: row.replid }),
    detected_at: row.detected_at.toISOString(),
    ...(row.ended_at !== null && { ended_at: row.ended_at.toISOString() }),
    ...(row.took_ms !== null && { took_ms: row.took_ms }),
    ...(row.outage_ms !== null && row.outcome === 'opened' && { outage_ms_max: row.outage_ms }),
    phases: [{ phase: 'term taken', at_ms: row.begins_ms, took_ms: 0 }, ...steps],
    ...(row.progress !== null && !isOver && { progress: row.progress }),
  };
}
