/**
 * Which ratios have got worse. What V8 and Redis do now and then falls into one count and not into
 * another, a regression into each: so a ratio counts as what its best try says. Pure.
 */

/** By name; instructions of one thing against those of another in the same run: lower is better. */
export type Ratios = Readonly<Record<string, number>>;

export interface Judgement {
  readonly what: string;
  readonly measured: number;
  readonly known: number;
  readonly isWorse: boolean;
}

/**
 * Counts of one tree differed by two or three percent. In the engine's counts unoptimised code weighs
 * more than in its CPU, so a fifth of CPU may be less than a fifth here.
 */
export const WORSE_MAX = 1.1;

/** Throws when a ratio that is known was not measured, or the other way round. */
export function judge(tries: readonly Ratios[], known: Ratios): Judgement[] {
  const measured = new Set(tries.flatMap((ratios) => Object.keys(ratios)));
  for (const what of measured) {
    if (known[what] !== undefined) continue;
    throw new Error(`"${what}" is not among the known ratios; measured: ${JSON.stringify(tries)}`);
  }
  return Object.entries(known).map(([what, usual]) => {
    const found = tries.flatMap(({ [what]: ratio }) => (ratio === undefined ? [] : [ratio]));
    if (found.length === 0)
      throw new Error(`"${what}" is among the known ratios, and was not measured`);
    const best = Math.min(...found);
    // Not (best <= bound): what is not a number is worse.
    return { what, measured: best, known: usual, isWorse: !(best <= usual * WORSE_MAX) };
  });
}
