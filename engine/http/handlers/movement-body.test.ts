import { describe, expect, it } from 'vitest';
import type { MovementBody } from './movement-body.ts';
import { readMovement } from './movement-body.ts';

const LINE = { sku_id: 'MUG', warehouse_id: 1, quantity: 5 };

function read(body: MovementBody) {
  const movement = readMovement(body, 'EUR');
  if ('faults' in movement) throw new Error(JSON.stringify(movement.faults));
  return movement;
}

function faults(body: MovementBody) {
  const movement = readMovement(body, 'EUR');
  return 'faults' in movement ? movement.faults : [];
}

describe('readMovement', () => {
  it('takes one line alone, or several', () => {
    const single = read({ ...LINE, reason: 'damage' });
    const several = read({ lines: [LINE, { ...LINE, quantity: -3 }], reason: 'damage' });
    expect(single.lines).toEqual([several.lines[0]]);
    expect(several.lines.map(({ sku, warehouse, delta }) => [sku, warehouse, delta])).toEqual([
      ['MUG', '1', 5],
      ['MUG', '1', -3],
    ]);
    expect([single.pointerOf(0), several.pointerOf(1)]).toEqual(['', '/lines/1']);
    expect(single.reason).toBe('damage');
  });

  it('takes costs as text or number, in the currency that is named or the usual one', () => {
    const { lines } = read({
      lines: [{ ...LINE, unit_cost: '2.3500', currency: 'GBP' }, { ...LINE, unit_cost: 0.1 }, LINE],
    });
    expect(lines.map(({ unitCost, currency }) => [unitCost, currency])).toEqual([
      ['2.3500', 'GBP'],
      ['0.1', 'EUR'],
      [undefined, undefined],
    ]);
  });

  it('takes a reference', () => {
    const movement = read({ ...LINE, reference: { type: 'purchase_order', id: 77 } });
    expect(movement).toMatchObject({ referenceType: 'purchase_order', referenceId: '77' });
  });

  it('refuses what the schema cannot see', () => {
    expect(faults({ ...LINE, quantity: 0 })).toMatchObject([{ pointer: '/quantity' }]);
    expect(faults({ lines: [LINE, { ...LINE, unit_cost: 0.1 + 0.2 }] })).toMatchObject([
      { pointer: '/lines/1/unit_cost', message: expect.stringContaining('0.30000000000000004') },
    ]);
    expect(faults({ ...LINE, unit_cost: 1e-7 })).toMatchObject([{ pointer: '/unit_cost' }]);
    expect(faults({ ...LINE, currency: 'EUR' })).toMatchObject([{ pointer: '/currency' }]);
    expect(faults({ ...LINE, unit_cost: 1, currency: 'ZZZ' })).toMatchObject([
      { message: expect.stringContaining('"ZZZ"') },
    ]);
    const many = Array.from({ length: 50 }, () => ({ ...LINE, quantity: 0 }));
    expect(faults({ lines: many })).toHaveLength(10);
  });
});
