/** One line of the results file: a run of a fault, and what came of it. */
import type { RecoveryTimes } from './recoveries.ts';
import type { FaultViolation, LevelCount } from './verdict.ts';

export interface RunRecord {
  readonly kind: 'run';
  readonly fault: string;
  readonly log: 'embedded' | 'kafka';
  readonly run: number;
  readonly seed: string;
  readonly at: string;
  readonly survives: string;
  /** From the fault to its end. */
  readonly fault_ms: number;
  /** The longest time without a success for the clients of the side that is not cut off. */
  readonly stopped_ms: number | null;
  readonly stopped_old_ms: number | null;
  readonly recoveries: readonly RecoveryTimes[];
  /** From the last answer until the lane was open and all stores stood at one position. */
  readonly converged_ms: number;
  readonly attempts: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly levels: readonly LevelCount[];
  readonly oversold: number;
  readonly violations: readonly FaultViolation[];
  readonly notes: readonly string[];
}

export interface SkippedRecord {
  readonly kind: 'skipped';
  readonly fault: string;
  readonly why: string;
}

/** The conditions under which the lines behind it were made. */
export interface ConditionsRecord {
  readonly kind: 'conditions';
  readonly at: string;
  readonly words: readonly string[];
}

/** A soak: the sum of its runs, which stand before it. */
export interface SoakRecord {
  readonly kind: 'soak';
  readonly at: string;
  readonly minutes: number;
  readonly log: 'embedded' | 'kafka';
  readonly seed: string;
  readonly runs: number;
  readonly attempts: number;
  readonly acknowledged: number;
  readonly acknowledged_commits: number;
  readonly commits_lost: number;
  readonly oversold: number;
  /** Runs in which a promise was broken. */
  readonly broken: number;
}

export type FaultRecord = RunRecord | SkippedRecord | ConditionsRecord | SoakRecord;
