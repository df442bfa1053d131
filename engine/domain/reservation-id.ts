/**
 * Reservation ids: how they are made, packed into bytes, and where their record stands.
 *
 * | text            | packed           | made by | carries |
 * | `hf_` + 32 hex  | 0x01 + 16 bytes  | engine  | day (2), lane (2), block (3), ms of the day (4), count (1), random (4) |
 * | `ik_` + 32 hex  | 0x02 + 16 bytes  | engine  | digest of (caller, Idempotency-Key) |
 * | `op_` + 32 hex  | 0x03 + 16 bytes  | engine  | digest of (scope, Idempotency-Key) of a stock operation |
 * | anything else   | its ASCII        | client  | nothing |
 *
 * A record stands in the hash `hold:<generation>:<bucket>`. The generation is a day of lane time,
 * so that a whole day is dropped at once when its idempotency window is over. An `hf_` id names its
 * own generation, and its bucket is its block: 64 ids that one engine made after another, so that
 * a batch writes them with few commands. Other ids are spread by hash, and their generation is the
 * day on which they were reserved: today or yesterday, both are looked up (generation 0 says so).
 *
 * The packed form of an `hf_` id begins with what the bucket's name says, too, so the field of its
 * record is the rest of it, 9 bytes. Its text has the ms behind the day, so that ids sort by time:
 * PostgreSQL's index then grows at its end, however many engines make ids.
 */
import { hash } from 'node:crypto';
import type { ReservationId } from './ids.ts';

export const GENERATION_MS = 86_400_000;
/** Redis looks at no generation that is more days back than this; `drop` may have taken it. */
export const GENERATIONS_BACK = 2;
/** A longer record stands in the hash `cart:`, and `hold:` keeps its head, the first so many bytes. */
export const CART_BYTES = 400;
export const CART_HEAD_BYTES = 13;
/** Added to the first byte of such a head, which says so. */
export const CART_HEAD_FLAG = 128;
/** References in one element of a list `due:<second>`. */
export const DUE_REFS = 128;
/** Generation 0 in an address: look in today's and in yesterday's. */
export const GENERATION_UNKNOWN = 0;

/** Buckets of `hf_` ids are [0, BLOCK_BUCKETS); buckets of hashed ids follow. */
export const BLOCK_BUCKETS = 1 << 20;
export const HASHED_BUCKETS = 1 << 17;
export const BUCKETS = BLOCK_BUCKETS + HASHED_BUCKETS;
/** Of the number of a bucket of hashed ids, which are all as long. */
export const BUCKET_DIGITS = 7;
export const IDS_PER_BLOCK = 64;

export const PACKED_ID_BYTES = 17;
/** Of an `hf_` id: the first bytes, which its bucket's name says; where its block stands in them. */
export const PLACE_BYTES = 8;
export const BLOCK_AT = 5;
export const BLOCK_BYTES = 3;
const PREFIXES: readonly string[] = ['hf_', 'ik_', 'op_'];
const OUR_FORM = /^[a-z]{2}_[0-9a-f]{32}$/;
const MADE = 1;
const KEYED = 2;
/** Where each byte behind the tag stands in the text. */
const AS_WRITTEN: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const MS_FORWARD: readonly number[] = [0, 1, 6, 7, 8, 9, 10, 2, 3, 4, 5, 11, 12, 13, 14, 15];

export interface IdAddress {
  readonly generation: number;
  readonly bucket: number;
}

/** A hash of records. */
export interface Bucket extends IdAddress {
  readonly lane: number;
}

export interface MadeId {
  readonly timeMs: number;
  readonly lane: number;
}

/** Throws RangeError when `id` claims one of our prefixes without being one of our ids. */
export function packId(id: string): Buffer {
  const tag = tagOf(id);
  if (tag === 0) return Buffer.from(id, 'latin1');
  if (!OUR_FORM.test(id)) throw new RangeError(`${id} is no id that Holdfast made`);
  const packed = Buffer.allocUnsafe(PACKED_ID_BYTES);
  packed[0] = tag;
  const places = tag === MADE ? MS_FORWARD : AS_WRITTEN;
  // By hand, because each settlement does it: the call into Node costs more than all of this.
  for (let at = 1; at < PACKED_ID_BYTES; at += 1) {
    const digit = 2 * (places[at - 1] ?? 0) + 3;
    packed[at] = (digitOf(id.charCodeAt(digit)) << 4) | digitOf(id.charCodeAt(digit + 1));
  }
  return packed;
}

