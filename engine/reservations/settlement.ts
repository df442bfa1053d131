/** What a commit, release, cancel or ship names of a reservation, merged and digested. */
import { QUANTITY_MAX } from '../domain/cell.ts';
import type { CellField } from '../domain/ids.ts';
import { asSku, cellField } from '../domain/ids.ts';
import type { SettleLine } from '../redis/operation.ts';
import { digest32, digest64 } from '../stock/digest.ts';
import type { IdInput } from './cart.ts';
import type { Settlement } from './policy.ts';

export interface SettleItemInput {
  readonly sku_id: IdInput;
  /** Absent: wherever the reservation has the SKU. */
  readonly warehouse_id?: IdInput;
  readonly quantity: number;
}

export interface SettleOverflow {
  readonly item: number;
  readonly total: number;
}

/**
 * Items of the same SKU and warehouse become one line. The lines are a set, so they are put in one
 * order, and those that name a warehouse first: else a line that may be served from anywhere could
 * take the units of the one warehouse that another line insists on.
 */
export function mergeSettleItems(
  items: readonly SettleItemInput[],
): readonly SettleLine[] | SettleOverflow {
  const merged = new Map<string, SettleLine>();
  for (const [index, item] of items.entries()) {
    const sku = asSku(String(item.sku_id));
    const field: CellField | '' =
      item.warehouse_id === undefined ? '' : cellField(String(item.warehouse_id));
    const place = `${sku}|${field}`;
    const quantity = item.quantity + (merged.get(place)?.quantity ?? 0);
    if (quantity > QUANTITY_MAX) return { item: index, total: quantity };
    merged.set(place, { sku, field, quantity });
  }
  return [...merged.values()].sort(byPlace);
}

function byPlace(a: SettleLine, b: SettleLine): number {
  if ((a.field === '') !== (b.field === '')) return a.field === '' ? 1 : -1;
  return compare(a.sku, b.sku) || compare(a.field, b.field);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function linesText(lines: readonly SettleLine[]): string {
  return lines.map(({ sku, field, quantity }) => `${sku},${field},${quantity}`).join(';');
}

/** 0 for a commit of the whole; the script compares it to tell a replay from another commit. */
export function commitFingerprint(lines: readonly SettleLine[] | undefined): number {
  return lines === undefined ? 0 : digest32(linesText(lines));
}

/**
 * 4 bytes of the Idempotency-Key, 4 of what is asked under it: the script sees by the first four
 * that the key was used before, and by the others whether for the same verb and lines. Never zeros,
 * which stand for "no key".
 */
export function operationKey(key: string, verb: Settlement, lines: readonly SettleLine[]): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeUInt32BE(digest32(key), 0);
  bytes.writeUInt32BE(digest32(`${verb}:${linesText(lines)}`), 4);
  return bytes;
}

/** Of a reservation that only a commit with its lines has made again. */
export function retakeFingerprint(lines: readonly SettleLine[]): Buffer {
  return digest64(`retake:${linesText(lines)}`);
}
