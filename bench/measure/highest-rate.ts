/** Looks for the highest rate that a system carries, by trying rates. */

export interface RateSearch {
  /** Tried first: the nearer to what is looked for, the sooner it is found. Default: 0.75 of `most`. */
  readonly first?: number;
  /** Surely too much, or nearly so: nothing above it is tried. */
  readonly most: number;
  /** How many rates are tried. */
  readonly tries: number;
  /** Rates are multiples of it. */
  readonly step: number;
}

/**
 * Halves the gap between the highest rate that was carried and the lowest that was not. Gives 0 when
 * none was carried.
 */
export async function findHighestRate(
  { most, tries, step, first = most * 0.75 }: RateSearch,
  isCarried: (rate: number) => Promise<boolean>,
): Promise<number> {
  let carried = 0;
  let refused = most + step;
  let rate = roundTo(step, Math.min(first, most));
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
