/** Every entry that can be written is read back as it was, and nothing else is read at all. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asReservation, asSku, cellField } from '../domain/ids.ts';
import { DecodeError } from './bytes.ts';
import type { CellResult, Change, Entry, EntryKey } from './entry.ts';
import { ENTRY_KINDS, LOCATIONS, STOCK_KINDS } from './entry.ts';
import { decodeEntry, encodeEntry } from './entry-codec.ts';

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const eight = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes));
const plain = fc.string({
  unit: fc.constantFrom(...Array.from('ABCxyz019._:-')),
  minLength: 1,
  maxLength: 64,
});
const hex = fc.string({
  unit: fc.constantFrom(...Array.from('0123456789abcdef')),
  minLength: 32,
  maxLength: 32,
});
const id = fc
  .oneof(
    plain.filter((text) => !/^(hf|ik|op)_/.test(text)),
    fc.tuple(fc.constantFrom('hf_', 'ik_', 'op_'), hex).map(([tag, digits]) => tag + digits),
  )
  .map(asReservation);
const attributes = fc.oneof(
  fc.constant(''),
  fc.json(),
  fc.string({ unit: 'binary', maxLength: 40 }).map((text) => Buffer.from(text).toString()),
);
const key: fc.Arbitrary<EntryKey> = fc.record({
  epoch: fc.maxSafeNat(),
  seq: fc.maxSafeNat(),
  nonce: eight,
});
const balance = fc.oneof(fc.integer({ min: -200, max: 200 }), fc.integer(), fc.maxSafeInteger());
const cell: fc.Arbitrary<CellResult> = fc.record({
  sku: plain.map(asSku),
  field: fc
    .tuple(plain, fc.option(plain, { nil: 'shared' }))
    .map(([w, pool]) => cellField(w, pool)),
  available: balance,
  reserved: balance,
  allocated: balance,
  version: fc.maxSafeNat(),
});

const named = { id, generation: u16 };
const settled = { ...named, version: u16 };
const keyed = { ...settled, operation: eight, attributes };
const few = { maxLength: 4 };
const moves = fc.array(fc.record({ line: u16, cell: u16, quantity: u32 }), few);
const units = fc.maxSafeInteger();
const type = <T extends string>(name: T) => fc.constant(name);

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    type: type('reserved'),
    ...named,
    fingerprint: eight,
    deadlineS: u32,
    attributes,
    lines: fc.array(
      fc.record({
        line: u16,
        requested: u32,
        placements: fc.array(fc.record({ cell: u16, quantity: u32 }), few),
      }),
      few,
    ),
  }),
  fc.record({
    type: type('committed'),
    ...settled,
    commitFingerprint: u32,
    retaken: fc.boolean(),
    fingerprint: eight,
    attributes,
    moves: fc.array(fc.record({ line: u16, cell: u16, allocated: u32, freed: u32 }), few),
  }),
  fc.record({ type: type('released'), ...keyed, whole: fc.boolean(), moves }),
  fc.record({ type: type('expired'), ...settled, moves }),
  fc.record({ type: type('extended'), ...settled, deadlineS: u32 }),
  fc.record({ type: type('cancelled'), ...keyed, closed: fc.boolean(), moves }),
  fc.record({ type: type('shipped'), ...keyed, closed: fc.boolean(), moves }),
  fc.record({
    type: type('stock_moved'),
    ...named,
    kind: fc.constantFrom(...STOCK_KINDS),
    fingerprint: eight,
    attributes,
    deltas: fc.array(fc.record({ cell: u16, delta: fc.maxSafeInteger() }), few),
  }),
  fc.record({ type: type('product_defined'), sku: plain.map(asSku) }),
  fc.record(
    {
      type: type('repaired'),
      ...named,
      cause: plain,
      attributes,
      corrections: fc.array(
        fc.record({ cell: u16, available: units, reserved: units, allocated: units }),
        few,
      ),
      movements: fc.array(
        fc.record({
          cell: u16,
          source: fc.constantFrom(...LOCATIONS),
          dest: fc.constantFrom(...LOCATIONS),
          quantity: units,
        }),
        few,
      ),
      reservation: fc.record({
        version: u16,
        record: fc.record({
          state: fc.constant('released' as const),
          fingerprint: eight,
          createdS: u32,
        }),
        lines: fc.array(
          fc.record({ line: u16, cell: u16, requested: u32, reserved: units, allocated: units }),
          few,
        ),
      }),
    },
    {
      requiredKeys: ['type', 'id', 'generation', 'cause', 'attributes', 'corrections', 'movements'],
    },
  ),
);

const entry: fc.Arbitrary<Entry> = fc.record({
  kind: fc.constantFrom(...ENTRY_KINDS),
  key,
  predecessor: key,
  timeMs: fc.maxSafeNat(),
  cells: fc.array(cell, { maxLength: 5 }),
  changes: fc.array(change, { maxLength: 6 }),
});

describe('the entry codec', () => {
  it('reads back what it wrote', () => {
    fc.assert(
      fc.property(entry, (given) => {
        expect(decodeEntry(encodeEntry(given))).toEqual(given);
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses an entry that was cut short anywhere, or that goes on', () => {
    fc.assert(
      fc.property(entry, fc.nat(), (given, at) => {
        const bytes = encodeEntry(given);
        const cut = bytes.subarray(0, at % bytes.length);
        expect(() => decodeEntry(cut)).toThrow(DecodeError);
        expect(() => decodeEntry(Buffer.concat([bytes, Buffer.from([0])]))).toThrow(DecodeError);
      }),
    );
  });

  it('answers any bytes with an entry or a DecodeError, never with another exception', () => {
    fc.assert(
      fc.property(entry, fc.nat(), fc.nat({ max: 255 }), (given, at, byte) => {
        const bytes = encodeEntry(given);
        bytes[at % bytes.length] = byte;
        try {
          decodeEntry(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
