/**
 * The reservation record as it stands in Redis. `lua/includes/records.lua` is the other half.
 *
 *   u8 state (1 held, 2 committed, 3 released, 4 expired, 5 closed, 9 stock operation)
 *   8 bytes fingerprint, u32 created_s
 *   closed: u32 commit fingerprint, u8 closed by (5 cancel, 6 ship), u8 n operations, n x 8 bytes
 *   held, committed: u16 version, u32 deadline_s | commit fingerprint,
 *     u8 n operations, n x 8 bytes,
 *     u16 n lines, each: u16 line, u8+ sku, u32 requested, u8 n placements, each: u8+ field, u32 units
 */
import type { CellField, Sku } from '../domain/ids.ts';
import type { ReservationLine, ReservationRecord } from '../domain/reservation.ts';
import { FINGERPRINT_BYTES } from '../domain/reservation.ts';
import { ByteReader, ByteWriter, DecodeError, times } from './bytes.ts';

const STATES = { held: 1, committed: 2, released: 3, expired: 4, closed: 5 } as const;
const CLOSED_BY = { cancel: 5, ship: 6 } as const;
export const OPERATION_STATE = 9;
const OPERATION_KEY_BYTES = 8;

export function encodeHold(record: ReservationRecord): Buffer {
  const out = new ByteWriter(64);
  writeHold(out, record);
  return out.take();
}

/** For those who encode a million: behind what the writer has already. */
export function writeHold(out: ByteWriter, record: ReservationRecord): void {
  out.u8(STATES[record.state]);
  out.raw(record.fingerprint);
  out.u32(record.createdS);
  if (record.state === 'closed') {
    out.u32(record.commitFingerprint);
    out.u8(CLOSED_BY[record.closedBy]);
    writeOperations(out, record.operations);
  }
  if (record.state !== 'held' && record.state !== 'committed') return;
  out.u16(record.version);
  out.u32(record.state === 'held' ? record.deadlineS : record.commitFingerprint);
  writeOperations(out, record.operations);
  out.u16(record.lines.length);
  for (const line of record.lines) {
    out.u16(line.line);
    out.ascii8(line.sku);
    out.u32(line.requested);
    out.u8(line.placements.length);
    for (const placement of line.placements) {
      out.ascii8(placement.field);
      out.u32(placement.quantity);
    }
  }
}

/** The record of a stock operation: only that it was done, and with what fingerprint. */
export function encodeOperation(fingerprint: Buffer, createdS: number): Buffer {
  const out = new ByteWriter(13);
  out.u8(OPERATION_STATE);
  out.raw(fingerprint);
  out.u32(createdS);
  return out.take();
}

/** Throws DecodeError for all that `lua/includes/records.lua` takes for no record of a reservation. */
export function decodeHold(bytes: Buffer): ReservationRecord {
  const reader = new ByteReader(bytes);
  const record = readHold(reader);
  if (!reader.done) throw new DecodeError(`a record of ${reader.at} bytes came in ${bytes.length}`);
  return record;
}

function readHold(reader: ByteReader): ReservationRecord {
  const code = reader.u8();
  const fingerprint = Buffer.from(reader.raw(FINGERPRINT_BYTES));
  const createdS = reader.u32();
  switch (code) {
    case STATES.released:
      return { state: 'released', fingerprint, createdS };
    case STATES.expired:
      return { state: 'expired', fingerprint, createdS };
    case STATES.closed:
      return {
        state: 'closed',
        fingerprint,
        createdS,
        commitFingerprint: reader.u32(),
        closedBy: reader.u8() === CLOSED_BY.cancel ? 'cancel' : 'ship',
        operations: readOperations(reader),
      };
    case STATES.held:
    case STATES.committed: {
      const version = reader.u16();
      const number = reader.u32();
      const rest = { operations: readOperations(reader), lines: readLines(reader) };
      return code === STATES.held
        ? { state: 'held', fingerprint, createdS, version, deadlineS: number, ...rest }
        : {
            state: 'committed',
            fingerprint,
            createdS,
            version,
            commitFingerprint: number,
            ...rest,
          };
    }
    default:
      throw new DecodeError(`no reservation record has state ${code}`);
  }
}

function writeOperations(out: ByteWriter, keys: readonly Buffer[]): void {
  out.u8(keys.length);
  for (const key of keys) out.raw(key);
}

function readOperations(reader: ByteReader): Buffer[] {
  return times(reader.u8(), () => Buffer.from(reader.raw(OPERATION_KEY_BYTES)));
}

function readLines(reader: ByteReader): ReservationLine[] {
  return times(reader.u16(), () => ({
    line: reader.u16(),
    sku: reader.ascii8() as Sku,
    requested: reader.u32(),
    placements: times(reader.u8(), () => ({
      field: reader.ascii8() as CellField,
      quantity: reader.u32(),
    })),
  }));
}
