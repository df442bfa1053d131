/** What the checker says of one run. */
import type { Invariant } from '../auditor/violation.ts';

/** The levels, weakest first: the checker's own list, because the product's is what it checks. */
export const LEVELS = ['memory', 'replicated', 'fsync', 'logged', 'persisted'] as const;
export type Level = (typeof LEVELS)[number];

export interface FaultViolation {
  /** I2 is only here: it takes a history to see that something acknowledged is gone. */
  readonly invariant: Invariant | 'I2';
  readonly where: string;
  readonly what: string;
}

export type Promised = 'receive' | 'reserve' | 'commit' | 'release';

/** Of one verb at one level. */
export interface LevelCount {
  readonly verb: Promised;
  readonly level: string;
  readonly acknowledged: number;
  readonly lost: number;
  /** The level promised to survive this fault: a loss is a violation. */
  readonly promised: boolean;
}

export interface Verdict {
  readonly violations: readonly FaultViolation[];
  readonly levels: readonly LevelCount[];
  /** Units committed to clients beyond what there was. */
  readonly oversold: number;
  readonly attempts: number;
  readonly outcomes: Readonly<Record<string, number>>;
}

export function rank(level: string): number {
  const at = (LEVELS as readonly string[]).indexOf(level);
  if (at < 0) throw new Error(`${level} is no durability level`);
  return at;
}
