/** Operations to bytes and answers from bytes, as the headers in lua/commands say. */

import { FENCE_REASONS, OPERATION_KINDS } from '../../lua/constants.ts';
import type { CellField, Sku } from '../domain/ids.ts';
import type { OutcomeName } from '../domain/outcome.ts';
import { outcomeByCode } from '../domain/outcome.ts';
import { addressOf, BUCKETS } from '../domain/reservation-id.ts';
import { type ByteReader, ByteWriter, DecodeError } from '../events/bytes.ts';
import { decodeHold, encodeHold } from '../events/hold-codec.ts';
import { type BucketGroup, BucketGroups } from './bucket-groups.ts';
import type {
  CellView,
  FenceReason,
  LaneStamp,
  Operation,
  OperationResult,
  ReserveOperation,
  Retake,
  SettleOperation,
  Shortage,
  SkuView,
  StockOperation,
  Unreadable,
} from './operation.ts';
import { FRESH_MS_MAX } from './operation.ts';
import { readRuns } from './run-answers.ts';
import { Runs, RunWriter, type SentRuns } from './run-codec.ts';
import { readableCell, readUnreadable } from './unreadable.ts';

const FRESH = 1;
const PARTIAL = 2;
const SPLIT = 4;
const LINES = 1;
const ADOPT = 2;
const RETAKE = 4;
const KEYED = 8;

const KIND_CODES = Object.fromEntries(OPERATION_KINDS.map((kind, i) => [kind, i + 1])) as Readonly<
  Record<(typeof OPERATION_KINDS)[number], number>
>;

/** What a caller knows of the lane, and the nonce of the entry that the script may write. */
export interface ScriptContext {
  readonly seenEpoch: number;
  readonly seenSeq: number;
  readonly nonce: Buffer;
  /** An argument of the script itself: greatest hold age (s), work at most. */
  readonly number?: number;
}

export function encodeContext(context: ScriptContext): Buffer {
  const out = new ByteWriter(28);
  out.i64(context.seenEpoch);
  out.i64(context.seenSeq);
  out.raw(context.nonce);
  if (context.number !== undefined) out.u32(context.number);
  return out.take();
}

/** A batch as it is sent, and where its answers belong. */
export interface EncodedBatch {
  /** The arguments of the script behind the context. */
  readonly payload: readonly Buffer[];
  readonly runs: SentRuns;
  /** Indexes of the operations that stand in no run, in the order of their answers. */
  readonly others: readonly number[];
}

/**
 * What an engine knows of a lane when it sends a batch. `timeMs` is a lower bound of lane time: that
 * of a reply, and what passed since it came.
 */
export interface Sending {
  readonly epoch: number;
  /** Lane time, ms. */
  readonly timeMs: number;
  /** The same instant on the lane's monotonic clock, ms. */
  readonly atMs: number;
}

/** Encodes batches; owns its buffers, so one to a lane. */
export class BatchEncoder {
  readonly #head = new ByteWriter(4_096);
  readonly #body = new ByteWriter(32_768);
  readonly #runs: RunWriter;
  readonly #skus = new Map<string, number>();
  readonly #fields = new Map<string, number>();

  constructor(lane: number) {
    this.#runs = new RunWriter(lane);
  }

  encode(operations: readonly Operation[], sending: Sending): EncodedBatch {
    this.#forget();
    const runs = new Runs();
    const groups = new BucketGroups();
    let alone = 0;
    operations.forEach((operation, index) => {
      if (runs.add(operation, index)) return;
      groups.add(operation, index);
      alone++;
    });
    const head = this.#head;
    head.i64(sending.epoch);
    head.i64(sending.timeMs);
    head.u32(FRESH_MS_MAX);
    head.u16(alone);
    const written = this.#runs.write(head, runs, sending.timeMs);
    for (const group of groups.all) this.#group(group, sending);
    this.#writeNames(this.#skus);
    this.#writeNames(this.#fields);
    head.append(this.#body);
    const others = groups.all.flatMap(({ members }) => members.map(({ index }) => index));
    return { payload: [head.take(), ...written.columns], runs: written, others };
  }

  /** Also what a batch left that could not be encoded. */
  #forget(): void {
    this.#head.clear();
    this.#body.clear();
    this.#runs.clear();
    this.#skus.clear();
    this.#fields.clear();
  }

