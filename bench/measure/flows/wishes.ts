/** What shoppers want: the items of one cart after another, as they stand in a request's body. */

import { readRealOrders } from '../../orders/parse.ts';
import { buildReplay } from '../../orders/replay.ts';
import { type SkuRange, skuDraw } from './zipf.ts';

export interface Wish {
  /** JSON of the list of items. */
  readonly items: string;
  readonly lines: number;
  readonly units: number;
}

export type WishParams =
  /** One unit of one SKU. */
  | { readonly kind: 'one'; readonly skus: SkuRange; readonly warehouse: string }
  /** The carts of the real invoices, round and round, from one warehouse. */
  | { readonly kind: 'real carts'; readonly warehouse: string; readonly cartsMax: number };

export async function wishes(params: WishParams, seed: string): Promise<() => Wish> {
  const { warehouse } = params;
  if (params.kind === 'real carts') return realCarts(warehouse, params.cartsMax);
  const draw = skuDraw(params.skus, `${seed}/skus`);
  return () => ({
    items: `[{"sku_id":"${draw()}","warehouse_id":"${warehouse}","quantity":1}]`,
    lines: 1,
    units: 1,
  });
}

async function realCarts(warehouse: string, cartsMax: number): Promise<() => Wish> {
  const carts = (await readRealCarts(cartsMax)).map((lines) => ({
    items: JSON.stringify(
      lines.map(({ skuId, quantity }) => ({ sku_id: skuId, warehouse_id: warehouse, quantity })),
    ),
    lines: lines.length,
    units: lines.reduce((sum, { quantity }) => sum + quantity, 0),
  }));
  const [first] = carts;
  if (first === undefined) throw new Error('the real orders hold no cart');
  let n = 0;
  return () => carts[n++ % carts.length] ?? first;
}

/** What was ordered together, a line for each SKU; the first `cartsMax` of them. */
export async function readRealCarts(
  cartsMax: number,
): Promise<readonly (readonly { readonly skuId: string; readonly quantity: number }[])[]> {
  const { steps } = buildReplay(await readRealOrders());
  return steps.flatMap((step) => (step.kind === 'reserve' ? [step.lines] : [])).slice(0, cartsMax);
}