/** Hex of the ms of a day are below it. */
const MS_END = GENERATION_MS.toString(16).padStart(8, '0');

/** False for an id that has one of our prefixes but not our form, or a time that no day has. */
export function isWellFormed(id: string): boolean {
  const tag = tagOf(id);
  return tag === 0 || (OUR_FORM.test(id) && (tag !== MADE || id.slice(7, 15) < MS_END));
}

/** 0 for an id that has none of our prefixes. */
function tagOf(id: string): number {
  return id[2] === '_' ? PREFIXES.indexOf(id.slice(0, 3)) + 1 : 0;
}

/** Of a lower-case hexadecimal digit. */
function digitOf(unit: number): number {
  return (unit & 0xf) + 9 * (unit >> 6);
}

const written = Buffer.alloc(PACKED_ID_BYTES - 1);

export function unpackId(packed: Buffer): ReservationId {
  const tag = packed[0] ?? 0;
  const prefix = PREFIXES[tag - 1];
  if (prefix === undefined) return packed.toString('latin1') as ReservationId;
  if (tag !== MADE || packed.length !== PACKED_ID_BYTES) {
    return (prefix + packed.toString('hex', 1)) as ReservationId;
  }
  for (let at = 1; at < PACKED_ID_BYTES; at += 1) {
    written[MS_FORWARD[at - 1] ?? 0] = packed[at] ?? 0;
  }
  return (prefix + written.toString('hex')) as ReservationId;
}

/** What an `hf_` id tells of itself; undefined for every other id. */
export function readMadeId(packed: Buffer): MadeId | undefined {
  if (packed[0] !== MADE) return undefined;
  const timeMs = packed.readUInt16BE(1) * GENERATION_MS + packed.readUInt32BE(8);
  return { timeMs, lane: packed.readUInt16BE(3) };
}

/** An `hf_` id. */
export function isMadeId(packed: Buffer): boolean {
  return packed[0] === MADE && packed.length === PACKED_ID_BYTES;
}

/** An `ik_` id. */
export function isKeyedId(packed: Buffer): boolean {
  return packed[0] === KEYED && packed.length === PACKED_ID_BYTES;
}

export function addressOf(packed: Buffer): IdAddress {
  const tag = packed[0] ?? 0;
  if (tag === MADE) {
    return {
      generation: packed.readUInt16BE(1),
      bucket: packed.readUIntBE(BLOCK_AT, BLOCK_BYTES) % BLOCK_BUCKETS,
    };
  }
  const spread = tag <= PREFIXES.length ? packed.readUIntBE(14, 3) : fnv1a(packed);
  return { generation: GENERATION_UNKNOWN, bucket: BLOCK_BUCKETS + (spread % HASHED_BUCKETS) };
}

/** The field of the id's record in that bucket. `lua/includes/fields.lua` is the other half. */
export function fieldOf(packed: Buffer, bucket: Bucket): Buffer {
  return isNamedBy(packed, bucket) ? packed.subarray(PLACE_BYTES) : packed;
}

/** The id whose record has this field in that bucket. */
export function idOfField(field: Buffer, { generation, lane, bucket }: Bucket): Buffer {
  if (bucket >= BLOCK_BUCKETS || field.length !== PACKED_ID_BYTES - PLACE_BYTES) return field;
  const packed = Buffer.alloc(PACKED_ID_BYTES);
  packed[0] = MADE;
  packed.writeUInt16BE(generation, 1);
  packed.writeUInt16BE(lane, 3);
  packed.writeUIntBE(bucket, BLOCK_AT, BLOCK_BYTES);
  field.copy(packed, PLACE_BYTES);
  return packed;
}

