/** Names as long as real ones: what a name takes stands in every cell and every hold. */
import type { CellField, Sku } from '../../engine/domain/ids.ts';

/** `HOT-000042`. */
export function skuName(prefix: string, index: number): Sku {
  return `${prefix}-${String(index).padStart(6, '0')}` as Sku;
}

export function skuNames(prefix: string, count: number): Sku[] {
  return Array.from({ length: count }, (_, i) => skuName(prefix, i));
}

/** `WH-07`; longer beyond a hundred. */
export function warehouseName(index: number): CellField {
  return `WH-${String(index).padStart(2, '0')}` as CellField;
}
