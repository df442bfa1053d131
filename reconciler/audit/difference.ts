/** What the audit found wrong: one difference each, with what the stores say. */
import type { Invariant } from '../../engine/testing/auditor/violation.ts';

export interface Difference {
  readonly invariant: Invariant;
  /** `cell TEA EU-1`, `reservation ik_...`, `entry 4294967297-12`. */
  readonly where: string;
  /** What each store says; null where it was not asked. */
  readonly redis: string | null;
  readonly postgres: string | null;
  readonly log: string | null;
  readonly explanation: string;
}

export type Found = Pick<Difference, 'invariant' | 'where' | 'explanation'> &
  Partial<Pick<Difference, 'redis' | 'postgres' | 'log'>>;

/** Counts all differences and keeps the first ones, so that a ruined store cannot fill the memory. */
export class Findings {
  readonly kept: Difference[] = [];
  readonly #keptMax: number;
  #count = 0;

  constructor(keptMax: number) {
    this.#keptMax = keptMax;
  }

  get count(): number {
    return this.#count;
  }

  add(found: Found): void {
    this.#count += 1;
    if (this.kept.length >= this.#keptMax) return;
    const { redis = null, postgres = null, log = null } = found;
    const { invariant, where, explanation } = found;
    this.kept.push({ invariant, where, redis, postgres, log, explanation });
  }

  /** Behind its own, those that a check beside it has found. */
  append(others: Findings): void {
    this.#count += others.count;
    this.kept.push(...others.kept.slice(0, this.#keptMax - this.kept.length));
  }
}
