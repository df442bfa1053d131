import { describe, expect, it } from 'vitest';
import { QUANTITY_MAX } from '../domain/cell.ts';
import { CART_CELLS_MAX } from '../domain/script-limits.ts';
import type { CartLine, CartTerms, ItemInput } from './cart.ts';
import { Cart, cartAttributes, firstBeyondCells, mergeItems } from './cart.ts';

function merged(items: readonly ItemInput[]) {
  const lines = mergeItems(items);
  if (!Array.isArray(lines)) throw new Error('the cart overflowed');
  return lines;
}

describe('firstBeyondCells', () => {
  const cart = (lines: number, warehouses: number) =>
    merged(
      Array.from({ length: lines }, (_, i) => ({
        ...{ sku_id: `S${i}`, quantity: 1 },
        warehouse_id: Array.from({ length: warehouses }, (_, w) => `W${w}`),
      })),
    );

  it('finds where the lines name more warehouses than a script may look at', () => {
    expect(firstBeyondCells(cart(1_000, 1))).toBeUndefined();
    expect(firstBeyondCells(cart(CART_CELLS_MAX / 20, 20))).toBeUndefined();
    expect(firstBeyondCells(cart(CART_CELLS_MAX / 20 + 5, 20))?.item).toBe(CART_CELLS_MAX / 20);
    expect(firstBeyondCells(merged([{ sku_id: 'A', quantity: 1 }]))).toBeUndefined();
  });
});

describe('mergeItems', () => {
  it('makes strings of integer ids, and a list of one warehouse', () => {
    expect(merged([{ sku_id: 7, warehouse_id: 1, quantity: 2 }])).toEqual([
      { sku: '7', fields: ['1'], quantity: 2, item: 0 },
    ]);
    expect(merged([{ sku_id: 'A', quantity: 2 }])).toEqual([
      { sku: 'A', fields: [], quantity: 2, item: 0 },
    ]);
  });

  it('adds up lines of the same SKU and the same warehouses, in the place of the first', () => {
    const lines = merged([
      { sku_id: 'A', quantity: 1 },
      { sku_id: 'B', quantity: 5 },
      { sku_id: 'A', quantity: 2 },
      { sku_id: 'A', warehouse_id: 'X', quantity: 4 },
      { sku_id: 'A', warehouse_id: ['X'], quantity: 1 },
      { sku_id: 'A', warehouse_id: ['X', 'Y'], quantity: 1 },
      { sku_id: 'A', warehouse_id: ['Y', 'X'], quantity: 1 },
    ]);
    expect(lines.map(({ sku, fields, quantity, item }) => [sku, fields, quantity, item])).toEqual([
      ['A', [], 3, 0],
      ['B', [], 5, 1],
      ['A', ['X'], 5, 3],
      ['A', ['X', 'Y'], 1, 5],
      ['A', ['Y', 'X'], 1, 6],
    ]);
  });

  it('counts a warehouse once that a list names twice', () => {
    expect(merged([{ sku_id: 'A', warehouse_id: [1, '1', 2], quantity: 1 }])[0]?.fields).toEqual([
      '1',
      '2',
    ]);
  });

  it('refuses a sum that a line cannot name, and says which item brought it there', () => {
    const items = [
      { sku_id: 'A', quantity: QUANTITY_MAX },
      { sku_id: 'B', quantity: 1 },
      { sku_id: 'A', quantity: 1 },
    ];
    expect(mergeItems(items)).toEqual({ item: 2, total: QUANTITY_MAX + 1 });
  });
});

describe('cartAttributes', () => {
  it('says nothing when there is nothing to say, else in one order', () => {
    expect(cartAttributes({})).toBe('');
    const json = '{"order_id":"9","customer_id":"c","channel":"web"}';
    expect(cartAttributes({ channel: 'web', customer_id: 'c', order_id: 9 })).toBe(json);
  });
});

describe('the fingerprint of a cart', () => {
  const wanted = merged([{ sku_id: 'A', warehouse_id: ['X', 'Y'], quantity: 1 }]);
  const terms: CartTerms = { partial: false, split: true, ttlS: undefined, attributes: '' };
  const of = ({ lines = wanted, ...change }: Partial<CartTerms & { lines: CartLine[] }>) =>
    new Cart(lines, { ...terms, ...change }).fingerprint.toString('hex');

  it('has 8 bytes and repeats', () => {
    const cart = new Cart(wanted, terms);
    expect(cart.fingerprint).toHaveLength(8);
    expect(cart.fingerprint.toString('hex')).toBe(of({}));
    expect(of({})).toBe(of({}));
  });

  it('changes with all that a retry must repeat', () => {
    const others = [
      { partial: true },
      { split: false },
      { ttlS: 600 },
      { ttlS: 60 },
      { attributes: cartAttributes({ order_id: 1 }) },
      { attributes: cartAttributes({ customer_id: 1 }) },
      { lines: merged([{ sku_id: 'A', warehouse_id: ['X', 'Y'], quantity: 2 }]) },
      { lines: merged([{ sku_id: 'A', warehouse_id: ['Y', 'X'], quantity: 1 }]) },
      { lines: merged([{ sku_id: 'A', quantity: 1 }]) },
      { lines: merged([{ sku_id: 'B', warehouse_id: ['X', 'Y'], quantity: 1 }]) },
    ].map(of);
    expect(new Set([of({}), ...others]).size).toBe(others.length + 1);
  });

  it('does not care how the same wish was written', () => {
    const split = merged([
      { sku_id: 'A', warehouse_id: 1, quantity: 1 },
      { sku_id: 'A', warehouse_id: ['1'], quantity: 1 },
    ]);
    const whole = merged([{ sku_id: 'A', warehouse_id: '1', quantity: 2 }]);
    expect(of({ lines: split })).toBe(of({ lines: whole }));
  });
});
