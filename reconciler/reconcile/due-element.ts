/** References of the deadlines: an element is a run of u16 generation, u24 bucket, u8+ packed id. */
import { packId, unpackId } from '../../engine/domain/reservation-id.ts';
import { ByteWriter } from '../../engine/events/bytes.ts';
import type { RecordPlace } from './facts.ts';

const HEAD_BYTES = 6;

export interface DueReference {
  readonly bytes: Buffer;
  readonly place: RecordPlace;
}

/** Reads as far as it can be read. */
export function readElement(element: Buffer): DueReference[] {
  const references: DueReference[] = [];
  for (let at = 0; at + HEAD_BYTES <= element.length; ) {
    const end = at + HEAD_BYTES + element.readUInt8(at + HEAD_BYTES - 1);
    if (end > element.length) break;
    const generation = element.readUInt16BE(at);
    const bucket = element.readUIntBE(at + 2, 3);
    const id = unpackId(element.subarray(at + HEAD_BYTES, end));
    references.push({ bytes: element.subarray(at, end), place: { id, generation, bucket } });
    at = end;
  }
  return references;
}

export function encodeReference({ id, generation, bucket }: RecordPlace): Buffer {
  const out = new ByteWriter(32);
  out.u16(generation);
  out.u24(bucket);
  out.bytes8(packId(id));
  return out.take();
}

/** The element without every reference that `isGone` names; empty when none is left. */
export function without(element: Buffer, isGone: (reference: DueReference) => boolean): Buffer {
  const kept = readElement(element).filter((reference) => !isGone(reference));
  return Buffer.concat(kept.map(({ bytes }) => bytes));
}
