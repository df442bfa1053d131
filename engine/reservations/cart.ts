/** A cart as the lane takes it: ids as strings, lines of the same wish merged, a digest of it all. */
import { QUANTITY_MAX } from '../domain/cell.ts';
import type { CellField, Sku } from '../domain/ids.ts';
import { asSku, cellField } from '../domain/ids.ts';
import { CART_CELLS_MAX } from '../domain/script-limits.ts';
import type { ReserveLine } from '../redis/operation.ts';
import { digest64 } from '../stock/digest.ts';
import { wishOf } from './sold-out.ts';

/** Ids may come as JSON integers. */
export type IdInput = string | number;

export interface ItemInput {
  readonly sku_id: IdInput;
  /** One warehouse, or several in order of preference; absent: wherever there is stock. */
  readonly warehouse_id?: IdInput | readonly IdInput[];
  readonly quantity: number;
}

export interface CartLine extends ReserveLine {
  /** Index of the first item that went into the line. */
  readonly item: number;
}

/** What the client said beside its items. */
export interface CartTerms {
  readonly partial: boolean;
  readonly split: boolean;
  /** As the client gave it; undefined when it left it to us. */
  readonly ttlS: number | undefined;
  /** JSON for the log (`cartAttributes`). */
  readonly attributes: string;
}

export class Cart implements CartTerms {
  readonly lines: readonly CartLine[];
  readonly partial: boolean;
  readonly split: boolean;
  readonly ttlS: number | undefined;
  readonly attributes: string;
  /** Of a cart of one line: what it wants, for the sold-out cache; undefined of several. */
  readonly wish: string | undefined;
  #fingerprint: Buffer | undefined;

  constructor(lines: readonly CartLine[], { partial, split, ttlS, attributes }: CartTerms) {
    this.lines = lines;
    this.partial = partial;
    this.split = split;
    this.ttlS = ttlS;
    this.attributes = attributes;
    const [only] = lines;
    this.wish = only === undefined || lines.length > 1 ? undefined : wishOf(only, split);
  }

  /** Made when it is first asked for: who is told that it is sold out needs none. */
  get fingerprint(): Buffer {
    this.#fingerprint ??= cartFingerprint(this);
    return this.#fingerprint;
  }
}

/** The sum of the lines of one wish is beyond what a line may name. */
export interface CartOverflow {
  readonly item: number;
  readonly total: number;
}

const ANYWHERE: readonly CellField[] = Object.freeze([]);

/**
 * Items with the same SKU and the same list of warehouses become one line, in the place of the
 * first. Repeats within a list of warehouses count once.
 */
export function mergeItems(items: readonly ItemInput[]): CartLine[] | CartOverflow {
  const [only] = items;
  if (items.length === 1 && only !== undefined) return [toLine(only, 0)];
  const merged = new Map<string, CartLine>();
  for (const [index, item] of items.entries()) {
    const line = toLine(item, index);
    const wish = `${line.sku}|${line.fields.join('|')}`;
    const before = merged.get(wish);
    if (before === undefined) {
      merged.set(wish, line);
      continue;
    }
    const total = before.quantity + line.quantity;
    if (total > QUANTITY_MAX) return { item: index, total };
    merged.set(wish, { ...before, quantity: total });
  }
  return [...merged.values()];
}

/** The first line with which the cart names more warehouses than one script may look at. */
export function firstBeyondCells(lines: readonly CartLine[]): CartLine | undefined {
  let cells = 0;
  return lines.find(({ fields }) => {
    cells += fields.length;
    return cells > CART_CELLS_MAX;
  });
}

function toLine(item: ItemInput, index: number): CartLine {
  return {
    sku: skuOf(item.sku_id),
    quantity: item.quantity,
    fields: item.warehouse_id === undefined ? ANYWHERE : fieldsOf(item.warehouse_id),
    item: index,
  };
}

function skuOf(id: IdInput): Sku {
  return asSku(typeof id === 'string' ? id : String(id));
}

function fieldsOf(wanted: IdInput | readonly IdInput[]): readonly CellField[] {
  if (typeof wanted === 'string') return [cellField(wanted)];
  if (typeof wanted === 'number') return [cellField(String(wanted))];
  return [...new Set(wanted.map((id) => cellField(String(id))))];
}

export interface CartParties {
  readonly order_id?: IdInput;
  readonly customer_id?: IdInput;
  readonly channel?: string;
}

/** JSON with a fixed order of keys; '' when there is nothing to say. */
export function cartAttributes(parties: CartParties): string {
  const { order_id, customer_id, channel } = parties;
  if (order_id === undefined && customer_id === undefined && channel === undefined) return '';
  let json = '';
  if (order_id !== undefined) json += `,"order_id":${JSON.stringify(String(order_id))}`;
  if (customer_id !== undefined) json += `,"customer_id":${JSON.stringify(String(customer_id))}`;
  if (channel !== undefined) json += `,"channel":${JSON.stringify(channel)}`;
  return `{${json.slice(1)}}`;
}

/**
 * Digest of what a retry must repeat: the merged lines in their order, mode, split, the TTL as it
 * was given, order, customer and channel. The default TTL is not in it, so that a retry stays a
 * retry when the default was changed in between. No id contains a separator that is used here, and
 * the free text comes last, so different carts give different texts.
 */
export function cartFingerprint(cart: CartTerms & Pick<Cart, 'lines'>): Buffer {
  let text = `${cart.partial ? 'p' : 'a'}${cart.split ? 's' : 'w'}${cart.ttlS ?? ''}`;
  for (const line of cart.lines) {
    text += `;${line.sku},${line.quantity}`;
    for (const field of line.fields) text += `,${field}`;
  }
  return digest64(`${text}|${cart.attributes}`);
}
