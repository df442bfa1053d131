/**
 * What stands in the four warehouses before the real orders begin: enough for nearly all of them, laid out
 * where they will be asked for, and some SKUs left short on purpose. Pure.
 */
import { fractionOf } from '../load/random.ts';
import { classify } from './classify.ts';
import { groupBy, sumOf } from './group.ts';
import type { OrderLine } from './parse.ts';
import { homeWarehouse, rankWarehouses, WAREHOUSES } from './warehouses.ts';

export interface OpeningCell {
  readonly skuId: string;
  readonly warehouseId: string;
  readonly quantity: number;
}

export interface OpeningStock {
  /** No cell of quantity 0. */
  readonly cells: readonly OpeningCell[];
  readonly units: number;
  /** SKUs of which less stands there than the orders ask for. */
  readonly shortSkus: readonly string[];
}

export interface OpeningStockOptions {
  /** Units beyond the demand, as a part of it, that are spread over all warehouses. */
  readonly margin?: number;
  /** Part of the SKUs that qualify which are left short; 0 leaves none. */
  readonly shortShare?: number;
}

/** A SKU qualifies for being left short when this many invoices or fewer sell it, and two at least. */
const SHORT_INVOICES_MAX = 6;
/** ...and none of them has more lines: one missing SKU refuses a whole cart, however big. */
const SHORT_CART_LINES_MAX = 100;

/**
 * The demand of a sale stands in the warehouse that its order tries first, a write-off's where the write-off
 * takes place; every warehouse has its part of the margin beside that, one unit at least, so that every SKU
 * can be had everywhere. A short SKU has half of its demand in the one warehouse that would need most of it,
 * and no margin: the first orders get it, a later one is refused as `insufficient`.
 */
export function deriveOpeningStock(
  lines: readonly OrderLine[],
  { margin = 0.25, shortShare = 0.06 }: OpeningStockOptions = {},
): OpeningStock {
  const goods = lines.filter((line) => !['not_goods', 'invalid_id'].includes(classify(line)));
  const shortSkus = chooseShort(goods, shortShare);
  const short = new Set(shortSkus);
  const cells: OpeningCell[] = [];
  for (const [skuId, ofSku] of groupBy(goods, (line) => line.sku)) {
    const demand = demandByWarehouse(ofSku);
    if (short.has(skuId)) cells.push(shortCell(skuId, demand));
    else cells.push(...fullCells(skuId, demand, margin));
  }
  return { cells, units: sumOf(cells, (cell) => cell.quantity), shortSkus };
}

function demandByWarehouse(ofSku: readonly OrderLine[]): ReadonlyMap<string, number> {
  const demand = new Map(WAREHOUSES.map(({ warehouseId }) => [warehouseId, 0]));
  for (const line of ofSku) {
    const kind = classify(line);
    if (kind !== 'sale' && kind !== 'write_off') continue;
    const warehouseId =
      kind === 'sale' ? rankWarehouses(line.country, line.invoice)[0] : homeWarehouse(line.sku);
    if (warehouseId === undefined) continue;
    demand.set(warehouseId, (demand.get(warehouseId) ?? 0) + Math.abs(line.quantity));
  }
  return demand;
}

function fullCells(
  skuId: string,
  demand: ReadonlyMap<string, number>,
  margin: number,
): OpeningCell[] {
  const total = sumOf(demand.values(), (quantity) => quantity);
  return WAREHOUSES.map(({ warehouseId, homeShare }) => ({
    skuId,
    warehouseId,
    quantity: (demand.get(warehouseId) ?? 0) + Math.max(1, Math.ceil(total * margin * homeShare)),
  }));
}

function shortCell(skuId: string, demand: ReadonlyMap<string, number>): OpeningCell {
  const total = sumOf(demand.values(), (quantity) => quantity);
  const [warehouseId] = [...demand].reduce((most, next) => (next[1] > most[1] ? next : most));
  return { skuId, warehouseId, quantity: Math.max(1, Math.floor(total / 2)) };
}

function chooseShort(goods: readonly OrderLine[], shortShare: number): readonly string[] {
  const cartLines = groupBy(goods, (line) => line.invoice);
  const qualifies = (ofSku: readonly OrderLine[]): boolean => {
    const sold = ofSku.filter((line) => classify(line) === 'sale');
    const invoices = new Set(sold.map((line) => line.invoice));
    return (
      invoices.size >= 2 &&
      invoices.size <= SHORT_INVOICES_MAX &&
      // What is written off must be there, or the correction would fail instead of an order.
      ofSku.every((line) => classify(line) !== 'write_off') &&
      [...invoices].every(
        (invoice) => (cartLines.get(invoice)?.length ?? 0) <= SHORT_CART_LINES_MAX,
      )
    );
  };
  return [...groupBy(goods, (line) => line.sku)]
    .filter(([skuId, ofSku]) => qualifies(ofSku) && fractionOf(`short/${skuId}`) < shortShare)
    .map(([skuId]) => skuId);
}
