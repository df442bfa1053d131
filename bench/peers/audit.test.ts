import { describe, expect, it } from 'vitest';
import { runSale, type SaleTally } from '../load/sale.ts';
import { type AuditInput, auditSale } from './audit.ts';

const NOBODY = runSale({ plans: [], send: () => Promise.reject(new Error('nobody comes')) }).tally;

const tally = (unitsBought: number, violations: readonly string[] = []): SaleTally => ({
  ...NOBODY,
  unitsBought,
  violations,
});
const SOUND: AuditInput = {
  units: 100,
  tally: tally(90),
  soldIds: 80,
  soldIdsThere: 80,
  books: { forSale: 10, held: 0, sold: 90 },
  reserved: { answered: 5_000, taken: 5_000 },
};

describe('the audit of a sale', () => {
  it('passes when every unit is sold or for sale', () => {
    expect(auditSale(SOUND)).toMatchObject({ ok: true, sold: 90, oversold: 0, leaked: 0 });
  });

  it.each([
    ['more was sold than there was', { tally: tally(105) }, { oversold: 15 }],
    [
      'what was sold is for sale again',
      { books: { forSale: 13, held: 0, sold: 90 } },
      { oversold: 3 },
    ],
    [
      'units are neither sold nor for sale',
      { books: { forSale: 4, held: 0, sold: 90 } },
      { leaked: 6 },
    ],
    [
      'a hold that never ends keeps units',
      { books: { forSale: 4, held: 6, sold: 90 } },
      { leaked: 6 },
    ],
    ['one key made two reservations', { tally: tally(90, ['twice']) }, { doubled: 1 }],
    ['a sale is gone after a restart', { soldIdsThere: 78 }, { lost: 2 }],
    [
      'a reserve did not reach the counter',
      { reserved: { answered: 7, taken: 5 } },
      { uncounted: 2 },
    ],
  ])('fails when %s', (_, change: Partial<AuditInput>, found) => {
    const audit = auditSale({ ...SOUND, ...change });
    expect(audit).toMatchObject({ ok: false, ...found });
  });

  it('does not count a reserve as lost whose answer never came', () => {
    const audit = auditSale({ ...SOUND, reserved: { answered: 4_990, taken: 5_000 } });
    expect(audit).toMatchObject({ ok: true, uncounted: 0 });
  });
});