/** Not so of a record that was taken back into a later day, nor of an id of another form. */
function isNamedBy(packed: Buffer, { generation, lane, bucket }: Bucket): boolean {
  return (
    bucket < BLOCK_BUCKETS &&
    isMadeId(packed) &&
    packed.readUInt16BE(1) === generation &&
    packed.readUInt16BE(3) === lane &&
    packed.readUIntBE(BLOCK_AT, BLOCK_BYTES) === bucket
  );
}

export function generationOf(timeMs: number): number {
  return Math.floor(timeMs / GENERATION_MS);
}

/** The id that (scope, key) always gives, 128 bits of SHA-256. */
export function digestId(prefix: 'ik_' | 'op_', scope: string, key: string): ReservationId {
  const digest = hash('sha256', `${scope.length}:${scope}:${key}`, 'hex');
  return (prefix + digest.slice(0, 32)) as ReservationId;
}

/** FNV-1a, 32 bit (Fowler, Noll, Vo). */
function fnv1a(bytes: Buffer): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

export interface NamedId {
  readonly packed: Buffer;
  readonly text: ReservationId;
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
);
const RANDOM_BYTES = 4;
const COUNT_AT = 12;

/** Makes `hf_` ids, 64 to a block; each process starts at a random block. */
export class IdMaker {
  readonly #random: (bytes: number) => Buffer;
  #block: number;
  #count = 0;
  #pool: Buffer;
  #poolAt = 0;
  /** What the ids of one block and millisecond have in common: all but count and random bytes. */
  readonly #common = Buffer.alloc(PACKED_ID_BYTES);
  #commonText = '';
  #timeMs = Number.NaN;
  #lane = Number.NaN;

  constructor(random: (bytes: number) => Buffer) {
    this.#random = random;
    this.#block = random(BLOCK_BYTES).readUIntBE(0, BLOCK_BYTES) % BLOCK_BUCKETS;
    this.#pool = random(4096);
  }

  /** The packed form; `unpackId` gives the text. */
  make(timeMs: number, lane: number): Buffer {
    return this.makeNamed(timeMs, lane).packed;
  }

  /**
   * Both forms. By hand, byte for byte, because each reserve makes one: a call into Node for the
   * copy and one for the hex text cost more than all of this.
   */
  makeNamed(timeMs: number, lane: number): NamedId {
    const isBlockFull = this.#count === IDS_PER_BLOCK;
    if (isBlockFull) {
      this.#count = 0;
      this.#block = (this.#block + 1) % BLOCK_BUCKETS;
    }
    if (isBlockFull || timeMs !== this.#timeMs || lane !== this.#lane) this.#begin(timeMs, lane);
    if (this.#poolAt === this.#pool.length) {
      this.#pool = this.#random(this.#pool.length);
      this.#poolAt = 0;
    }
    const packed = Buffer.allocUnsafe(PACKED_ID_BYTES);
    for (let at = 0; at < COUNT_AT; at += 1) packed[at] = this.#common[at] ?? 0;
    packed[COUNT_AT] = this.#count;
    let text = this.#commonText + (HEX[this.#count] ?? '');
    this.#count += 1;
    for (let at = 0; at < RANDOM_BYTES; at += 1) {
      const byte = this.#pool[this.#poolAt + at] ?? 0;
      packed[COUNT_AT + 1 + at] = byte;
      text += HEX[byte] ?? '';
    }
    this.#poolAt += RANDOM_BYTES;
    return { packed, text: text as ReservationId };
  }

  #begin(timeMs: number, lane: number): void {
    const common = this.#common;
    common[0] = MADE;
    common.writeUInt16BE(generationOf(timeMs), 1);
    common.writeUInt16BE(lane, 3);
    common.writeUIntBE(this.#block, BLOCK_AT, BLOCK_BYTES);
    common.writeUInt32BE(timeMs % GENERATION_MS, 8);
    // Count and random bytes end the text, too.
    this.#commonText = unpackId(common).slice(0, -2 * (PACKED_ID_BYTES - COUNT_AT));
    this.#timeMs = timeMs;
    this.#lane = lane;
  }
}
