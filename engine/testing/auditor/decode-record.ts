/**
 * The auditor's own reading of what stands in Redis beside the log: ids, packed cells, reservation
 * records. Written from the layouts in the header comments of engine/events/cell-codec.ts,
 * engine/events/hold-codec.ts and engine/domain/reservation-id.ts, without their code.
 */
import { asBuffer, Cursor, UnreadableBytes } from './cursor.ts';

export interface CellBalances {
  readonly available: number;
  readonly reserved: number;
  readonly allocated: number;
  readonly version: number;
}

/** Units of one cart line at one cell, `field` being `<warehouse>` or `<warehouse>/<pool>`. */
export interface HeldUnits {
  readonly line: number;
  readonly sku: string;
  readonly field: string;
  readonly units: number;
}

export type ClosedBy = 'cancel' | 'ship';

export type ReservationState = 'held' | 'committed' | 'released' | 'expired' | 'closed';

/** A reservation's record, or (`operation`) the mark that a stock operation was done. */
export interface StoredRecord {
  readonly state: ReservationState | 'operation';
  /** 8 bytes, hex. */
  readonly fingerprint: string;
  readonly createdS: number;
  /** Undefined in tombstones, which forget it. */
  readonly version?: number;
  readonly deadlineS?: number;
  readonly commitFingerprint?: number;
  /** Of a closed reservation: what took its last unit. */
  readonly closedBy?: ClosedBy;
  /** Hex, the keys of the partial settlements that were applied. */
  readonly operations?: readonly string[];
  readonly lines?: readonly HeldUnits[];
  /** Units asked for, by line. */
  readonly requested?: ReadonlyMap<number, number>;
}

const ID_PREFIXES: ReadonlyMap<number, string> = new Map([
  [1, 'hf_'],
  [2, 'ik_'],
  [3, 'op_'],
]);

/** Packed id to text: 17 bytes with a tag are ours, anything else is a client's ASCII. */
export function idText(packed: Uint8Array): string {
  const prefix = requireId(packed);
  const bytes = asBuffer(packed);
  if (prefix === undefined) return bytes.toString('latin1');
  const hex = (from: number, to = 17) => bytes.toString('hex', from, to);
  return prefix + (prefix === 'hf_' ? hex(1, 3) + hex(8, 12) + hex(3, 8) + hex(12) : hex(1));
}

/** Throws UnreadableBytes for what is no packed id; gives the prefix of ours. */
export function requireId(packed: Uint8Array): string | undefined {
  if (packed.length === 0) throw new UnreadableBytes('a packed id: it is empty');
  const prefix = ID_PREFIXES.get(packed[0] ?? 0);
  if (prefix === undefined || packed.length === 17) return prefix;
  throw new UnreadableBytes(`a packed id: an ${prefix} id has 17 bytes, not ${packed.length}`);
}

/** Text to packed id, for looking a reservation up in Redis. */
export function idBytes(text: string): Buffer {
  for (const [tag, prefix] of ID_PREFIXES) {
    if (!text.startsWith(prefix)) continue;
    const hex = text.slice(prefix.length);
    const isMade = prefix === 'hf_';
    // Of an engine's id the ms of the day (8 digits) stand before lane and block (10) in the text alone.
    const order = isMade
      ? hex.slice(0, 4) + hex.slice(12, 22) + hex.slice(4, 12) + hex.slice(22)
      : hex;
    return Buffer.from(`0${tag}${order}`, 'hex');
  }
  return Buffer.from(text, 'latin1');
}

/** Where a retry looks the record of an id up; `day` undefined: that of the reserve, or the next. */
export interface RecordPlace {
  readonly day: number | undefined;
  readonly bucket: number;
}

const BLOCK_BUCKETS = 2 ** 20;
const HASHED_BUCKETS = 2 ** 17;

/** Ids of engines stand by their block, digests by three of their bytes, others by FNV-1a. */
export function placeOf(id: string, packed = idBytes(id)): RecordPlace {
  if (id.startsWith('hf_')) {
    return { day: packed.readUInt16BE(1), bucket: packed.readUIntBE(5, 3) % BLOCK_BUCKETS };
  }
  const digest = id.startsWith('ik_') || id.startsWith('op_');
  const spread = digest ? packed.readUIntBE(14, 3) : fnv1a(packed);
  return { day: undefined, bucket: BLOCK_BUCKETS + (spread % HASHED_BUCKETS) };
}

