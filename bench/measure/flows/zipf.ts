/**
 * Which SKU is wanted next. Demand of a shop is about Zipf's: the n-th most wanted is wanted in
 * proportion to 1 / n^s. Drawn by Walker's alias method (Vose, 1991): two looks at a table, however
 * many SKUs there are.
 */
import { randomFrom } from '../../load/random.ts';

export interface SkuRange {
  /** The SKUs are `<prefix>0` to `<prefix><count - 1>`, the most wanted first. */
  readonly prefix: string;
  readonly count: number;
  /** The exponent s; 0: all alike. Default: 1. */
  readonly zipf?: number;
}

export function skusOf({ prefix, count }: SkuRange): readonly string[] {
  return Array.from({ length: count }, (_, n) => `${prefix}${n}`);
}

/** Names of the range, one a call, the same for the same seed. */
export function skuDraw(range: SkuRange, seed: string): () => string {
  const names = skusOf(range);
  const draw = zipfDraw(range.count, range.zipf ?? 1, randomFrom(seed));
  return () => names[draw()] ?? '';
}

/** Ranks from 0. */
export function zipfDraw(count: number, exponent: number, random: () => number): () => number {
  const { keep, alias } = aliasTable(Array.from({ length: count }, (_, n) => (n + 1) ** -exponent));
  return () => {
    const at = random() * count;
    const column = Math.floor(at);
    return at - column < (keep[column] ?? 1) ? column : (alias[column] ?? column);
  };
}

interface AliasTable {
  /** Part of a column that is its own. */
  readonly keep: Float64Array;
  /** Whose the rest is. */
  readonly alias: Uint32Array;
}

function aliasTable(weights: readonly number[]): AliasTable {
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
  const left = weights.map((weight) => weight / mean);
  const keep = new Float64Array(weights.length).fill(1);
  const alias = Uint32Array.from(weights, (_, n) => n);
  const poor: number[] = [];
  const rich: number[] = [];
  for (const [n, part] of left.entries()) (part < 1 ? poor : rich).push(n);
  for (;;) {
    const [from, to] = [rich.at(-1), poor.at(-1)];
    if (from === undefined || to === undefined) return { keep, alias };
    poor.pop();
    keep[to] = left[to] ?? 1;
    alias[to] = from;
    left[from] = (left[from] ?? 0) - (1 - (left[to] ?? 1));
    if ((left[from] ?? 1) >= 1) continue;
    rich.pop();
    poor.push(from);
  }
}
