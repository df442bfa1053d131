import { describe, expect, it } from 'vitest';
import { addressOf, packId } from '../../domain/reservation-id.ts';
import {
  decodeEntry as engineDecodes,
  encodeEntry as engineEncodes,
} from '../../events/entry-codec.ts';
import { UnreadableBytes } from './cursor.ts';
import { decodeEntry } from './decode.ts';
import { idBytes, idText, placeOf, readCell, readRecord } from './decode-record.ts';
import { Story } from './forge.ts';

const hex = (...parts: string[]) => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex');

/** Spelled byte by byte from the layout, so that reader and forger cannot agree on a mistake. */
const RESERVED = hex(
  '01 01', // format 1, batch
  '0000000100000002 0000000000000003 aabbccddeeff0011', // epoch 2^32 + 2, seq 3, nonce
  '0000000100000002 0000000000000002 1100ffeeddccbbaa', // predecessor
  '0000019abcdef012', // lane time
  '0001 0001', // one cell, one change
  '03 544541 04 45552d31', // TEA EU-1
  '06 40 012c 03 00 05', // widths 2, 1, 1, 1: available 300, reserved 3, allocated 0, version 5
  '01', // reserved
  '11 01 0123 4567 89abcd ef012345 67 89abcdef 50f0', // hf_ id: day, lane, block, ms, ...; generation
  '00000000000000ff 692066c8', // fingerprint, deadline
  '0002 7b7d', // attributes {}
  '0001 0004 00000005 01 0000 00000003', // line 4 asked 5, one placement: cell 0, 3 units
);

/** Two runs of one cell, whose three reserves came as second, first, second. */
const RUNS = hex(
  '01 01 0000000100000002 0000000000000003 aabbccddeeff0011',
  '0000000100000002 0000000000000002 1100ffeeddccbbaa 0000019abcdef012',
  '0001 0001 03 544541 04 45552d31 06 40 012c 03 00 05',
  '0c 0003 0002', // several runs: three reserves, two runs
  '692066c8 0000 00000001', // the first: deadline, cell 0, 1 unit
  '692066d0 0000 00000004', // the second: 4 units
  '50f0 000001 01 61', // generation, bucket, packed id: a
  '50f0 000002 01 62',
  '50f1 000003 01 63',
  '00000000000000aa 00000000000000bb 00000000000000cc', // fingerprints
  '0001 0000 0001', // their runs
  '0000 0002 7b7d 0000', // attributes: only the second has some
);

describe('an entry', () => {
  it('has reserves of several runs, as the layout says and the engine reads it', () => {
    const reserves = decodeEntry(RUNS).changes;
    const own = (id: string, generation: number, deadlineS: number, units: number) => ({
      ...{ type: 'reserved', id, generation, deadlineS, requested: new Map([[0, units]]) },
      placements: [{ line: 0, cell: 0, units }],
    });
    expect(reserves).toMatchObject([
      { ...own('a', 0x50f0, 0x692066d0, 4), fingerprint: '00000000000000aa', attributes: '' },
      { ...own('b', 0x50f0, 0x692066c8, 1), fingerprint: '00000000000000bb', attributes: '{}' },
      { ...own('c', 0x50f1, 0x692066d0, 4), fingerprint: '00000000000000cc', attributes: '' },
    ]);
    const again = engineEncodes(engineDecodes(RUNS));
    expect(decodeEntry(again).changes).toEqual(reserves);
    const astray = Buffer.from(RUNS);
    astray.writeUInt16BE(2, RUNS.length - 14);
    expect(() => decodeEntry(astray)).toThrow('a reserve stands in run 2 of 2');
    expect(() => engineDecodes(astray)).toThrow('stands in no run');
  });

  it('is read as the layout says', () => {
    expect(decodeEntry(RESERVED)).toEqual({
      kind: 'batch',
      id: { epoch: 4294967298, seq: 3, nonce: 'aabbccddeeff0011' },
      predecessor: { epoch: 4294967298, seq: 2, nonce: '1100ffeeddccbbaa' },
      timeMs: 0x019abcdef012,
      cells: [{ sku: 'TEA', field: 'EU-1', available: 300, reserved: 3, allocated: 0, version: 5 }],
      changes: [
        {
          type: 'reserved',
          id: 'hf_0123ef012345456789abcd6789abcdef',
          generation: 0x50f0,
          fingerprint: '00000000000000ff',
          deadlineS: 0x692066c8,
          attributes: '{}',
          requested: new Map([[4, 5]]),
          placements: [{ line: 4, cell: 0, units: 3 }],
        },
      ],
    });
  });

  it('is refused when it ends early, goes on, or points at no cell', () => {
    for (let length = 0; length < RESERVED.length; length += 1) {
      expect(() => decodeEntry(RESERVED.subarray(0, length))).toThrow(UnreadableBytes);
    }
    expect(() => decodeEntry(Buffer.concat([RESERVED, Buffer.of(0)]))).toThrow('left over');
    const astray = Buffer.from(RESERVED);
    astray.writeUInt16BE(1, astray.length - 6);
    expect(() => decodeEntry(astray, 'entry 1-3')).toThrow('entry 1-3: it points at cell 1 of 1');
  });

  it('is what the engine writes and reads', () => {
    const story = new Story().opened(4294967297).define('TEA').write();
    story.stock('op_00112233445566778899aabbccddeeff', [['TEA EU-1', 70_000]]).write();
    story
      .stock('adjust', [['TEA EU-1', -7]], 'adjust')
      .reserve('a', [['TEA EU-1', 3]])
      .write();
    story
      .reserve('b', [['TEA EU-1', 1]])
      .extend('b', 900)
      .commit('a', 2)
      .write();
    story.release('b').shipOne('a', '00000000000000aa').cancel('a').write();
    story
      .reserve('c', [['TEA EU-1', 1]])
      .tick(601_000)
      .expire('c')
      .retake('c', [])
      .write();
    for (const bytes of story.written) {
      expect(engineEncodes(engineDecodes(bytes)).toString('hex')).toBe(bytes.toString('hex'));
    }
    expect(story.written.map((bytes) => decodeEntry(bytes))).toEqual(story.entries);
  });
});

