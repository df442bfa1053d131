/**
 * The auditor's own decoder of a log entry. Written from the layout in the header comment of
 * engine/events/entry-codec.ts (format 1), without its code: two readings of one specification, so
 * that the fold can find what the engine's codec would repeat as a mistake.
 */
import { Cursor } from './cursor.ts';
import type { CellBalances, StoredRecord } from './decode-record.ts';
import { idText, readCell, readRecord } from './decode-record.ts';

export interface EntryId {
  readonly epoch: number;
  readonly seq: number;
  /** Hex. */
  readonly nonce: string;
}

export interface CellAfter extends CellBalances {
  readonly sku: string;
  readonly field: string;
}

/** Units of one cart line; `cell` is an index into the entry's cells, checked to be in range. */
export interface Units {
  readonly line: number;
  readonly cell: number;
  readonly units: number;
}

interface OfReservation {
  readonly id: string;
  readonly generation: number;
}

export interface ReservedChange extends OfReservation {
  readonly type: 'reserved';
  readonly fingerprint: string;
  readonly deadlineS: number;
  readonly attributes: string;
  readonly requested: ReadonlyMap<number, number>;
  readonly placements: readonly Units[];
}

export interface CommittedChange extends OfReservation {
  readonly type: 'committed';
  readonly version: number;
  readonly commitFingerprint: number;
  readonly retaken: boolean;
  readonly fingerprint: string;
  readonly attributes: string;
  readonly moves: readonly {
    readonly line: number;
    readonly cell: number;
    readonly allocated: number;
    readonly freed: number;
  }[];
}

/** `ends`: after it nothing is left, and the reservation is released or closed. */
export interface SettledChange extends OfReservation {
  readonly type: 'released' | 'cancelled' | 'shipped';
  readonly version: number;
  readonly ends: boolean;
  /** Hex. */
  readonly operation: string;
  readonly attributes: string;
  readonly moves: readonly Units[];
}

export interface ExpiredChange extends OfReservation {
  readonly type: 'expired';
  readonly version: number;
  readonly moves: readonly Units[];
}

export interface ExtendedChange extends OfReservation {
  readonly type: 'extended';
  readonly version: number;
  readonly deadlineS: number;
}

export interface StockChange extends OfReservation {
  readonly type: 'stock_moved';
  readonly kind: 'receive' | 'adjust';
  readonly fingerprint: string;
  readonly attributes: string;
  readonly deltas: readonly { readonly cell: number; readonly delta: number }[];
}

export interface ProductChange {
  readonly type: 'product_defined';
  readonly sku: string;
}

/** Reconcile put something right: cells as the entry says, rows of the ledger, a whole record. */
export interface RepairedChange extends OfReservation {
  readonly type: 'repaired';
  readonly cause: string;
  readonly attributes: string;
  /** By how much PostgreSQL's balances were off. */
  readonly corrections: readonly {
    readonly cell: number;
    readonly available: number;
    readonly reserved: number;
    readonly allocated: number;
  }[];
  readonly movements: readonly {
    readonly cell: number;
    readonly source: RepairLocation;
    readonly dest: RepairLocation;
    readonly units: number;
  }[];
  readonly version: number | undefined;
  readonly record: StoredRecord | undefined;
}

const REPAIR_LOCATIONS = [
  'available',
  'reserved',
  'allocated',
  'customer',
  'supplier',
  'loss',
  'drift',
] as const;
export type RepairLocation = (typeof REPAIR_LOCATIONS)[number];

export type ReservationChange =
  | ReservedChange
  | CommittedChange
  | SettledChange
  | ExpiredChange
  | ExtendedChange
  | RepairedChange;

export type Change = ReservationChange | StockChange | ProductChange;

export interface DecodedEntry {
  readonly kind: 'batch' | 'opened' | 'tick';
  readonly id: EntryId;
  readonly predecessor: EntryId;
  readonly timeMs: number;
  readonly cells: readonly CellAfter[];
  readonly changes: readonly Change[];
}

