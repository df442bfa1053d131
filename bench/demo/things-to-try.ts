/** What of this run is worth trying by hand: a SKU that can still be had, an order that can be called off. */
import type { OrderLine } from '../orders/parse.ts';
import { type Api, fieldOf } from './api.ts';
import type { TryIt } from './words.ts';

const CANDIDATES = 200;
const UNITS_LEFT_MIN = 5;

export async function findCell(
  api: Api,
  lines: readonly OrderLine[],
): Promise<Pick<TryIt, 'sku' | 'warehouseId'>> {
  const found = await api.insist({
    method: 'POST',
    path: '/api/v1/inventory/availability',
    body: { sku_ids: [...new Set(lines.map(({ sku }) => sku))].slice(0, CANDIDATES) },
    label: 'availability',
  });
  for (const sku of listOf(fieldOf(found.body, 'skus'))) {
    for (const cell of listOf(fieldOf(sku, 'warehouses'))) {
      if (Number(fieldOf(cell, 'available_qty')) < UNITS_LEFT_MIN) continue;
      const warehouseId = String(fieldOf(cell, 'warehouse_id'));
      return { sku: String(fieldOf(sku, 'sku_id')), warehouseId };
    }
  }
  return { sku: undefined, warehouseId: undefined };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
