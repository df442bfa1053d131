/** The catalogue: names, prices and what is dropped, on small examples and on the real orders. */
import { describe, expect, it } from 'vitest';
import { isId } from '../../engine/domain/ids.ts';
import { deriveCatalogue } from './catalogue.ts';
import { writeOffReason } from './classify.ts';
import type { OrderLine } from './parse.ts';
import { readRealOrders } from './parse.ts';

function sale(sku: string, description: string, unitPricePence: number): OrderLine {
  return {
    line: 2,
    invoice: '536365',
    isCancellation: false,
    sku,
    description,
    quantity: 1,
    invoicedAtMs: 0,
    unitPricePence,
    customerId: '17850',
    country: 'United Kingdom',
  };
}

describe('deriveCatalogue', () => {
  it('calls a product by its most frequent description, of equal ones by the first', () => {
    const { products } = deriveCatalogue([
      sale('A', 'old name', 100),
      sale('A', '', 100),
      sale('A', '', 100),
      sale('A', 'new name', 100),
      sale('A', 'new name', 100),
      sale('B', 'first', 100),
      sale('B', 'second', 100),
    ]);
    expect(products.map((product) => product.name)).toEqual(['new name', 'first']);
  });

  it("takes no clerk's note for a name, and falls back on the SKU", () => {
    const found = { ...sale('A', 'amazon', 0), customerId: undefined };
    const lost = { ...sale('A', '?', 0), quantity: -3, customerId: undefined };
    const catalogue = deriveCatalogue([found, lost]);
    expect(catalogue.products).toEqual([{ skuId: 'A', name: 'A', unitPricePence: undefined }]);
    expect(catalogue).toMatchObject({ unnamed: 1, unpriced: 1 });
  });

  it('prices a product at the lower median of its positive prices', () => {
    const prices = [425, 0, 255, 0, 381, 999];
    const { products } = deriveCatalogue(prices.map((pence) => sale('A', 'a', pence)));
    expect(products[0]?.unitPricePence).toBe(381);
  });

  it('keeps SKUs apart that differ by letter case', () => {
    const catalogue = deriveCatalogue([sale('85123A', 'x', 1), sale('85123a', 'y', 1)]);
    expect(catalogue.products.map((product) => product.skuId)).toEqual(['85123A', '85123a']);
    expect(catalogue.caseTwins).toBe(1);
  });

  it('drops and counts what is no goods and what is no id', () => {
    const codes = ['POST', 'POST', 'gift/0001', 'BANK CHARGES', 'S'.repeat(65)];
    const catalogue = deriveCatalogue(codes.map((code) => sale(code, 'x', 1)));
    expect(catalogue.products).toEqual([]);
    expect(catalogue.dropped).toEqual([
      { code: 'POST', why: 'not_goods', lines: 2 },
      { code: 'BANK CHARGES', why: 'not_goods', lines: 1 },
      { code: 'gift/0001', why: 'invalid_id', lines: 1 },
      { code: 'S'.repeat(65), why: 'invalid_id', lines: 1 },
    ]);
  });

  it('finds 2,009 products in the real orders', async () => {
    const catalogue = deriveCatalogue(await readRealOrders());
    const { products, dropped, ...counts } = catalogue;
    expect(products).toHaveLength(2009);
    expect(products.every((product) => isId(product.skuId) && product.name !== '')).toBe(true);
    expect(new Set(products.map((product) => product.skuId)).size).toBe(2009);
    expect(counts).toEqual({ unnamed: 15, unpriced: 15, caseTwins: 27 });
    expect(Object.fromEntries(dropped.map(({ code, lines }) => [code, lines]))).toEqual({
      POST: 18,
      M: 10,
      DOT: 6,
      D: 2,
      C2: 1,
      'BANK CHARGES': 1,
    });
    expect(products.find((product) => product.skuId === '22139')?.name).toMatch(/TEA SET/);
  });
});

describe('writeOffReason', () => {
  it.each([
    ['damaged stock', 'damage'],
    ['THROWN AWAY', 'damage'],
    ['wet boxes', 'damage'],
    ['?', 'loss'],
    ['', 'loss'],
    ['sold as 22467', 'loss'],
  ])('%s: %s', (note, reason) => {
    expect(writeOffReason(note)).toBe(reason);
  });
});
