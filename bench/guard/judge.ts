/**
 * Which ratios have got worse. Noise only ever makes a try look worse or better for a moment, a
 * regression makes each try worse: so a ratio counts as what its best try says. Pure.
 */

/** By name; CPU of one thing against CPU of another in the same run, so lower is better. */
export type Ratios = Readonly<Record<string, number>>;

export interface Judgement {
  readonly what: string;
  readonly measured: number;
  readonly known: number;
  readonly isWorse: boolean;
}

/** One that gets worse by a fifth fails. */
export const WORSE_MAX = 1.2;

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