/** Throws UnreadableBytes unless the bytes are exactly one entry of format 1. */
export function decodeEntry(bytes: Uint8Array, what = 'an entry'): DecodedEntry {
  const cursor = new Cursor(bytes, what);
  const format = cursor.uint8();
  if (format !== 1) cursor.fail(`format ${format} is unknown`);
  const kindCode = cursor.uint8();
  const kind = (['batch', 'opened', 'tick'] as const)[kindCode - 1];
  if (kind === undefined) return cursor.fail(`no entry has kind ${kindCode}`);
  const id = readEntryId(cursor);
  const predecessor = readEntryId(cursor);
  const timeMs = cursor.signed(8);
  const cellCount = cursor.uint16();
  const changeCount = cursor.uint16();
  const cells = cursor.list(cellCount, () => readCellAfter(cursor, what));
  const changes: Change[] = [];
  for (let i = 0; i < changeCount; i += 1) readChanges(cursor, cellCount, changes);
  cursor.end();
  return { kind, id, predecessor, timeMs, cells, changes };
}

function readEntryId(cursor: Cursor): EntryId {
  return { epoch: cursor.signed(8), seq: cursor.signed(8), nonce: cursor.hex(8) };
}

function readCellAfter(cursor: Cursor, what: string): CellAfter {
  const sku = cursor.shortText();
  const field = cursor.shortText();
  const balances = readCell(cursor.bytes(cursor.uint8()), `${what}, cell ${sku} ${field}`);
  return { sku, field, ...balances };
}

/** A change may stand for many. */
function readChanges(cursor: Cursor, cellCount: number, changes: Change[]): void {
  const type = cursor.uint8();
  if (type === 11) changes.push(...readRun(cursor, cellCount));
  else if (type === 12) changes.push(...readRuns(cursor, cellCount));
  else changes.push(readChange(type, cursor, cellCount));
}

/** What the reserves of a run have in common: so many units of one cell, for as long. */
interface RunHead {
  readonly deadlineS: number;
  readonly cell: number;
  readonly units: number;
}

function readRunHead(cursor: Cursor, cellCount: number): RunHead {
  return {
    deadlineS: cursor.uint32(),
    cell: cellIndex(cursor, cellCount),
    units: cursor.uint32(),
  };
}

function readRun(cursor: Cursor, cellCount: number): ReservedChange[] {
  const count = cursor.uint16();
  const head = readRunHead(cursor, cellCount);
  return readColumns(cursor, count, () => Array<RunHead>(count).fill(head));
}

/** Several runs, whose reserves stand in the order in which they came; each names its run. */
function readRuns(cursor: Cursor, cellCount: number): ReservedChange[] {
  const count = cursor.uint16();
  const heads = cursor.list(cursor.uint16(), () => readRunHead(cursor, cellCount));
  return readColumns(cursor, count, () =>
    cursor.list(count, () => {
      const run = cursor.uint16();
      return heads[run] ?? cursor.fail(`a reserve stands in run ${run} of ${heads.length}`);
    }),
  );
}

/** The columns: names, fingerprints, then the runs where there are several, then attributes. */
function readColumns(cursor: Cursor, count: number, readHeads: () => RunHead[]): ReservedChange[] {
  const names = cursor.list(count, () => {
    const generation = cursor.uint16();
    cursor.bytes(3);
    return { id: idText(cursor.bytes(cursor.uint8())), generation };
  });
  const fingerprints = cursor.list(count, () => cursor.hex(8));
  const heads = readHeads();
  const attributes = cursor.list(count, () => cursor.longText());
  return heads.map(({ deadlineS, cell, units }, i) => {
    const { id, generation } = names[i] ?? cursor.fail(`reserve ${i} has no name`);
    return {
      type: 'reserved',
      id,
      generation,
      fingerprint: fingerprints[i] ?? '',
      deadlineS,
      attributes: attributes[i] ?? '',
      requested: new Map([[0, units]]),
      placements: [{ line: 0, cell, units }],
    };
  });
}

function readChange(type: number, cursor: Cursor, cellCount: number): Change {
  if (type === 9) return { type: 'product_defined', sku: cursor.shortText() };
  const of = { id: idText(cursor.bytes(cursor.uint8())), generation: cursor.uint16() };
  switch (type) {
    case 1:
      return readReserved(of, cursor, cellCount);
    case 2:
      return readCommitted(of, cursor, cellCount);
    case 3:
      return readSettled('released', of, cursor, cellCount);
    case 4:
      return {
        type: 'expired',
        ...of,
        version: cursor.uint16(),
        moves: readMoves(cursor, cellCount),
      };
    case 5:
      return { type: 'extended', ...of, version: cursor.uint16(), deadlineS: cursor.uint32() };
    case 6:
      return readSettled('cancelled', of, cursor, cellCount);
    case 7:
      return readSettled('shipped', of, cursor, cellCount);
    case 8:
      return readStock(of, cursor, cellCount);
    case 10:
      return readRepaired(of, cursor, cellCount);
    default:
      return cursor.fail(`no change has type ${type}`);
  }
}

