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
  readonly yardstick?: Yardstick;
}

/** What bounds the measured on this machine, in this hour: found in the same run, in the same unit. */
export interface Yardstick {
  readonly what: string;
  readonly measured: number;
  /** Of it the design's numbers ask for so much at least; undefined where they name no such ratio. */
  readonly ratioMin?: number;
}

export function atMost(
  what: string,
  measured: number,
  budget: number,
  unit: string,
  yardstick?: Yardstick,
): BudgetRow {
  return rowOf({ what, measured, unit, budget, isMet: measured <= budget }, yardstick);
}

export function atLeast(
  what: string,
  measured: number,
  budget: number,
  unit: string,
  yardstick?: Yardstick,
): BudgetRow {
  return rowOf({ what, measured, unit, budget, isMet: measured >= budget }, yardstick);
}

function rowOf(
  row: Omit<BudgetRow, 'isThreshold' | 'yardstick'>,
  yardstick?: Yardstick,
): BudgetRow {
  return { ...row, isThreshold: row.unit === 'x', ...(yardstick !== undefined && { yardstick }) };
}
