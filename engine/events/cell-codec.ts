/**
 * A cell in few bytes: one byte that says how wide each of the four numbers is (2 bits each, from
 * the high end: available, reserved, allocated, version; 0 -> 1 byte, 1 -> 2, 2 -> 4, 3 -> 8),
 * then the numbers, signed, big-endian. 5 bytes for a small cell, 33 at the most.
 * `lua/includes/cells.lua` is the other half.
 */
import type { Cell } from '../domain/cell.ts';
import { ByteReader, ByteWriter, DecodeError } from './bytes.ts';

const WIDTHS = [1, 2, 4, 8] as const;

function widthCode(value: number): number {
  if (value >= -0x80 && value < 0x80) return 0;
  if (value >= -0x8000 && value < 0x8000) return 1;
  if (value >= -0x8000_0000 && value < 0x8000_0000) return 2;
  return 3;
}

export function encodeCell(cell: Cell): Buffer {
  const numbers = [cell.available, cell.reserved, cell.allocated, cell.version];
  const codes = numbers.map(widthCode);
  const out = new ByteWriter(33);
  out.u8(codes.reduce((header, code) => (header << 2) | code, 0));
  numbers.forEach((value, i) => {
    const wide = new ByteWriter(8);
    wide.i64(value);
    out.raw(wide.take().subarray(8 - (WIDTHS[codes[i] ?? 3] ?? 8)));
  });
  return out.take();
}

/** Throws DecodeError for bytes that are no cell; `lua/includes/cells.lua` refuses all that this does. */
export function decodeCell(bytes: Buffer): Cell {
  const reader = new ByteReader(bytes);
  const header = reader.u8();
  const next = (shift: number): number => {
    const width = WIDTHS[(header >> shift) & 3] ?? 8;
    return width === 8 ? reader.i64() : reader.raw(width).readIntBE(0, width);
  };
  const cell = { available: next(6), reserved: next(4), allocated: next(2), version: next(0) };
  if (!reader.done) throw new DecodeError(`a cell of ${reader.at} bytes came in ${bytes.length}`);
  if (!Object.values(cell).every(Number.isSafeInteger)) {
    throw new DecodeError('a cell counts more than can be counted');
  }
  return cell;
}
