/** The products of the real orders: what is sold, how it is called and what it costs. Pure. */
import { classify } from './classify.ts';
import { groupBy } from './group.ts';
import type { OrderLine } from './parse.ts';

export interface Product {
  /** As in the data: `85123A` and `85123a` are two SKUs. */
  readonly skuId: string;
  readonly name: string;
  /** Undefined when no line of the SKU has a price. */
  readonly unitPricePence: number | undefined;
}

/** Why lines gave no product. */
export interface DroppedCode {
  readonly code: string;
  readonly why: 'not_goods' | 'invalid_id';
  readonly lines: number;
}

export interface Catalogue {
  /** In the order in which the SKUs first appear. */
  readonly products: readonly Product[];
  readonly dropped: readonly DroppedCode[];
  /** Products that no line describes: they are called by their SKU. */
  readonly unnamed: number;
  readonly unpriced: number;
  /** Groups of products whose SKUs differ by letter case only. */
  readonly caseTwins: number;
}

export function deriveCatalogue(lines: readonly OrderLine[]): Catalogue {
  const kinds = groupBy(lines, classify);
  const dropped = (['not_goods', 'invalid_id'] as const).flatMap((why) =>
    [...groupBy(kinds.get(why) ?? [], (line) => line.sku)].map(
      ([code, ofCode]): DroppedCode => ({ code, why, lines: ofCode.length }),
    ),
  );
  const droppedCodes = new Set(dropped.map((entry) => entry.code));
  const goods = lines.filter((line) => !droppedCodes.has(line.sku));

  let unnamed = 0;
  const products = [...groupBy(goods, (line) => line.sku)].map(([skuId, ofSku]): Product => {
    const name = mostFrequent(ofSku.filter(describesGoods).map((line) => line.description.trim()));
    if (name === undefined) unnamed += 1;
    return { skuId, name: name ?? skuId, unitPricePence: medianPrice(ofSku) };
  });
  return {
    products,
    dropped,
    unnamed,
    unpriced: products.filter((product) => product.unitPricePence === undefined).length,
    caseTwins: countCaseTwins(products),
  };
}

/** On a line of a stock correction the description is the clerk's note ("?", "amazon"), not the name. */
function describesGoods(line: OrderLine): boolean {
  const kind = classify(line);
  return line.description.trim() !== '' && kind !== 'write_off' && kind !== 'found';
}

/** Of equally frequent texts the one that came first. */
function mostFrequent(texts: readonly string[]): string | undefined {
  const counts = groupBy(texts, (text) => text);
  let best: string | undefined;
  let most = 0;
  for (const [text, uses] of counts) {
    if (uses.length <= most) continue;
    best = text;
    most = uses.length;
  }
  return best;
}

/** The lower median of the positive prices, so that it is a price that somebody paid. */
function medianPrice(lines: readonly OrderLine[]): number | undefined {
  const prices = lines
    .map((line) => line.unitPricePence)
    .filter((pence) => pence > 0)
    .toSorted((left, right) => left - right);
  return prices[Math.floor((prices.length - 1) / 2)];
}

function countCaseTwins(products: readonly Product[]): number {
  const spellings = groupBy(products, ({ skuId }) => skuId.toLowerCase());
  return [...spellings.values()].filter((twins) => twins.length > 1).length;
}
