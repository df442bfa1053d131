/**
 * Writes rows of PostgreSQL as the script `restore` takes them: fields of hashes, and references of
 * deadlines, that neighbours share a key. Everything is decided here and not in the script, because
 * Redis is one thread and there may be a million rows: consecutive rows of one hash become one HSET.
 */
import type { Cell } from '../domain/cell.ts';
import type { CellField, Sku } from '../domain/ids.ts';
import {
  addressOf,
  CART_BYTES,
  CART_HEAD_BYTES,
  CART_HEAD_FLAG,
  DUE_REFS,
  fieldOf,
} from '../domain/reservation-id.ts';
import { ByteWriter } from '../events/bytes.ts';
import { encodeCell } from '../events/cell-codec.ts';
import type { LaneKeys } from './keys.ts';
import type { RestoreChunk } from './lane-state.ts';

export interface CellRow extends Cell {
  readonly sku: Sku;
  readonly field: CellField;
}

export interface RecordRow {
  /** Packed id. */
  readonly id: Buffer;
  readonly generation: number;
  /** Bytes for Redis: encodeHold or encodeOperation (events/hold-codec.ts). */
  readonly record: Buffer;
  /** Deadline of a hold, whole seconds of lane time; undefined for every other record. */
  readonly deadlineS?: number | undefined;
}

/** Fields of one HSET; Lua's unpack() takes two values for each, and must stay below 8,000. */
const FIELDS_MAX = 1_000;
/** The field that says that a SKU is known (lua/includes/cells.lua). */
const KNOWN_FIELD = Buffer.alloc(0);
const KNOWN = Buffer.from('1');

export class RestoreEncoder {
  readonly #keys: LaneKeys;
  /** Redis may have older records: where one was a big cart and is none now, the cart goes. */
  readonly #isOverOlder: boolean;
  readonly #hashes = new Runs();
  readonly #carts = new Runs();
  readonly #gone = new Runs();
  readonly #due = new DueRuns();
  #place = { generation: -1, bucket: -1, hold: '', cart: '' };
  #products = 0;
  #cells = 0;
  #records = 0;

  constructor(keys: LaneKeys, options: { readonly isOverOlder: boolean }) {
    this.#keys = keys;
    this.#isOverOlder = options.isOverOlder;
  }

  get rows(): number {
    return this.#products + this.#cells + this.#records;
  }

  get bytes(): number {
    return this.#hashes.bytes + this.#carts.bytes + this.#gone.bytes + this.#due.bytes;
  }

  product(sku: Sku): void {
    this.#products += 1;
    this.#hashes.set(this.#keys.stock(sku), KNOWN_FIELD, KNOWN);
  }

  cell(row: CellRow): void {
    this.#cells += 1;
    const key = this.#keys.stock(row.sku);
    this.#hashes.set(key, Buffer.from(row.field, 'latin1'), encodeCell(row));
  }

  record({ id, generation, record, deadlineS }: RecordRow): void {
    this.#records += 1;
    const { bucket } = addressOf(id);
    const { hold, cart } = this.#placeOf(generation, bucket);
    const field = fieldOf(id, { lane: this.#keys.lane, generation, bucket });
    if (record.length > CART_BYTES) {
      this.#carts.set(cart, field, record);
      this.#hashes.set(hold, field, headOf(record));
    } else {
      this.#hashes.set(hold, field, record);
      if (this.#isOverOlder) this.#gone.name(cart, field);
    }
    if (deadlineS !== undefined) this.#due.add(deadlineS, generation, bucket, id);
  }

  /** What was written since the last call. */
  take(): RestoreChunk {
    const bytes = Buffer.concat([
      u16(this.#hashes.count + this.#carts.count),
      this.#hashes.take(),
      this.#carts.take(),
      u16(this.#gone.count),
      this.#gone.take(),
      u16(this.#due.count),
      this.#due.take(),
    ]);
    const chunk = { bytes, products: this.#products, cells: this.#cells, records: this.#records };
    this.#products = 0;
    this.#cells = 0;
    this.#records = 0;
    return chunk;
  }

  #placeOf(generation: number, bucket: number): { readonly hold: string; readonly cart: string } {
    if (this.#place.generation !== generation || this.#place.bucket !== bucket) {
      const hold = this.#keys.hold(generation, bucket);
      this.#place = { generation, bucket, hold, cart: this.#keys.cart(generation, bucket) };
    }
    return this.#place;
  }
}

function headOf(record: Buffer): Buffer {
  const head = Buffer.from(record.subarray(0, CART_HEAD_BYTES));
  head.writeUInt8(head.readUInt8(0) + CART_HEAD_FLAG, 0);
  return head;
}

/** Fields of hashes; those that follow each other under one key share a run. */
class Runs {
  readonly #out = new ByteWriter(65_536);
  #count = 0;
  #key = '';
  #fields = 0;
  #fieldsAt = 0;

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#out.length;
  }

  set(key: string, field: Buffer, value: Buffer): void {
    this.name(key, field);
    this.#out.bytes32(value);
  }

  name(key: string, field: Buffer): void {
    if (key !== this.#key || this.#fields === FIELDS_MAX) this.#begin(key);
    this.#fields += 1;
    this.#out.bytes8(field);
  }

  take(): Buffer {
    this.#end();
    this.#count = 0;
    this.#key = '';
    return this.#out.take();
  }

  #begin(key: string): void {
    this.#end();
    this.#key = key;
    this.#count += 1;
    this.#out.ascii8(key);
    this.#fieldsAt = this.#out.length;
    this.#out.u16(0);
  }

  #end(): void {
    if (this.#fields > 0) this.#out.patchU16(this.#fieldsAt, this.#fields);
    this.#fields = 0;
  }
}

/** References of holds (domain/reservation-id.ts), by the second in which they are due. */
class DueRuns {
  readonly #out = new ByteWriter(65_536);
  readonly #references = new ByteWriter(4_096);
  #count = 0;
  #second = -1;
  #held = 0;

  get count(): number {
    return this.#count + (this.#held > 0 ? 1 : 0);
  }

  get bytes(): number {
    return this.#out.length + this.#references.length;
  }

  add(second: number, generation: number, bucket: number, id: Buffer): void {
    if (second !== this.#second || this.#held === DUE_REFS) this.#end();
    this.#second = second;
    this.#held += 1;
    this.#references.u16(generation);
    this.#references.u24(bucket);
    this.#references.bytes8(id);
  }

  take(): Buffer {
    this.#end();
    this.#count = 0;
    return this.#out.take();
  }

  #end(): void {
    if (this.#held === 0) return;
    this.#count += 1;
    this.#held = 0;
    this.#out.u32(this.#second);
    this.#out.bytes32(this.#references.take());
  }
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
