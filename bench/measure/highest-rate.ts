/** Looks for the highest rate that a system carries, by trying rates. */

export interface RateSearch {
  /** Surely too much, or nearly so: nothing above it is tried. */
  readonly most: number;
  /** How many rates are tried. */
  readonly tries: number;
  /** Rates are multiples of it. */
  readonly step: number;
}

/**
 * Halves the gap between the highest rate that was carried and the lowest that was not, beginning at
 * three quarters of `most`. Gives 0 when none was carried.
 */
export async function findHighestRate(
  { most, tries, step }: RateSearch,
  isCarried: (rate: number) => Promise<boolean>,
): Promise<number> {
  let carried = 0;
  let refused = most + step;
  let rate = roundTo(step, most * 0.75);
  for (let i = 0; i < tries && rate > carried && rate < refused; i++) {
    if (await isCarried(rate)) carried = rate;
    else refused = rate;
    rate = roundTo(step, (carried + refused) / 2);
  }
  return carried;
}

function roundTo(step: number, rate: number): number {
  return Math.max(step, Math.round(rate / step) * step);
}
