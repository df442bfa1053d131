/**
 * The bytes of a log entry, format 1. `lua/includes/entry.lua` writes them, this module reads them
 * (and, for tests and tools, writes them, a run as its reserves). Big-endian; `u8+`: a length in a byte, then the bytes.
 *
 *   u8 format, u8 kind (1 batch, 2 opened, 3 tick)
 *   i64 epoch, i64 seq, 8 bytes nonce; i64 epoch, i64 seq, 8 bytes nonce of the predecessor
 *   i64 lane time, ms; u16 n cells; u16 n changes
 *   a cell:   u8+ sku, u8+ field, u8+ packed cell (cell-codec.ts)
 *   a change: u8 type, u8+ packed id, u16 generation (these two not for product_defined), then
 *     1 reserved         8 fingerprint, u32 deadline_s, u16+ attributes,
 *                        u16 n lines: u16 line, u32 requested, u8 n: u16 cell, u32 units
 *     2 committed        u16 version, u32 commit fingerprint, u8 retaken, 8 fingerprint,
 *                        u16+ attributes, u16 n: u16 line, u16 cell, u32 allocated, u32 freed
 *     3 released         u16 version, u8 whole, 8 operation, u16+ attributes, moves
 *     4 expired          u16 version, moves
 *     5 extended         u16 version, u32 deadline_s
 *     6 cancelled, 7 shipped   u16 version, u8 closed, 8 operation, u16+ attributes, moves
 *     8 stock_moved      u8 kind (1 receive, 2 adjust), 8 fingerprint, u16+ attributes,
 *                        u16 n: u16 cell, i64 delta
 *     9 product_defined  u8+ sku
 *    10 repaired         u8+ cause, u16+ attributes,
 *                        u16 n: u16 cell, i64 available, i64 reserved, i64 allocated;
 *                        u16 n: u16 cell, u8 source, u8 dest (1 available, 2 reserved, 3 allocated,
 *                        4 customer, 5 supplier, 6 loss, 7 drift), i64 quantity;
 *                        u8 1 when a reservation follows: u16 version, u32+ record (hold-codec.ts),
 *                        u16 n: u16 line, u16 cell, u32 requested, i64 reserved, i64 allocated
 *    11 a run of reserved, each one line of as many units at one cell; no id and generation here:
 *                        u16 n, u32 deadline_s, u16 cell, u32 units, then in columns
 *                        n x { u16 generation, u24 bucket, u8+ packed id }, n x 8 fingerprint,
 *                        n x u16+ attributes
 *    12 several runs, their reserves in the order in which they came: u16 n, u16 runs,
 *                        runs x { u32 deadline_s, u16 cell, u32 units }, then in columns
 *                        n x { u16 generation, u24 bucket, u8+ packed id }, n x 8 fingerprint,
 *                        n x u16 run, n x u16+ attributes
 *   moves: u16 n: u16 line, u16 cell, u32 units
 */
import type { CellField, Sku } from '../domain/ids.ts';
import { FINGERPRINT_BYTES } from '../domain/reservation.ts';
import { packId, unpackId } from '../domain/reservation-id.ts';
import { ByteReader, ByteWriter, DecodeError, times } from './bytes.ts';
import { encodeCell, readCell as readNumbers } from './cell-codec.ts';
import type {
  CellResult,
  Change,
  Entry,
  EntryKey,
  Fulfilled,
  Move,
  Repaired,
  Reserved,
} from './entry.ts';
import { ENTRY_KINDS, STOCK_KINDS } from './entry.ts';
import { readRepaired, writeRepaired } from './repair-codec.ts';

export const ENTRY_FORMAT = 1;
const NONCE_BYTES = 8;

type ChangeBase = Pick<Reserved, 'id' | 'generation'>;

const TYPES = {
  reserved: 1,
  committed: 2,
  released: 3,
  expired: 4,
  extended: 5,
  cancelled: 6,
  shipped: 7,
  stock_moved: 8,
  product_defined: 9,
  repaired: 10,
} as const satisfies Record<Change['type'], number>;

const RUN = 11;
const RUNS = 12;
const NO_DIGEST = Buffer.alloc(FINGERPRINT_BYTES);

export function encodeEntry(entry: Entry): Buffer {
  const out = new ByteWriter();
  out.u8(ENTRY_FORMAT);
  out.u8(ENTRY_KINDS.indexOf(entry.kind) + 1);
  writeKey(out, entry.key);
  writeKey(out, entry.predecessor);
  out.i64(entry.timeMs);
  out.u16(entry.cells.length);
  out.u16(entry.changes.length);
  for (const cell of entry.cells) {
    out.ascii8(cell.sku);
    out.ascii8(cell.field);
    out.bytes8(encodeCell(cell));
  }
  for (const change of entry.changes) writeChange(out, change);
  return out.take();
}