describe('a cell', () => {
  it.each([
    ['00 05 03 00 01', [5, 3, 0, 1]],
    ['1b ff 0100 00010000 0000000100000000', [-1, 256, 65_536, 4_294_967_296]],
  ])('%s', (bytes, [available, reserved, allocated, version]) => {
    const cell = { available, reserved, allocated, version };
    expect(readCell(hex(bytes), 'a cell')).toEqual(cell);
  });

  it('is refused when a number is past what JavaScript holds', () => {
    expect(() => readCell(hex('c0 7fffffffffffffff 00 00 00'), 'TEA EU-1')).toThrow('past 2^53');
  });
});

describe('a record', () => {
  const head = '0102030405060708 692066c8';

  it('of a hold has its version, deadline, operations and lines', () => {
    const line = '0002 03 544541 00000005 01 04 45552d31 00000003';
    expect(
      readRecord(hex('01', head, '0007 69206920 01 1111111122222222 0001', line), 'a record'),
    ).toEqual({
      state: 'held',
      fingerprint: '0102030405060708',
      createdS: 0x692066c8,
      version: 7,
      deadlineS: 0x69206920,
      operations: ['1111111122222222'],
      requested: new Map([[2, 5]]),
      lines: [{ line: 2, sku: 'TEA', field: 'EU-1', units: 3 }],
    });
  });

  it.each([
    ['03', 'released'],
    ['04', 'expired'],
    ['09', 'operation'],
  ])('of state %s is a tombstone: %s', (code, state) => {
    expect(readRecord(hex(code, head), 'a record')).toMatchObject({ state });
  });

  it('of a closed reservation keeps what its settlements named', () => {
    expect(readRecord(hex('05', head, '0000abcd 06 01 1111111122222222'), 'a record')).toEqual({
      state: 'closed',
      fingerprint: '0102030405060708',
      createdS: 0x692066c8,
      commitFingerprint: 43981,
      closedBy: 'ship',
      operations: ['1111111122222222'],
    });
  });

  it('of an unknown state is refused', () => {
    expect(() => readRecord(hex('07', head), 'record of a')).toThrow('record of a: no record');
  });
});

describe('an id', () => {
  it.each([
    'hf_0123456789abcdef0123456789abcdef',
    'op_ffffffffffffffffffffffffffffffff',
    'order-1',
  ])('%s comes back from its bytes', (id) => expect(idText(idBytes(id))).toBe(id));

  it.each([
    ['hf_4fc10123456700000fabcd0100000000', 20417, 0xfabcd],
    ['ik_00000000000000000000000000010203', undefined, 2 ** 20 + 0x10203],
    // FNV-1a of 'a' is 0xe40c292c (the authors' own test vector).
    ['a', undefined, 2 ** 20 + 0x0292c],
  ])('%s stands on day %s in bucket %i', (id, day, bucket) => {
    expect(placeOf(id)).toEqual({ day, bucket });
    const engine = addressOf(packId(id));
    expect(engine).toEqual({ generation: day ?? 0, bucket });
  });
});