function readReserved(of: OfReservation, cursor: Cursor, cellCount: number): ReservedChange {
  const fingerprint = cursor.hex(8);
  const deadlineS = cursor.uint32();
  const attributes = cursor.longText();
  const requested = new Map<number, number>();
  const placements: Units[] = [];
  const lineCount = cursor.uint16();
  for (let i = 0; i < lineCount; i += 1) {
    const line = cursor.uint16();
    if (requested.has(line)) cursor.fail(`line ${line} of ${of.id} stands twice`);
    requested.set(line, cursor.uint32());
    const placed = cursor.uint8();
    for (let k = 0; k < placed; k += 1) {
      placements.push({ line, cell: cellIndex(cursor, cellCount), units: cursor.uint32() });
    }
  }
  return { type: 'reserved', ...of, fingerprint, deadlineS, attributes, requested, placements };
}

function readCommitted(of: OfReservation, cursor: Cursor, cellCount: number): CommittedChange {
  return {
    type: 'committed',
    ...of,
    version: cursor.uint16(),
    commitFingerprint: cursor.uint32(),
    retaken: cursor.flag(),
    fingerprint: cursor.hex(8),
    attributes: cursor.longText(),
    moves: cursor.list(cursor.uint16(), () => ({
      line: cursor.uint16(),
      cell: cellIndex(cursor, cellCount),
      allocated: cursor.uint32(),
      freed: cursor.uint32(),
    })),
  };
}

function readSettled(
  type: SettledChange['type'],
  of: OfReservation,
  cursor: Cursor,
  cellCount: number,
): SettledChange {
  return {
    type,
    ...of,
    version: cursor.uint16(),
    ends: cursor.flag(),
    operation: cursor.hex(8),
    attributes: cursor.longText(),
    moves: readMoves(cursor, cellCount),
  };
}

function readStock(of: OfReservation, cursor: Cursor, cellCount: number): StockChange {
  const code = cursor.uint8();
  const kind = (['receive', 'adjust'] as const)[code - 1];
  if (kind === undefined) return cursor.fail(`no stock movement has kind ${code}`);
  return {
    type: 'stock_moved',
    ...of,
    kind,
    fingerprint: cursor.hex(8),
    attributes: cursor.longText(),
    deltas: cursor.list(cursor.uint16(), () => ({
      cell: cellIndex(cursor, cellCount),
      delta: cursor.signed(8),
    })),
  };
}

function readRepaired(of: OfReservation, cursor: Cursor, cellCount: number): RepairedChange {
  const head = {
    type: 'repaired',
    ...of,
    cause: cursor.shortText(),
    attributes: cursor.longText(),
    corrections: cursor.list(cursor.uint16(), () => ({
      cell: cellIndex(cursor, cellCount),
      available: cursor.signed(8),
      reserved: cursor.signed(8),
      allocated: cursor.signed(8),
    })),
    movements: cursor.list(cursor.uint16(), () => ({
      cell: cellIndex(cursor, cellCount),
      source: readLocation(cursor),
      dest: readLocation(cursor),
      units: cursor.signed(8),
    })),
  } as const;
  if (!cursor.flag()) return { ...head, version: undefined, record: undefined };
  const version = cursor.uint16();
  const record = readRecord(cursor.bytes(cursor.uint32()), `the record of ${of.id}`);
  cursor.list(cursor.uint16(), () => {
    cursor.uint16();
    cellIndex(cursor, cellCount);
    cursor.uint32();
    cursor.signed(8);
    return cursor.signed(8);
  });
  return { ...head, version, record };
}

function readLocation(cursor: Cursor): RepairLocation {
  const code = cursor.uint8();
  return REPAIR_LOCATIONS[code - 1] ?? cursor.fail(`no location has code ${code}`);
}

function readMoves(cursor: Cursor, cellCount: number): Units[] {
  return cursor.list(cursor.uint16(), () => ({
    line: cursor.uint16(),
    cell: cellIndex(cursor, cellCount),
    units: cursor.uint32(),
  }));
}

function cellIndex(cursor: Cursor, cellCount: number): number {
  const index = cursor.uint16();
  return index < cellCount ? index : cursor.fail(`it points at cell ${index} of ${cellCount}`);
}