function writeKey(out: ByteWriter, key: EntryKey): void {
  out.i64(key.epoch);
  out.i64(key.seq);
  out.raw(key.nonce);
}

function writeChange(out: ByteWriter, change: Change): void {
  out.u8(TYPES[change.type]);
  if (change.type === 'product_defined') {
    out.ascii8(change.sku);
    return;
  }
  out.bytes8(packId(change.id));
  out.u16(change.generation);
  switch (change.type) {
    case 'reserved':
      out.raw(change.fingerprint);
      out.u32(change.deadlineS);
      out.bytes16(Buffer.from(change.attributes));
      writeLines(out, change.lines);
      return;
    case 'committed':
      out.u16(change.version);
      out.u32(change.commitFingerprint);
      out.u8(change.retaken ? 1 : 0);
      out.raw(change.fingerprint);
      out.bytes16(Buffer.from(change.attributes));
      out.u16(change.moves.length);
      for (const move of change.moves) {
        out.u16(move.line);
        out.u16(move.cell);
        out.u32(move.allocated);
        out.u32(move.freed);
      }
      return;
    case 'expired':
      out.u16(change.version);
      writeMoves(out, change.moves);
      return;
    case 'extended':
      out.u16(change.version);
      out.u32(change.deadlineS);
      return;
    case 'released':
    case 'cancelled':
    case 'shipped':
      out.u16(change.version);
      out.u8((change.type === 'released' ? change.whole : change.closed) ? 1 : 0);
      out.raw(change.operation);
      out.bytes16(Buffer.from(change.attributes));
      writeMoves(out, change.moves);
      return;
    case 'stock_moved':
      out.u8(STOCK_KINDS.indexOf(change.kind) + 1);
      out.raw(change.fingerprint);
      out.bytes16(Buffer.from(change.attributes));
      out.u16(change.deltas.length);
      for (const { cell, delta } of change.deltas) {
        out.u16(cell);
        out.i64(delta);
      }
      return;
    case 'repaired':
      writeRepaired(out, change);
      return;
    default:
      change satisfies never;
  }
}

/** One change alone, for the script that puts it into an entry of its own. */
export function encodeChange(change: Repaired): Buffer {
  const out = new ByteWriter(256);
  writeChange(out, change);
  return out.take();
}

function writeLines(out: ByteWriter, lines: Reserved['lines']): void {
  out.u16(lines.length);
  for (const line of lines) {
    out.u16(line.line);
    out.u32(line.requested);
    out.u8(line.placements.length);
    for (const placement of line.placements) {
      out.u16(placement.cell);
      out.u32(placement.quantity);
    }
  }
}

function writeMoves(out: ByteWriter, moves: readonly Move[]): void {
  out.u16(moves.length);
  for (const move of moves) {
    out.u16(move.line);
    out.u16(move.cell);
    out.u32(move.quantity);
  }
}

/** Throws DecodeError on anything that is not exactly one entry of a known format. */
export function decodeEntry(bytes: Buffer): Entry {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== ENTRY_FORMAT) {
    throw new DecodeError(`entry format ${format} is unknown, this release reads ${ENTRY_FORMAT}`);
  }
  const kind = pick(ENTRY_KINDS, reader.u8(), 'entry kind');
  const key = readKey(reader);
  const predecessor = readKey(reader);
  const timeMs = reader.i64();
  const cellCount = reader.u16();
  const changeCount = reader.u16();
  const cells = times(cellCount, () => readCell(reader));
  const changes: Change[] = [];
  for (let i = 0; i < changeCount; i++) readChange(reader, changes);
  if (!reader.done) throw new DecodeError(`${bytes.length - reader.at} bytes follow the entry`);
  return { kind, key, predecessor, timeMs, cells, changes };
}

function pick<T>(names: readonly T[], code: number, what: string): T {
  const name = names[code - 1];
  if (name === undefined) throw new DecodeError(`no ${what} has code ${code}`);
  return name;
}

function readKey(reader: ByteReader): EntryKey {
  return { epoch: reader.i64(), seq: reader.i64(), nonce: Buffer.from(reader.raw(NONCE_BYTES)) };
}

function readCell(reader: ByteReader): CellResult {
  const sku = reader.ascii8() as Sku;
  const field = reader.ascii8() as CellField;
  const { available, reserved, allocated, version } = readNumbers(reader, reader.u8());
  return { sku, field, available, reserved, allocated, version };
}

function readChange(reader: ByteReader, changes: Change[]): void {
  const type = reader.u8();
  if (type === TYPES.product_defined) {
    changes.push({ type: 'product_defined', sku: reader.ascii8() as Sku });
  } else if (type === RUN) {
    const count = reader.u16();
    const run = readTerms(reader);
    readColumns(reader, count, changes, (ids) => Array.from(ids, () => run));
  } else if (type === RUNS) {
    const count = reader.u16();
    const runs = times(reader.u16(), () => readTerms(reader));
    readColumns(reader, count, changes, (ids) =>
      Array.from(ids, () => runs[reader.u16()] ?? fail('a reserve stands in no run')),
    );
  } else {
    changes.push(readOne(reader, type));
  }
}

