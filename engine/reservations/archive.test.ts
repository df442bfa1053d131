import { describe, expect, it } from 'vitest';
import type { ArchivedRow } from './archive.ts';
import { toRecord } from './archive.ts';

const FINGERPRINT = Buffer.from('0102030405060708', 'hex');
const ROW: ArchivedRow = {
  status: 'held',
  version: 3,
  fingerprint: FINGERPRINT,
  created_s: 1_000,
  deadline_s: 1_600,
  commit_fingerprint: 0,
  closed_by: null,
  operations: [Buffer.alloc(8, 1)],
  line: 0,
  sku_id: 'A',
  warehouse_id: 'X',
  pool: 'shared',
  requested: 5,
  units: 2,
};

describe('toRecord', () => {
  it('is undefined without a row', () => {
    expect(toRecord([])).toBeUndefined();
  });

  it('gathers placements by line, in order, without those that are empty', () => {
    const rows = [
      ROW,
      { ...ROW, warehouse_id: 'Y', pool: 'web', units: 3 },
      { ...ROW, line: 1, sku_id: 'B', units: 0 },
      { ...ROW, line: 2, sku_id: 'C', requested: 1, units: 1 },
    ];
    expect(toRecord(rows)).toEqual({
      state: 'held',
      version: 3,
      fingerprint: FINGERPRINT,
      createdS: 1_000,
      deadlineS: 1_600,
      operations: ROW.operations,
      lines: [
        {
          line: 0,
          sku: 'A',
          requested: 5,
          placements: [
            { field: 'X', quantity: 2 },
            { field: 'Y/web', quantity: 3 },
          ],
        },
        { line: 2, sku: 'C', requested: 1, placements: [{ field: 'X', quantity: 1 }] },
      ],
    });
  });

  it('keeps of an ended reservation what a repeat is recognised by', () => {
    expect(toRecord([{ ...ROW, status: 'expired', units: 0 }])).toEqual({
      state: 'expired',
      fingerprint: FINGERPRINT,
      createdS: 1_000,
    });
    const closed = { ...ROW, status: 'closed', units: 0, commit_fingerprint: 9 } as const;
    expect(toRecord([{ ...closed, closed_by: 'cancel' }])).toEqual({
      state: 'closed',
      fingerprint: FINGERPRINT,
      createdS: 1_000,
      commitFingerprint: 9,
      closedBy: 'cancel',
      operations: ROW.operations,
    });
  });
});
