/** The two scripts of reconcile: `look` reads at one position, `repair` puts one thing right. */
import { randomFillSync } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { CellField, Sku } from '../../engine/domain/ids.ts';
import {
  type Bucket,
  fieldOf,
  idOfField,
  packId,
  unpackId,
} from '../../engine/domain/reservation-id.ts';
import { ByteReader, ByteWriter, DecodeError } from '../../engine/events/bytes.ts';
import { decodeCell } from '../../engine/events/cell-codec.ts';
import { decodeHold, OPERATION_STATE } from '../../engine/events/hold-codec.ts';
import type { LaneKeys } from '../../engine/redis/keys.ts';
import { laneKeys } from '../../engine/redis/keys.ts';
import type { LaneStamp } from '../../engine/redis/operation.ts';
import { encodeContext, isFenced, readStamp } from '../../engine/redis/operation-codec.ts';
import { type RunScript, scriptRunner } from '../../engine/redis/script.ts';
import type { CellName, RecordPlace, RedisCell, RedisRecord } from './facts.ts';

/** The lane is closed, or this node is not the one that was opened: nothing can be compared. */
export class LaneClosed extends Error {
  override readonly name = 'LaneClosed';
}

export interface BucketPlace {
  readonly generation: number;
  readonly bucket: number;
}

export interface SecondWanted {
  readonly second: number;
  readonly first: number;
  readonly count: number;
}

export interface Wanted {
  readonly skus?: readonly string[];
  readonly buckets?: readonly BucketPlace[];
  readonly cells?: readonly CellName[];
  readonly records?: readonly RecordPlace[];
  readonly seconds?: readonly SecondWanted[];
}

export interface DueElement {
  readonly bytes: Buffer;
  /** State of the record that each reference names; 0 when there is none. */
  readonly states: Buffer;
}

export interface Seen {
  readonly stamp: LaneStamp;
  /** Per SKU; undefined: its key is no hash. The field '' says that the SKU is known. */
  readonly skus: readonly (readonly { field: CellField; cell: RedisCell }[] | undefined)[];
  readonly buckets: readonly (readonly { id: string; record: RedisRecord }[] | undefined)[];
  readonly cells: readonly RedisCell[];
  readonly records: readonly RedisRecord[];
  readonly seconds: readonly { isIndexed: boolean; elements: readonly DueElement[] }[];
}

const NO_HASH = 0xffff_ffff;
const NOTHING_SEEN = { seenEpoch: 0, seenSeq: 0, nonce: Buffer.alloc(8) };

export class LaneLook {
  readonly keys: LaneKeys;
  readonly #redis: Redis;
  readonly #run: RunScript;
  /** Never believes a node that is behind what was seen before. */
  #seen: { readonly epoch: number; readonly seq: number } = { epoch: 0, seq: 0 };

  constructor(redis: Redis, lane: number) {
    this.#redis = redis;
    this.keys = laneKeys(lane);
    this.#run = scriptRunner(redis);
  }

  /** Throws LaneClosed when the lane is fenced. */
  async look(wanted: Wanted): Promise<Seen> {
    const reader = await this.#call('look', encodeWanted(wanted));
    const stamp = this.#stamp(reader);
    return {
      stamp,
      skus: read(wanted.skus, () => readFields(reader)?.map(toCellField)),
      buckets: read(wanted.buckets, (at) => this.#records(at, readFields(reader))),
      cells: read(wanted.cells, () => toCell(Buffer.from(reader.bytes32()))),
      records: read(wanted.records, () => toRecord(Buffer.from(reader.bytes32()))),
      seconds: read(wanted.seconds, () => ({
        isIndexed: reader.u8() === 1,
        elements: Array.from({ length: reader.u16() }, () => ({
          bytes: Buffer.from(reader.bytes32()),
          states: Buffer.from(reader.bytes16()),
        })),
      })),
    };
  }

  /** False: Redis has moved on since the repair was planned, and nothing was written. */
  async repair(plan: Buffer): Promise<{ isDone: boolean; stamp: LaneStamp }> {
    const reader = await this.#call('repair', plan);
    const stamp = this.#stamp(reader);
    return { isDone: reader.u8() === 1, stamp };
  }

  /** Names of keys, in pieces; a key may come twice, and one that is made meanwhile may be missed. */
  async *scan(pattern: string, countHint: number): AsyncGenerator<string[]> {
    let cursor = '0';
    do {
      const [next, keys] = await this.#redis.scan(cursor, 'MATCH', pattern, 'COUNT', countHint);
      cursor = next;
      if (keys.length > 0) yield keys;
    } while (cursor !== '0');
  }

  /** `hash`, `string`, ...; `none` of a key that is not there. */
  async typesOf(keys: readonly string[]): Promise<string[]> {
    return Promise.all(keys.map((key) => this.#redis.type(key)));
  }

  /** Seconds in which something is due, in pieces. */
  async *dueSeconds(piece: number): AsyncGenerator<number[]> {
    for (let from = '-inf'; ; ) {
      const seconds = await this.#redis.zrangebyscore(
        this.keys.deadlines,
        ...([from, '+inf', 'LIMIT', 0, piece] as const),
      );
      if (seconds.length > 0) yield seconds.map(Number);
      const last = seconds.at(-1);
      if (last === undefined || seconds.length < piece) return;
      from = `(${last}`;
    }
  }

  async #call(name: 'look' | 'repair', payload: Buffer): Promise<ByteReader> {
    const nonce = randomFillSync(Buffer.alloc(8));
    const { epoch: seenEpoch, seq: seenSeq } = this.#seen;
    const context = encodeContext({ ...NOTHING_SEEN, seenEpoch, seenSeq, nonce });
    const reply = await this.#run(name, this.keys.meta, [context, payload]);
    if (!Buffer.isBuffer(reply)) throw new TypeError(`the script ${name} answered no bytes`);
    return new ByteReader(reply);
  }

  #records(at: BucketPlace, fields: readonly Field[] | undefined) {
    const bucket = { lane: this.keys.lane, ...at };
    return fields?.map(({ name, bytes }) => ({ id: idAt(name, bucket), record: toRecord(bytes) }));
  }

