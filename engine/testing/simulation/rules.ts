/**
 * Which rules hold in a run. Where a rule is a pure function of the product, the product's own runs,
 * and switching it off puts a broken one in its place.
 */
import { plantBugs } from './planted.ts';
import { PRODUCT, type Product } from './product.ts';
import type { RuleName } from './rule-names.ts';

export interface Rules {
  readonly on: (rule: RuleName) => boolean;
  readonly product: Product;
}

export function makeRules(off: Iterable<RuleName> = []): Rules {
  const planted = new Set(off);
  const product = plantBugs(PRODUCT, planted);
  return { on: (rule) => !planted.has(rule), product };
}
