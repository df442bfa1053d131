/**
 * The usual body of a reserve in one pass over its text, without JSON.parse and the schema, which
 * take about three times as long (../README.md, "What it costs").
 *
 * It decides nothing. What it returns is what they would have made of the same text; where the text
 * has anything but plain ids, plain integers and known keys, each once, it returns undefined and
 * they judge. A property test compares the two over random bodies.
 */
import { QUANTITY_MAX } from '../../domain/cell.ts';
import type { IdInput, ItemInput } from '../../reservations/cart.ts';
import { CART_LINES_MAX } from '../../reservations/policy.ts';
import type { ReserveForm } from './reserve-form.ts';
import { NOTHING_SAID } from './reserve-form.ts';

/** Beyond it a body is rare, and its schema cheap beside its lines. */
const TEXT_MAX = 4_096;
const ID_LENGTH_MAX = 64;
/** Below 2^53, so that the number is what the digits say. */
const DIGITS_MAX = 15;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const ZERO = 0x30;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const SPACE = 0x20;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const TAB = 0x09;

/** Behind the last code unit. */
const END = -1;

const ID = 1;
const PRINTABLE = 2;

/** Of each ASCII character: whether an id or a reference may have it as it stands. */
const CLASSES: Uint8Array = Uint8Array.from({ length: 128 }, (_, unit) => {
  const character = String.fromCharCode(unit);
  const isPlain = unit >= SPACE && unit < 127 && character !== '"' && character !== '\\';
  return (/[A-Za-z0-9._:-]/.test(character) ? ID : 0) | (isPlain ? PRINTABLE : 0);
});

/** A key with its quotation marks, as code units. */
const keyOf = (name: string): Uint8Array => Uint8Array.from(Buffer.from(`"${name}"`));

const CHANNEL = keyOf('channel');
const CUSTOMER_ID = keyOf('customer_id');
const ITEMS = keyOf('items');
const ORDER_ID = keyOf('order_id');
const QUANTITY = keyOf('quantity');
const RESERVATION_ID = keyOf('reservation_id');
const SKU_ID = keyOf('sku_id');
const TTL_SECONDS = keyOf('ttl_seconds');
const WAREHOUSE_ID = keyOf('warehouse_id');

export interface ScanBounds {
  readonly ttlMinS: number;
  readonly ttlMaxS: number;
}

/** The body, or undefined: then JSON.parse and the schema have to say what it is. */
export function scanReserve(text: string, bounds: ScanBounds): ReserveForm | undefined {
  if (text.length > TEXT_MAX) return undefined;
  const scan = new Scan(text);
  const first = scan.next();
  let form: ReserveForm | undefined;
  if (first === OPEN_ARRAY) {
    const items = readItems(scan);
    form = items && { items, itemsPointer: '', about: NOTHING_SAID };
  } else if (first === OPEN_OBJECT) {
    form = readObject(scan, bounds);
  }
  return scan.isAtEnd() ? form : undefined;
}

