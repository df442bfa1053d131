import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  addressOf,
  BLOCK_BUCKETS,
  BUCKETS,
  digestId,
  fieldOf,
  GENERATION_MS,
  generationOf,
  IDS_PER_BLOCK,
  IdMaker,
  idOfField,
  isWellFormed,
  packId,
  readMadeId,
  unpackId,
} from './reservation-id.ts';

const NOW = 1_795_000_000_000;

const maker = new IdMaker(randomBytes);

describe('ids that the engine makes', () => {
  const made = Array.from({ length: 1_000 }, (_, i) => maker.make(NOW + i, 3));

  it('are different, sort by time, and tell their time and lane', () => {
    const texts = made.map(unpackId);
    expect(new Set(texts).size).toBe(1_000);
    expect(texts.toSorted()).toEqual(texts);
    expect(readMadeId(made[7] ?? Buffer.alloc(0))).toEqual({ timeMs: NOW + 7, lane: 3 });
  });

  it('come back from their text, whatever bytes', () => {
    const any = Array.from({ length: 100 }, () =>
      Buffer.concat([Buffer.from([1]), randomBytes(16)]),
    );
    for (const packed of any) expect(packId(unpackId(packed))).toEqual(packed);
    for (const packed of made) expect(packId(unpackId(packed))).toEqual(packed);
  });

  it('have the text that unpacking gives, whatever time, lane and block come next', () => {
    const other = new IdMaker(randomBytes);
    let timeMs = NOW;
    for (let i = 0; i < 3_000; i += 1) {
      if (i % 7 === 0) timeMs += i % 3;
      const { packed, text } = other.makeNamed(timeMs, i % 50 === 0 ? 65_535 : 1);
      expect(text).toBe(unpackId(packed));
      expect(readMadeId(packed)).toEqual({ timeMs, lane: i % 50 === 0 ? 65_535 : 1 });
    }
  });

  it('share a bucket 64 at a time, in the generation of their day', () => {
    const buckets = new Set(made.map((packed) => addressOf(packed).bucket));
    expect(buckets.size).toBeLessThanOrEqual(Math.ceil(1_000 / IDS_PER_BLOCK) + 1);
    for (const packed of made) {
      expect(addressOf(packed).bucket).toBeLessThan(BLOCK_BUCKETS);
      expect(addressOf(packed).generation).toBe(generationOf(NOW));
    }
  });
});

describe('the field of a record', () => {
  const lane = 3;
  const id = new IdMaker(randomBytes).make(NOW, lane);
  const home = { lane, ...addressOf(id) };

  it('is what the name of its bucket does not say, and leads back to the id', () => {
    const field = fieldOf(id, home);
    expect(field).toEqual(id.subarray(8));
    expect(idOfField(field, home)).toEqual(id);
  });

  it.each([
    ['another day', { ...home, generation: home.generation + 1 }],
    ['another lane', { ...home, lane: 0 }],
    ['another block', { ...home, bucket: (home.bucket + 1) % BLOCK_BUCKETS }],
  ])('is the whole id in the bucket of %s', (_, bucket) => {
    expect(fieldOf(id, bucket)).toEqual(id);
    expect(idOfField(id, bucket)).toEqual(id);
  });

  it('is the whole id where no engine made it', () => {
    for (const text of ['order-7', '9-letters', digestId('ik_', 'public', 'key')]) {
      const packed = packId(text);
      const bucket = { lane, generation: generationOf(NOW), bucket: addressOf(packed).bucket };
      expect(fieldOf(packed, bucket)).toEqual(packed);
      expect(idOfField(packed, bucket)).toEqual(packed);
    }
    // A block that no engine has: its bucket is that of another.
    const forged = Buffer.from(id);
    forged.writeUIntBE(home.bucket + BLOCK_BUCKETS, 5, 3);
    expect(addressOf(forged)).toEqual(addressOf(id));
    expect(fieldOf(forged, home)).toEqual(forged);
    expect(idOfField(forged, home)).toEqual(forged);
  });
});

describe('other ids', () => {
  it.each(['order-7', 'x', digestId('ik_', 'public', 'key'), digestId('op_', 'stock', 'key')])(
    '%s comes back from its bytes and stands in a hashed bucket',
    (id) => {
      const packed = packId(id);
      expect(unpackId(packed)).toBe(id);
      const { bucket, generation } = addressOf(packed);
      expect(generation).toBe(0);
      expect(bucket).toBeGreaterThanOrEqual(BLOCK_BUCKETS);
      expect(bucket).toBeLessThan(BUCKETS);
    },
  );

  it('that claim to be ours without our form are refused', () => {
    expect(isWellFormed('hf_nonsense')).toBe(false);
    expect(() => packId('hf_nonsense')).toThrow(RangeError);
    for (const id of [`hf_${'A'.repeat(32)}`, `ik_${'0'.repeat(31)}`, `op_${'g'.repeat(32)}`]) {
      expect(isWellFormed(id)).toBe(false);
      expect(() => packId(id)).toThrow(RangeError);
    }
    // Its day would be over before its time is: it would be forgotten, and reserved again, too early.
    const [first, last] = [0, GENERATION_MS - 1].map((ms) =>
      unpackId(maker.make(NOW - (NOW % GENERATION_MS) + ms, 0)),
    );
    expect([first, last].map((id) => isWellFormed(id ?? ''))).toEqual([true, true]);
    const late = `${last?.slice(0, 7)}${GENERATION_MS.toString(16).padStart(8, '0')}${last?.slice(15)}`;
    expect(isWellFormed(late)).toBe(false);
    expect(isWellFormed('hfx')).toBe(true);
    expect(isWellFormed(`zz_${'A'.repeat(32)}`)).toBe(true);
  });

  it('are packed as their digits say, each of them', () => {
    const digits = '0123456789abcdef';
    for (let first = 0; first < 16; first += 1) {
      const hex = (digits.slice(first) + digits.slice(0, first)).repeat(2);
      expect(packId(`ik_${hex}`)).toEqual(Buffer.from(`02${hex}`, 'hex'));
    }
  });

  it('of two callers or two keys differ', () => {
    const ids = [
      digestId('ik_', 'a', 'bc'),
      digestId('ik_', 'ab', 'c'),
      digestId('op_', 'a', 'bc'),
    ];
    expect(new Set(ids.map((id) => id.slice(3))).size).toBe(2);
    expect(digestId('ik_', 'a', 'bc')).toBe(ids[0]);
  });
});
