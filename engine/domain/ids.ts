/**
 * Names of things. Every id is 1 to 64 characters of `A-Za-z0-9._:-`; JSON integers are accepted
 * at the edge and become strings. Brands keep a SKU from being passed where a warehouse is meant.
 */

declare const brand: unique symbol;
export type Branded<T, Name extends string> = T & { readonly [brand]: Name };

export type Sku = Branded<string, 'Sku'>;
export type WarehouseId = Branded<string, 'WarehouseId'>;
export type ReservationId = Branded<string, 'ReservationId'>;
/** Field of a SKU's stock hash: `<warehouse>` for the shared pool, `<warehouse>/<pool>` else. */
export type CellField = Branded<string, 'CellField'>;

export const ID_PATTERN = /^[A-Za-z0-9._:-]{1,64}$/;

export function isId(text: string): boolean {
  return ID_PATTERN.test(text);
}

export const asSku = (text: string): Sku => text as Sku;
export const asReservation = (text: string): ReservationId => text as ReservationId;

export const SHARED_POOL = 'shared';

export function cellField(warehouse: string, pool: string = SHARED_POOL): CellField {
  return (pool === SHARED_POOL ? warehouse : `${warehouse}/${pool}`) as CellField;
}

export function splitCellField(field: string): { warehouse: WarehouseId; pool: string } {
  const slash = field.indexOf('/');
  if (slash < 0) return { warehouse: field as WarehouseId, pool: SHARED_POOL };
  return { warehouse: field.slice(0, slash) as WarehouseId, pool: field.slice(slash + 1) };
}