/** A place in a text. What it does not find leaves the place anywhere: the caller gives up. */
class Scan {
  readonly #text: string;
  /** Of strings of all kinds V8 reads it with a call, so it is read once. */
  readonly #end: number;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#end = text.length;
  }

  /** The next code unit that is no space, and steps over it. */
  next(): number {
    const unit = this.peek();
    this.#at += 1;
    return unit;
  }

  /** The same without the step. */
  peek(): number {
    for (;;) {
      const unit = this.#unitAt(this.#at);
      if (unit > SPACE) return unit;
      const isSpace = unit === SPACE || unit === LINE_FEED;
      if (!isSpace && unit !== CARRIAGE_RETURN && unit !== TAB) return unit;
      this.#at += 1;
    }
  }

  isAtEnd(): boolean {
    return this.peek() === END;
  }

  /** With a look at the length, because one step too far makes V8 take the slow way from then on. */
  #unitAt(at: number): number {
    return at < this.#end ? this.#text.charCodeAt(at) : END;
  }

  /** Steps over the word, given as its code units, when it stands at the next place. */
  takes(word: Uint8Array): boolean {
    this.peek();
    const text = this.#text;
    const start = this.#at;
    if (start + word.length > this.#end) return false;
    // `startsWith` costs more than the few steps of this.
    for (let i = 0; i < word.length; i += 1) {
      if (text.charCodeAt(start + i) !== word[i]) return false;
    }
    this.#at = start + word.length;
    return true;
  }

  /** A string of 1 to 64 characters of one class; undefined when something else stands there. */
  string(ofClass: number): string | undefined {
    if (this.next() !== QUOTE) return undefined;
    const text = this.#text;
    const start = this.#at;
    const limit = Math.min(this.#end, start + ID_LENGTH_MAX + 1);
    for (let at = start; at < limit; at += 1) {
      const unit = text.charCodeAt(at);
      if (unit === QUOTE && at > start) {
        this.#at = at + 1;
        return text.slice(start, at);
      }
      if (unit >= CLASSES.length || ((CLASSES[unit] ?? 0) & ofClass) === 0) return undefined;
    }
    return undefined;
  }

  /** A plain integer from 0 up; undefined for any other number, or none. */
  integer(): number | undefined {
    const first = this.peek() - ZERO;
    const start = this.#at;
    let at = start;
    let value = 0;
    for (;;) {
      const digit = this.#unitAt(at) - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      at += 1;
    }
    this.#at = at;
    const length = at - start;
    // What stands behind it, such as a point or an exponent, is no comma and no bracket.
    if (length === 0 || length > DIGITS_MAX || (first === 0 && length > 1)) return undefined;
    return value;
  }

  /** A string of the class, or a plain integer. */
  name(ofClass: number): IdInput | undefined {
    return this.peek() === QUOTE ? this.string(ofClass) : this.integer();
  }
}

/** Behind the opening bracket. */
function readItems(scan: Scan): ItemInput[] | undefined {
  const items: ItemInput[] = [];
  for (;;) {
    const item = scan.next() === OPEN_OBJECT ? readItem(scan) : undefined;
    if (item === undefined || items.length === CART_LINES_MAX) return undefined;
    items.push(item);
    const behind = scan.next();
    if (behind === CLOSE_ARRAY) return items;
    if (behind !== COMMA) return undefined;
  }
}

function readItem(scan: Scan): ItemInput | undefined {
  let sku: IdInput | undefined;
  let warehouse: IdInput | undefined;
  let quantity: number | undefined;
  let behind: number;
  do {
    if (sku === undefined && scan.takes(SKU_ID)) {
      sku = scan.next() === COLON ? scan.name(ID) : undefined;
      if (sku === undefined) return undefined;
    } else if (warehouse === undefined && scan.takes(WAREHOUSE_ID)) {
      warehouse = scan.next() === COLON ? scan.name(ID) : undefined;
      if (warehouse === undefined) return undefined;
    } else if (quantity === undefined && scan.takes(QUANTITY)) {
      quantity = scan.next() === COLON ? scan.integer() : undefined;
      if (quantity === undefined || quantity < 1 || quantity > QUANTITY_MAX) return undefined;
    } else {
      return undefined;
    }
    behind = scan.next();
  } while (behind === COMMA);
  if (behind !== CLOSE_OBJECT || sku === undefined || quantity === undefined) return undefined;
  return warehouse === undefined
    ? { sku_id: sku, quantity }
    : { sku_id: sku, warehouse_id: warehouse, quantity };
}

type About = { -readonly [Key in keyof ReserveForm['about']]: ReserveForm['about'][Key] };

/** Behind the opening brace. */
function readObject(scan: Scan, bounds: ScanBounds): ReserveForm | undefined {
  let items: ItemInput[] | undefined;
  const about: About = {};
  let behind: number;
  do {
    if (items === undefined && scan.takes(ITEMS)) {
      const isArray = scan.next() === COLON && scan.next() === OPEN_ARRAY;
      items = isArray ? readItems(scan) : undefined;
      if (items === undefined) return undefined;
    } else if (!readSaid(scan, about, bounds)) {
      return undefined;
    }
    behind = scan.next();
  } while (behind === COMMA);
  if (behind !== CLOSE_OBJECT || items === undefined) return undefined;
  return { items, itemsPointer: '/items', about };
}

/** One member beside the items; false when it is not plainly one that was not there before. */
function readSaid(scan: Scan, about: About, { ttlMinS, ttlMaxS }: ScanBounds): boolean {
  if (about.customer_id === undefined && scan.takes(CUSTOMER_ID)) {
    const named = scan.next() === COLON ? scan.name(PRINTABLE) : undefined;
    if (named !== undefined) about.customer_id = named;
    return named !== undefined;
  }
  if (about.order_id === undefined && scan.takes(ORDER_ID)) {
    const named = scan.next() === COLON ? scan.name(PRINTABLE) : undefined;
    if (named !== undefined) about.order_id = named;
    return named !== undefined;
  }
  if (about.reservation_id === undefined && scan.takes(RESERVATION_ID)) {
    const named = scan.next() === COLON ? scan.name(ID) : undefined;
    if (named !== undefined) about.reservation_id = named;
    return named !== undefined;
  }
  if (about.channel === undefined && scan.takes(CHANNEL)) {
    const named = scan.next() === COLON ? scan.string(ID) : undefined;
    if (named !== undefined) about.channel = named;
    return named !== undefined;
  }
  if (about.ttl_seconds === undefined && scan.takes(TTL_SECONDS)) {
    const ttlS = scan.next() === COLON ? scan.integer() : undefined;
    if (ttlS === undefined || ttlS < ttlMinS || ttlS > ttlMaxS) return false;
    about.ttl_seconds = ttlS;
    return true;
  }
  return false;
}