  #stamp(reader: ByteReader): LaneStamp {
    const stamp = readStamp(reader);
    if (isFenced(stamp)) {
      throw new LaneClosed(
        `the lane is closed (${stamp.fenced}): recovery makes the stores agree before it opens`,
      );
    }
    this.#seen = stamp;
    return stamp;
  }
}

/** Of each thing that was wanted, in order; sections follow one another in the reply. */
function read<W, T>(wanted: readonly W[] | undefined, next: (each: W) => T): T[] {
  return (wanted ?? []).map((each) => next(each));
}

interface Field {
  readonly name: Buffer;
  readonly bytes: Buffer;
}

function readFields(reader: ByteReader): Field[] | undefined {
  const count = reader.u32();
  if (count === NO_HASH) return undefined;
  return Array.from({ length: count }, () => ({
    name: Buffer.from(reader.bytes32()),
    bytes: Buffer.from(reader.bytes32()),
  }));
}

function toCellField({ name, bytes }: Field) {
  return { field: name.toString('latin1') as CellField, cell: toCell(bytes) };
}

/** A field where no script would look for the id that it leads to is shown as it is: no id looks so. */
function idAt(field: Buffer, bucket: Bucket): string {
  const packed = idOfField(field, bucket);
  return fieldOf(packed, bucket).equals(field) ? unpackId(packed) : field.toString('latin1');
}

function toCell(bytes: Buffer): RedisCell {
  if (bytes.length === 0) return { kind: 'absent' };
  return decodeOr<RedisCell>({ kind: 'unreadable', bytes }, () => ({
    kind: 'cell',
    bytes,
    cell: decodeCell(bytes),
  }));
}

function toRecord(bytes: Buffer): RedisRecord {
  if (bytes.length === 0) return { kind: 'absent' };
  if (bytes[0] === OPERATION_STATE && bytes.length === 13) return { kind: 'operation', bytes };
  return decodeOr<RedisRecord>({ kind: 'unreadable', bytes }, () => ({
    kind: 'reservation',
    bytes,
    record: decodeHold(bytes),
  }));
}

function decodeOr<T>(otherwise: T, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DecodeError || error instanceof RangeError) return otherwise;
    throw error;
  }
}

function encodeWanted(wanted: Wanted): Buffer {
  const { skus = [], buckets = [], cells = [], records = [], seconds = [] } = wanted;
  const out = new ByteWriter(16_384);
  out.u16(skus.length);
  for (const sku of skus) out.ascii8(sku as Sku);
  out.u16(buckets.length);
  for (const { generation, bucket } of buckets) {
    out.u16(generation);
    out.u24(bucket);
  }
  out.u16(cells.length);
  for (const { sku, field } of cells) {
    out.ascii8(sku);
    out.ascii8(field);
  }
  out.u16(records.length);
  for (const { id, generation, bucket } of records) {
    out.u16(generation);
    out.u24(bucket);
    out.bytes8(packId(id));
  }
  out.u16(seconds.length);
  for (const { second, first, count } of seconds) {
    out.u32(second);
    out.u32(first);
    out.u16(count);
  }
  return out.take();
}
