/** The lines of the results file: a run of a fault, and what came of it. */
import type { RaceCount } from './race-count.ts';
import type { RecoveryTimes } from './recoveries.ts';
import type { FaultViolation, LevelCount } from './verdict.ts';

/** Which build said it, and how busy the machine was; lines of older builds do not tell. */
export interface Provenance {
  readonly commit?: string;
  /** Load average of the last minute, when the line was written. */
  readonly load?: number;
}

export interface RunRecord extends Provenance {
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
  /** From the fault until the side that is not cut off sold again; null where nothing stops it. */
  readonly selling_again_ms?: number | null;
  /** From the (last) promotion of a Redis node until the lane was open; null without one. */
  readonly reopened_ms?: number | null;
  /** SIGKILLs to processes of the product, by what or at which of its steps. */
  readonly kills?: Readonly<Record<string, number>>;
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

export interface SkippedRecord extends Provenance {
  readonly kind: 'skipped';
  readonly fault: string;
  readonly why: string;
}

/** The conditions under which the lines behind it were made. */
export interface ConditionsRecord extends Provenance {
  readonly kind: 'conditions';
  readonly at: string;
  readonly words: readonly string[];
}

/** A soak: the sum of its runs, which stand before it. */
export interface SoakRecord extends Provenance {
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

/** Races of commits against expiry over one stack. */
export interface RacesRecord extends Provenance, RaceCount {
  readonly kind: 'races';
  readonly at: string;
  readonly log: 'embedded' | 'kafka';
  readonly seed: string;
  readonly seconds: number;
  readonly violations: readonly FaultViolation[];
}

export type FaultRecord = RunRecord | SkippedRecord | ConditionsRecord | SoakRecord | RacesRecord;