  #writeNames(names: ReadonlyMap<string, number>): void {
    this.#head.u16(names.size);
    for (const name of names.keys()) this.#head.ascii8(name);
  }

  #name(table: Map<string, number>, name: string): number {
    let index = table.get(name);
    if (index === undefined) {
      index = table.size;
      table.set(name, index);
    }
    return index;
  }

  #group({ address: { generation, bucket }, members }: BucketGroup, sending: Sending): void {
    const body = this.#body;
    body.u16(generation);
    body.u24(bucket);
    body.u16(members.length);
    for (const { operation } of members) body.bytes8(operation.id);
    for (const { operation } of members) this.#operation(operation, sending);
  }

  #operation(operation: Operation, sending: Sending): void {
    const body = this.#body;
    body.u8(KIND_CODES[operation.kind]);
    body.u8(flagsOf(operation));
    body.u32(numberOf(operation));
    writeAttributes(body, 'attributes' in operation ? operation.attributes : '');
    switch (operation.kind) {
      case 'reserve':
        this.#reserve(operation);
        return;
      case 'extend':
      case 'inspect':
        return;
      default:
        this.#settle(operation, sending);
    }
  }

  #reserve(operation: ReserveOperation): void {
    const body = this.#body;
    body.raw(operation.fingerprint);
    body.u16(operation.lines.length);
    for (const line of operation.lines) {
      body.u16(this.#name(this.#skus, line.sku));
      body.u32(line.quantity);
      body.u8(line.fields.length);
      for (const field of line.fields) body.u16(this.#name(this.#fields, field));
    }
  }

  #settle(operation: SettleOperation, sending: Sending): void {
    const body = this.#body;
    if (operation.operationKey) body.raw(operation.operationKey);
    if (operation.retake) this.#retake(operation.retake, sending);
    if (operation.adopt) body.bytes32(encodeHold(operation.adopt));
    if (!operation.lines) return;
    body.u16(operation.lines.length);
    for (const line of operation.lines) {
      body.u16(this.#name(this.#skus, line.sku));
      body.u16(this.#name(this.#fields, line.field));
      body.u32(line.quantity);
    }
  }

  #retake({ holdEpoch, fingerprint, untilMs }: Retake, { atMs }: Sending): void {
    const body = this.#body;
    body.i64(holdEpoch);
    body.raw(fingerprint);
    body.u32(Math.max(0, Math.floor(untilMs - atMs)));
  }
}

function writeAttributes(body: ByteWriter, attributes: string): void {
  if (attributes === '') body.u16(0);
  else body.bytes16(Buffer.from(attributes));
}

function numberOf(operation: Operation): number {
  switch (operation.kind) {
    case 'reserve':
    case 'extend':
      return operation.ttlS;
    case 'commit':
      return operation.commitFingerprint ?? 0;
    default:
      return 0;
  }
}

function flagsOf(operation: Operation): number {
  switch (operation.kind) {
    case 'reserve':
      return (
        (operation.fresh ? FRESH : 0) |
        (operation.partial ? PARTIAL : 0) |
        (operation.split ? SPLIT : 0)
      );
    case 'extend':
    case 'inspect':
      return 0;
    default:
      return (
        (operation.lines ? LINES : 0) |
        (operation.adopt ? ADOPT : 0) |
        (operation.retake ? RETAKE : 0) |
        (operation.operationKey ? KEYED : 0)
      );
  }
}

export type Fenced = { readonly fenced: FenceReason };

/** Reads the head that every reply of an open lane's script has. */
export function readStamp(reader: ByteReader): LaneStamp | Fenced {
  if (reader.u8() === 1) {
    const reason = FENCE_REASONS[reader.u8() - 1];
    if (reason === undefined) throw new DecodeError('a lane gave a fence reason that is unknown');
    return { fenced: reason };
  }
  return { epoch: reader.i64(), seq: reader.i64(), timeMs: reader.i64(), offsetMs: reader.i64() };
}

export function isFenced(stamp: LaneStamp | Fenced): stamp is Fenced {
  return 'fenced' in stamp;
}

export interface BatchAnswers {
  /** In the order of the operations; undefined: this one was not decided, nothing was changed. */
  readonly results: readonly (OperationResult | undefined)[];
  /** That the script did (lua/includes/cells.lua). */
  readonly work: number;
}

