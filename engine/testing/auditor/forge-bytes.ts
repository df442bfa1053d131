/**
 * Writes entries, cells and records for the auditor's tests, from the same documented layouts that
 * it reads. Nothing is checked: a test forges what no engine should ever write.
 */
import type { Change, DecodedEntry, EntryId, Units } from './decode.ts';
import type { CellBalances, StoredRecord } from './decode-record.ts';
import { idBytes } from './decode-record.ts';

class Bytes {
  readonly #out: number[] = [];

  /** Unsigned or two's complement, `width` bytes. */
  int(width: number, value: number): this {
    const bits = BigInt.asUintN(8 * width, BigInt(value));
    for (let i = width - 1; i >= 0; i -= 1) this.#out.push(Number((bits >> BigInt(8 * i)) & 255n));
    return this;
  }

  raw(bytes: Uint8Array): this {
    for (const byte of bytes) this.#out.push(byte);
    return this;
  }

  hex(text: string): this {
    return this.raw(Buffer.from(text, 'hex'));
  }

  /** Behind a length of `width` bytes. */
  counted(width: number, bytes: Uint8Array | string): this {
    const raw = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    return this.int(width, raw.length).raw(raw);
  }

  get bytes(): Buffer {
    return Buffer.from(this.#out);
  }
}

export function forgeCell(cell: CellBalances): Buffer {
  const numbers = [cell.available, cell.reserved, cell.allocated, cell.version];
  const widths = numbers.map((n) => [1, 2, 4, 8].findIndex((w) => fits(n, w)));
  const out = new Bytes().int(
    1,
    widths.reduce((header, width) => header * 4 + width, 0),
  );
  numbers.forEach((n, i) => {
    out.int(2 ** (widths[i] ?? 3), n);
  });
  return out.bytes;
}

function fits(value: number, width: number): boolean {
  return width === 8 || (value >= -(2 ** (8 * width - 1)) && value < 2 ** (8 * width - 1));
}

const STATES = new Map<StoredRecord['state'], number>([
  ['held', 1],
  ['committed', 2],
  ['released', 3],
  ['expired', 4],
  ['closed', 5],
  ['operation', 9],
]);

/** One placement to a line: the story's reservations have no others. */
export function forgeRecord(record: StoredRecord): Buffer {
  const { state, fingerprint, createdS, operations = [], lines = [] } = record;
  const out = new Bytes()
    .int(1, STATES.get(state) ?? 0)
    .hex(fingerprint)
    .int(4, createdS);
  if (state === 'closed') {
    out.int(4, record.commitFingerprint ?? 0).int(1, record.closedBy === 'cancel' ? 5 : 6);
    out.int(1, operations.length);
    for (const key of operations) out.hex(key);
  }
  if (state !== 'held' && state !== 'committed') return out.bytes;
  const number = state === 'held' ? record.deadlineS : record.commitFingerprint;
  out
    .int(2, record.version ?? 0)
    .int(4, number ?? 0)
    .int(1, operations.length);
  for (const key of operations) out.hex(key);
  out.int(2, lines.length);
  for (const { line, sku, field, units } of lines) {
    out
      .int(2, line)
      .counted(1, sku)
      .int(4, record.requested?.get(line) ?? units);
    out.int(1, 1).counted(1, field).int(4, units);
  }
  return out.bytes;
}

/** One element of a second's deadlines. */
export function forgeDue(references: readonly { day: number; bucket: number; id: string }[]) {
  const out = new Bytes();
  for (const { day, bucket, id } of references) {
    out.int(2, day).int(3, bucket).counted(1, idBytes(id));
  }
  return out.bytes;
}

const KINDS = ['batch', 'opened', 'tick'];
const TYPES: readonly Change['type'][] = [
  'reserved',
  'committed',
  'released',
  'expired',
  'extended',
  'cancelled',
  'shipped',
  'stock_moved',
  'product_defined',
  'repaired',
];

export function forgeEntry(entry: DecodedEntry): Buffer {
  const out = new Bytes().int(1, 1).int(1, KINDS.indexOf(entry.kind) + 1);
  forgeId(out, entry.id);
  forgeId(out, entry.predecessor);
  out.int(8, entry.timeMs).int(2, entry.cells.length).int(2, entry.changes.length);
  for (const cell of entry.cells) {
    out.counted(1, cell.sku).counted(1, cell.field).counted(1, forgeCell(cell));
  }
  for (const change of entry.changes) forgeChange(out, change);
  return out.bytes;
}

function forgeId(out: Bytes, id: EntryId): void {
  out.int(8, id.epoch).int(8, id.seq).hex(id.nonce);
}

function forgeChange(out: Bytes, change: Change): void {
  out.int(1, TYPES.indexOf(change.type) + 1);
  if (change.type === 'product_defined') {
    out.counted(1, change.sku);
    return;
  }
  out.counted(1, idBytes(change.id)).int(2, change.generation);
  switch (change.type) {
    case 'reserved':
      out.hex(change.fingerprint).int(4, change.deadlineS).counted(2, change.attributes);
      out.int(2, change.requested.size);
      for (const [line, requested] of change.requested) {
        const placed = change.placements.filter((placement) => placement.line === line);
        out.int(2, line).int(4, requested).int(1, placed.length);
        for (const { cell, units } of placed) out.int(2, cell).int(4, units);
      }
      return;
    case 'committed':
      out
        .int(2, change.version)
        .int(4, change.commitFingerprint)
        .int(1, change.retaken ? 1 : 0);
      out.hex(change.fingerprint).counted(2, change.attributes).int(2, change.moves.length);
      for (const { line, cell, allocated, freed } of change.moves) {
        out.int(2, line).int(2, cell).int(4, allocated).int(4, freed);
      }
      return;
    case 'expired':
      forgeMoves(out.int(2, change.version), change.moves);
      return;
    case 'extended':
      out.int(2, change.version).int(4, change.deadlineS);
      return;
    case 'stock_moved':
      out.int(1, change.kind === 'receive' ? 1 : 2).hex(change.fingerprint);
      out.counted(2, change.attributes).int(2, change.deltas.length);
      for (const { cell, delta } of change.deltas) out.int(2, cell).int(8, delta);
      return;
    case 'repaired':
      throw new Error('no story repairs anything: reconcile is tested on real stores');
    default:
      out
        .int(2, change.version)
        .int(1, change.ends ? 1 : 0)
        .hex(change.operation);
      forgeMoves(out.counted(2, change.attributes), change.moves);
  }
}

function forgeMoves(out: Bytes, moves: readonly Units[]): void {
  out.int(2, moves.length);
  for (const { line, cell, units } of moves) out.int(2, line).int(2, cell).int(4, units);
}
