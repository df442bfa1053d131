/**
 * Where a record stands: from the id that a row or an entry names, and back from a key and a field of
 * Redis. What leads nowhere is told of: no request can ever ask for what stands there.
 */
import { UnreadableBytes } from '../../engine/testing/auditor/cursor.ts';
import {
  fieldIn,
  idBytes,
  idText,
  packedIn,
  placeOf,
} from '../../engine/testing/auditor/decode-record.ts';
import type { DueReference } from './due-list.ts';
import type { LaneView } from './lane-view.ts';

export type BucketPlace = Pick<DueReference, 'generation' | 'bucket'>;

/** Where a record of an id stands, or should. */
export interface RecordPlace extends DueReference {
  readonly id: string;
  /** Where a retry looks for it; a day undefined: in that of the reserve. */
  readonly home: ReturnType<typeof placeOf>;
}

/** Where a retry looks for it. */
export function placeFor(id: string, generation: number): RecordPlace {
  const packed = idBytes(id);
  const home = placeOf(id, packed);
  return { id, packed, generation, bucket: home.bucket, home };
}

export function isAtHome({ generation, bucket, home }: RecordPlace): boolean {
  return bucket === home.bucket && (home.day ?? generation) === generation;
}

export function fieldOf({ keys }: LaneView, { generation, bucket, packed }: RecordPlace): Buffer {
  return fieldIn(keys.lane, generation, bucket, packed);
}

/** Undefined, and told: it only looks like the key of a bucket (`hold:007:5`). */
export function bucketNamed(view: LaneView, key: string): BucketPlace | undefined {
  return view.readable(`key ${key}`, () => {
    const [generation = 0, bucket = 0] = key.split(':').slice(-2).map(Number);
    // A reference has two bytes for the day.
    const isDay = generation > 0 && generation < 65_536;
    if (isDay && view.keys.hold(generation, bucket) === key) return { generation, bucket };
    throw new UnreadableBytes('it is named like a bucket of records, and is none');
  });
}

/** Undefined, and told: no id's record has this field there. */
export function placeOfField(
  view: LaneView,
  { generation, bucket }: BucketPlace,
  field: Buffer,
): RecordPlace | undefined {
  const { lane } = view.keys;
  const where = `field ${field.toString('hex')} of day ${generation}, bucket ${bucket}`;
  return view.readable(where, () => {
    const packed = packedIn(lane, generation, bucket, field);
    const id = idText(packed);
    if (fieldIn(lane, generation, bucket, packed).equals(field)) {
      return { id, packed, generation, bucket, home: placeOf(id, packed) };
    }
    throw new UnreadableBytes(`the record of ${id} is looked for under a part of it`);
  });
}
