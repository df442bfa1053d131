/**
 * What the design promises (section 12), beside what was measured. Absolute numbers are of one
 * machine, so they are shown; ratios within one run hold across machines, so they decide the exit
 * code.
 */

export interface BudgetRow {
  readonly what: string;
  readonly measured: number;
  /** `x`: a ratio within the run, which decides. */
  readonly unit: string;
  readonly budget: number;
  readonly isMet: boolean;
  /** A ratio: when it is missed the run fails. */
  readonly isThreshold: boolean;
}

export function atMost(what: string, measured: number, budget: number, unit: string): BudgetRow {
  return { what, measured, unit, budget, isMet: measured <= budget, isThreshold: unit === 'x' };
}

export function atLeast(what: string, measured: number, budget: number, unit: string): BudgetRow {
  return { what, measured, unit, budget, isMet: measured >= budget, isThreshold: unit === 'x' };
}