/** What the reserves of a run have in common. */
type Terms = Pick<Reserved, 'deadlineS' | 'lines'>;

function readTerms(reader: ByteReader): Terms {
  const deadlineS = reader.u32();
  const placement = { cell: reader.u16(), quantity: reader.u32() };
  return {
    deadlineS,
    lines: [{ line: 0, requested: placement.quantity, placements: [placement] }],
  };
}

/** Reserves that differ in id, fingerprint and attributes alone, or in their run besides. */
function readColumns(
  reader: ByteReader,
  count: number,
  changes: Change[],
  readRuns: (ids: readonly ChangeBase[]) => readonly Terms[],
): void {
  const ids = times(count, () => {
    const generation = reader.u16();
    // Where the record stands in Redis, which a reader of the log need not know.
    reader.u24();
    return { id: unpackId(reader.bytes8()), generation };
  });
  const fingerprints = times(count, () => readDigest(reader));
  const runs = readRuns(ids);
  ids.forEach(({ id, generation }, i) => {
    const fingerprint = fingerprints[i] ?? NO_DIGEST;
    const { deadlineS, lines } = runs[i] ?? fail('a reserve without its run');
    const attributes = reader.text16();
    changes.push({ type: 'reserved', id, generation, fingerprint, deadlineS, attributes, lines });
  });
}

function fail(what: string): never {
  throw new DecodeError(what);
}

function readOne(reader: ByteReader, type: number): Change {
  const id = unpackId(reader.bytes8());
  const base = { id, generation: reader.u16() };
  switch (type) {
    case TYPES.reserved:
      return readReserved(base, reader);
    case TYPES.committed:
      return {
        type: 'committed',
        ...base,
        version: reader.u16(),
        commitFingerprint: reader.u32(),
        retaken: reader.u8() === 1,
        fingerprint: readDigest(reader),
        attributes: reader.text16(),
        moves: times(reader.u16(), () => ({
          line: reader.u16(),
          cell: reader.u16(),
          allocated: reader.u32(),
          freed: reader.u32(),
        })),
      };
    case TYPES.released:
      return {
        type: 'released',
        ...base,
        version: reader.u16(),
        whole: reader.u8() === 1,
        ...readSettlement(reader),
      };
    case TYPES.expired:
      return { type: 'expired', ...base, version: reader.u16(), moves: readMoves(reader) };
    case TYPES.extended:
      return { type: 'extended', ...base, version: reader.u16(), deadlineS: reader.u32() };
    case TYPES.cancelled:
      return readFulfilled('cancelled', base, reader);
    case TYPES.shipped:
      return readFulfilled('shipped', base, reader);
    case TYPES.stock_moved:
      return {
        type: 'stock_moved',
        ...base,
        kind: pick(STOCK_KINDS, reader.u8(), 'stock movement'),
        fingerprint: readDigest(reader),
        attributes: reader.text16(),
        deltas: times(reader.u16(), () => ({
          cell: reader.u16(),
          delta: reader.i64(),
        })),
      };
    case TYPES.repaired:
      return readRepaired(base, reader);
    default:
      throw new DecodeError(`no change has type ${type}`);
  }
}

function readReserved(base: ChangeBase, reader: ByteReader): Reserved {
  return {
    type: 'reserved',
    ...base,
    fingerprint: readDigest(reader),
    deadlineS: reader.u32(),
    attributes: reader.text16(),
    lines: times(reader.u16(), () => ({
      line: reader.u16(),
      requested: reader.u32(),
      placements: times(reader.u8(), () => ({
        cell: reader.u16(),
        quantity: reader.u32(),
      })),
    })),
  };
}

function readFulfilled(type: Fulfilled['type'], base: ChangeBase, reader: ByteReader): Fulfilled {
  return {
    type,
    ...base,
    version: reader.u16(),
    closed: reader.u8() === 1,
    ...readSettlement(reader),
  };
}

function readSettlement(reader: ByteReader) {
  return {
    operation: readDigest(reader),
    attributes: reader.text16(),
    moves: readMoves(reader),
  };
}

function readMoves(reader: ByteReader): Move[] {
  return times(reader.u16(), () => ({
    line: reader.u16(),
    cell: reader.u16(),
    quantity: reader.u32(),
  }));
}

/** A fingerprint or the key of an operation; most keys are zero, and these are all the same one. */
function readDigest(reader: ByteReader): Buffer {
  const high = reader.u32();
  const low = reader.u32();
  if (high === 0 && low === 0) return NO_DIGEST;
  const digest = Buffer.allocUnsafe(FINGERPRINT_BYTES);
  digest.writeUInt32BE(high, 0);
  digest.writeUInt32BE(low, 4);
  return digest;
}
