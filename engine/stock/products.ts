/**
 * Products: described in PostgreSQL, made known to the lane.
 *
 * Path of a PUT: the row first, then the lane, then the wait until the lane's entry is persisted.
 * Cut off in between, the same PUT again completes it: both steps do nothing when they were done.
 */
import type { DurabilityLevel } from '../domain/durability.ts';
import { asSku } from '../domain/ids.ts';
import type { Pool } from '../postgres/pool.ts';
import type { Lane, LaneRefusal, Watermarks } from '../redis/lane-port.ts';
import { isRefusal } from '../redis/lane-port.ts';
import type { SkuClasses } from './sku-classes.ts';

export interface Product {
  readonly sku_id: string;
  /** Settings may hold for all products of a class (durability levels). */
  readonly class: string | null;
  readonly name: string | null;
  readonly description: string | null;
  readonly weight_g: number | null;
  readonly length_mm: number | null;
  readonly width_mm: number | null;
  readonly height_mm: number | null;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
}

export const PRODUCT_DEFAULTS = {
  class: null,
  name: null,
  description: null,
  weight_g: null,
  length_mm: null,
  width_mm: null,
  height_mm: null,
  attributes: {},
} as const satisfies Omit<Product, 'sku_id'>;

const PUT = `
  INSERT INTO products (sku_id, name, description, weight_g, length_mm, width_mm, height_mm,
                        attributes, class)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
  ON CONFLICT (sku_id) DO UPDATE SET
    name = excluded.name, description = excluded.description, weight_g = excluded.weight_g,
    length_mm = excluded.length_mm, width_mm = excluded.width_mm,
    height_mm = excluded.height_mm, attributes = excluded.attributes, class = excluded.class,
    updated_at = now()
  RETURNING xmax = 0 AS inserted`;

export interface ProductDeps {
  readonly pool: Pool;
  readonly lane: Lane;
  readonly watermarks: Watermarks;
  readonly skuClasses: Pick<SkuClasses, 'put'>;
}

export type PutProductAnswer =
  | { readonly kind: 'put'; readonly created: boolean; readonly level: DurabilityLevel }
  | { readonly kind: 'refused'; readonly refusal: LaneRefusal }
  /** The product can be sold, but the level was not seen to be reached in time. */
  | { readonly kind: 'level_missed'; readonly level: DurabilityLevel };

/** Rejects when PostgreSQL does. */
export async function putProduct(
  product: Product,
  level: DurabilityLevel,
  deps: ProductDeps,
): Promise<PutProductAnswer> {
  const { rows } = await deps.pool.query<{ inserted: boolean }>(PUT, [
    product.sku_id,
    product.name,
    product.description,
    product.weight_g,
    product.length_mm,
    product.width_mm,
    product.height_mm,
    JSON.stringify(product.attributes),
    product.class,
  ]);
  deps.skuClasses.put(asSku(product.sku_id), product.class);
  const answer = await deps.lane.defineProducts([asSku(product.sku_id)]);
  if (isRefusal(answer)) return { kind: 'refused', refusal: answer };
  const reached = await new Promise<boolean>((resolve) => {
    deps.watermarks.wait(level, answer.stamp, resolve);
  });
  if (!reached) return { kind: 'level_missed', level };
  return { kind: 'put', created: rows[0]?.inserted === true, level };
}
