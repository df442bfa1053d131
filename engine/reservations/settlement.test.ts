import { describe, expect, it } from 'vitest';
import { QUANTITY_MAX } from '../domain/cell.ts';
import type { SettleLine } from '../redis/operation.ts';
import type { SettleItemInput } from './settlement.ts';
import {
  commitFingerprint,
  mergeSettleItems,
  operationKey,
  retakeFingerprint,
} from './settlement.ts';

function merged(items: readonly SettleItemInput[]): readonly SettleLine[] {
  const lines = mergeSettleItems(items);
  if ('item' in lines) throw new Error('the lines overflowed');
  return lines;
}

const one = merged([{ sku_id: 'A', quantity: 1 }]);
const two = merged([{ sku_id: 'A', quantity: 2 }]);

describe('mergeSettleItems', () => {
  it('merges, and puts lines that name a warehouse first', () => {
    const lines = merged([
      { sku_id: 'B', quantity: 1 },
      { sku_id: 'A', quantity: 1 },
      { sku_id: 'B', warehouse_id: 2, quantity: 1 },
      { sku_id: 'B', warehouse_id: '2', quantity: 3 },
      { sku_id: 'A', warehouse_id: 'X', quantity: 1 },
    ]);
    expect(lines.map(({ sku, field, quantity }) => [sku, field, quantity])).toEqual([
      ['A', 'X', 1],
      ['B', '2', 4],
      ['A', '', 1],
      ['B', '', 1],
    ]);
  });

  it('refuses a sum that a line cannot name', () => {
    const items = [QUANTITY_MAX, 1].map((quantity) => ({ sku_id: 'A', quantity }));
    expect(mergeSettleItems(items)).toEqual({ item: 1, total: QUANTITY_MAX + 1 });
  });
});

describe('commitFingerprint', () => {
  it('is 0 for the whole, and the same for the same set of lines in any order', () => {
    expect(commitFingerprint(undefined)).toBe(0);
    const items = [
      { sku_id: 'A', quantity: 1 },
      { sku_id: 'B', warehouse_id: 1, quantity: 1 },
    ];
    const there = commitFingerprint(merged(items));
    expect(commitFingerprint(merged(items.toReversed()))).toBe(there);
    expect(there).toBeGreaterThan(0);
    expect(commitFingerprint(two)).not.toBe(commitFingerprint(one));
  });
});

describe('operationKey', () => {
  const halves = (key: Buffer) => [key.readUInt32BE(0), key.readUInt32BE(4)];

  it('has the key in its first half and what is asked in the other', () => {
    const base = halves(operationKey('k', 'release', one));
    const otherLines = halves(operationKey('k', 'release', two));
    const otherVerb = halves(operationKey('k', 'cancel', one));
    const otherKey = halves(operationKey('l', 'release', one));
    expect(otherLines[0]).toBe(base[0]);
    expect(otherLines[1]).not.toBe(base[1]);
    expect(otherVerb[0]).toBe(base[0]);
    expect(otherVerb[1]).not.toBe(base[1]);
    expect(otherKey[0]).not.toBe(base[0]);
    expect(otherKey[1]).toBe(base[1]);
  });

  it('is never zeros, which stand for no key', () => {
    expect(operationKey('', 'ship', one).every((byte) => byte === 0)).toBe(false);
  });
});

describe('retakeFingerprint', () => {
  it('has 8 bytes and differs with the lines', () => {
    expect(retakeFingerprint(one)).toHaveLength(8);
    expect(retakeFingerprint(one).equals(retakeFingerprint(two))).toBe(false);
  });
});