/** Tag, day, lane and block of an engine's id: what its bucket's name says, too. */
function headOf(lane: number, day: number, bucket: number): Buffer {
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
  return Buffer.from(`01${hex(day, 4)}${hex(lane, 4)}${hex(bucket, 6)}`, 'hex');
}

/** The field of an id's record: without its head, where that is what the bucket's name says. */
export function fieldIn(lane: number, day: number, bucket: number, packed: Buffer): Buffer {
  if (bucket >= BLOCK_BUCKETS) return packed;
  const head = headOf(lane, day, bucket);
  return packed.subarray(0, head.length).equals(head) ? packed.subarray(head.length) : packed;
}

/** The packed id that has this field there. */
export function packedIn(lane: number, day: number, bucket: number, field: Buffer): Buffer {
  if (bucket >= BLOCK_BUCKETS || field.length !== 9) return field;
  return Buffer.concat([headOf(lane, day, bucket), field]);
}

/** 32 bits of Fowler, Noll and Vo's hash, in whole numbers. */
function fnv1a(bytes: Uint8Array): number {
  let hash = 2_166_136_261n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 16_777_619n) % 4_294_967_296n;
  return Number(hash);
}

/** A header byte with four 2-bit widths, then available, reserved, allocated, version. */
export function readCell(bytes: Uint8Array, what: string): CellBalances {
  const cursor = new Cursor(bytes, what);
  const widths = cursor.uint8();
  const next = (pair: number): number => cursor.signed(2 ** ((widths >> (6 - 2 * pair)) % 4));
  const [available, reserved, allocated, version] = [next(0), next(1), next(2), next(3)];
  cursor.end();
  return { available, reserved, allocated, version };
}

export function readRecord(bytes: Uint8Array, what: string): StoredRecord {
  const cursor = new Cursor(bytes, what);
  const code = cursor.uint8();
  const common = { fingerprint: cursor.hex(8), createdS: cursor.uint32() };
  const record = readStateOf(code, common, cursor);
  cursor.end();
  return record;
}

function readStateOf(
  code: number,
  common: { fingerprint: string; createdS: number },
  cursor: Cursor,
): StoredRecord {
  const { fingerprint, createdS } = common;
  switch (code) {
    case 1: {
      const version = cursor.uint16();
      const deadlineS = cursor.uint32();
      return { state: 'held', fingerprint, createdS, version, deadlineS, ...readContents(cursor) };
    }
    case 2: {
      const version = cursor.uint16();
      const commitFingerprint = cursor.uint32();
      const contents = readContents(cursor);
      return { state: 'committed', fingerprint, createdS, version, commitFingerprint, ...contents };
    }
    case 3:
      return { state: 'released', ...common };
    case 4:
      return { state: 'expired', ...common };
    case 5: {
      const commitFingerprint = cursor.uint32();
      const closedBy = readClosedBy(cursor);
      const operations = cursor.list(cursor.uint8(), () => cursor.hex(8));
      return { state: 'closed', ...common, commitFingerprint, closedBy, operations };
    }
    case 9:
      return { state: 'operation', ...common };
    default:
      return cursor.fail(`no record has state ${code}`);
  }
}

function readClosedBy(cursor: Cursor): ClosedBy {
  const code = cursor.uint8();
  if (code === 5) return 'cancel';
  return code === 6 ? 'ship' : cursor.fail(`nothing closes by ${code}`);
}

function readContents(cursor: Cursor) {
  const operations = cursor.list(cursor.uint8(), () => cursor.hex(8));
  const requested = new Map<number, number>();
  const lines: HeldUnits[] = [];
  const lineCount = cursor.uint16();
  for (let i = 0; i < lineCount; i += 1) {
    const line = cursor.uint16();
    const sku = cursor.shortText();
    requested.set(line, cursor.uint32());
    const placements = cursor.uint8();
    for (let k = 0; k < placements; k += 1) {
      lines.push({ line, sku, field: cursor.shortText(), units: cursor.uint32() });
    }
  }
  return { operations, requested, lines };
}