export function readAnswers(
  reader: ByteReader,
  stamp: LaneStamp,
  { runs, others }: EncodedBatch,
): BatchAnswers {
  const results: (OperationResult | undefined)[] = [];
  readRuns(reader, stamp, runs, results);
  for (const index of others) results[index] = readAnswerIfAny(reader, stamp);
  return { results, work: reader.u16() };
}

const NOT_YET = 0;

function readAnswerIfAny(reader: ByteReader, stamp: LaneStamp): OperationResult | undefined {
  const code = reader.u8();
  if (code !== NOT_YET) return readAnswer(reader, stamp, code);
  reader.u8();
  return undefined;
}

export function readAnswer(
  reader: ByteReader,
  stamp: LaneStamp,
  code = reader.u8(),
): OperationResult {
  const flags = reader.u8();
  const outcome: OutcomeName | undefined = outcomeByCode(code);
  if (outcome === undefined) throw new DecodeError(`a lane gave outcome ${code}, which is unknown`);
  const replayed = (flags & 1) === 1;
  const record = (flags & 2) === 2 ? decodeHold(reader.bytes32()) : undefined;
  const shortages = (flags & 4) === 4 ? readShortages(reader) : undefined;
  const unreadable = (flags & 8) === 8 ? readUnreadable(reader) : undefined;
  return {
    outcome,
    replayed,
    stamp,
    ...(record && { record }),
    ...(shortages && { shortages }),
    ...(unreadable && { unreadable }),
  };
}

function readShortages(reader: ByteReader): Shortage[] {
  return Array.from({ length: reader.u16() }, () => ({
    line: reader.u16(),
    available: reader.i64(),
  }));
}

export function encodeStock(operation: StockOperation): Buffer {
  const { generation, bucket } = addressOf(operation.id);
  const out = new ByteWriter();
  out.u8(operation.kind === 'receive' ? 1 : 2);
  out.u8(operation.fresh ? FRESH : 0);
  out.u16(generation);
  out.u24(bucket);
  out.bytes8(operation.id);
  out.raw(operation.fingerprint);
  out.bytes16(Buffer.from(operation.attributes));
  out.u16(operation.lines.length);
  for (const line of operation.lines) {
    out.ascii8(line.sku);
    out.ascii8(line.field);
    out.i64(line.delta);
  }
  return out.take();
}

export function encodeSkus(skus: readonly Sku[], kind?: number): Buffer {
  const out = new ByteWriter();
  if (kind !== undefined) out.u8(kind);
  out.u16(skus.length);
  for (const sku of skus) out.ascii8(sku);
  return out.take();
}
export const DEFINE_KIND = 3;

export function encodeDrop(generation: number, firstBucket: number, buckets: number): Buffer {
  const out = new ByteWriter(14);
  out.u16(generation);
  out.u32(firstBucket);
  out.u32(buckets);
  out.u32(BUCKETS);
  return out.take();
}

/** The reply of `expire`; `unreadable`: a few of those because of which holds were put off. */
export function readExpiry(reader: ByteReader): Expiry {
  return {
    expired: reader.u32(),
    more: reader.u8() === 1,
    putOff: reader.u32(),
    unreadable: Array.from({ length: reader.u8() }, () => readUnreadable(reader)),
    work: reader.u32(),
  };
}

export interface Expiry {
  readonly expired: number;
  readonly more: boolean;
  readonly putOff: number;
  readonly unreadable: readonly Unreadable[];
  /** That the script did (lua/includes/cells.lua). */
  readonly work: number;
}

export function readSkuView(reader: ByteReader, sku: Sku): SkuView {
  const known = reader.u8() === 1;
  const cells = Array.from({ length: reader.u16() }, () => readCellView(reader));
  if (!cells.some(({ unreadable }) => unreadable)) return { sku, known, cells };
  // The one without a name stands for the whole key.
  return { sku, known, cells: cells.filter(({ field }) => field !== ''), unreadable: true };
}

const NOTHING_KNOWN = { available: 0, reserved: 0, allocated: 0, version: 0, unreadable: true };

function readCellView(reader: ByteReader): CellView {
  const field = reader.ascii8() as CellField;
  return { field, ...(readableCell(reader.bytes8()) ?? NOTHING_KNOWN) };
}
