/** The bytes of a `repaired` change, behind its id and generation; the layout is in entry-codec.ts. */
import { type ByteReader, type ByteWriter, DecodeError } from './bytes.ts';
import type { Location, Repaired } from './entry.ts';
import { LOCATIONS } from './entry.ts';
import { decodeHold, encodeHold } from './hold-codec.ts';

export function writeRepaired(out: ByteWriter, change: Repaired): void {
  out.ascii8(change.cause);
  out.bytes16(Buffer.from(change.attributes));
  out.u16(change.corrections.length);
  for (const { cell, available, reserved, allocated } of change.corrections) {
    out.u16(cell);
    out.i64(available);
    out.i64(reserved);
    out.i64(allocated);
  }
  out.u16(change.movements.length);
  for (const { cell, source, dest, quantity } of change.movements) {
    out.u16(cell);
    out.u8(LOCATIONS.indexOf(source) + 1);
    out.u8(LOCATIONS.indexOf(dest) + 1);
    out.i64(quantity);
  }
  const { reservation } = change;
  out.u8(reservation === undefined ? 0 : 1);
  if (reservation === undefined) return;
  out.u16(reservation.version);
  out.bytes32(encodeHold(reservation.record));
  out.u16(reservation.lines.length);
  for (const { line, cell, requested, reserved, allocated } of reservation.lines) {
    out.u16(line);
    out.u16(cell);
    out.u32(requested);
    out.i64(reserved);
    out.i64(allocated);
  }
}

export function readRepaired(
  base: Pick<Repaired, 'id' | 'generation'>,
  reader: ByteReader,
): Repaired {
  const change = {
    type: 'repaired',
    ...base,
    cause: reader.ascii8(),
    attributes: reader.bytes16().toString('utf8'),
    corrections: Array.from({ length: reader.u16() }, () => ({
      cell: reader.u16(),
      available: reader.i64(),
      reserved: reader.i64(),
      allocated: reader.i64(),
    })),
    movements: Array.from({ length: reader.u16() }, () => ({
      cell: reader.u16(),
      source: readLocation(reader),
      dest: readLocation(reader),
      quantity: reader.i64(),
    })),
  } as const;
  return reader.u8() === 0 ? change : { ...change, reservation: readReservation(reader) };
}

function readReservation(reader: ByteReader): NonNullable<Repaired['reservation']> {
  return {
    version: reader.u16(),
    record: decodeHold(Buffer.from(reader.bytes32())),
    lines: Array.from({ length: reader.u16() }, () => ({
      line: reader.u16(),
      cell: reader.u16(),
      requested: reader.u32(),
      reserved: reader.i64(),
      allocated: reader.i64(),
    })),
  };
}

function readLocation(reader: ByteReader): Location {
  const code = reader.u8();
  const location = LOCATIONS[code - 1];
  if (location === undefined) throw new DecodeError(`no location has code ${code}`);
  return location;
}
