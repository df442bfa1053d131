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
  return readCell(new ByteReader(bytes), bytes.length);
}

/** The next so many bytes, which must be a cell and nothing else; throws as `decodeCell`. */
export function readCell(reader: ByteReader, bytes: number): Cell {
  const end = reader.at + bytes;
  const header = reader.u8();
  const available = readNumber(reader, header >> 6);
  const reserved = readNumber(reader, header >> 4);
  const allocated = readNumber(reader, header >> 2);
  const version = readNumber(reader, header);
  if (reader.at !== end) {
    throw new DecodeError(`a cell of ${reader.at - end + bytes} bytes came in ${bytes}`);
  }
  return { available, reserved, allocated, version };
}

function readNumber(reader: ByteReader, code: number): number {
  switch (code & 3) {
    case 0:
      return reader.i8();
    case 1:
      return reader.i16();
    case 2:
      return reader.i32();
    default:
      return countable(reader.i64());
  }
}

function countable(value: number): number {
  if (Number.isSafeInteger(value)) return value;
  throw new DecodeError('a cell counts more than can be counted');
}
