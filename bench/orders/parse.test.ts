/** The reader of the real orders, and the facts of the file on which everything behind it relies. */
import { beforeAll, describe, expect, it } from 'vitest';
import { groupBy } from './group.ts';
import type { OrderLine } from './parse.ts';
import { parseOrderLine, readRealOrders } from './parse.ts';

const LINE = {
  invoice: '536365',
  sku: '85123A',
  description: 'WHITE HANGING HEART T-LIGHT HOLDER',
  quantity: '6',
  invoiced_at: '2010-12-01T08:26:00',
  unit_price_gbp: '2.55',
  customer_id: '17850',
  country: 'United Kingdom',
};

describe('parseOrderLine', () => {
  it('reads numbers, times and what may be empty', () => {
    expect(parseOrderLine(2, LINE)).toEqual({
      line: 2,
      invoice: '536365',
      isCancellation: false,
      sku: '85123A',
      description: 'WHITE HANGING HEART T-LIGHT HOLDER',
      quantity: 6,
      invoicedAtMs: Date.UTC(2010, 11, 1, 8, 26),
      unitPricePence: 255,
      customerId: '17850',
      country: 'United Kingdom',
    });
    expect(parseOrderLine(2, { ...LINE, customer_id: '' }).customerId).toBeUndefined();
  });

  it.each([
    ['0', 0],
    ['18', 1800],
    ['2.1', 210],
    ['0.07', 7],
    ['569.77', 56977],
    ['-11062.06', -1106206],
  ])('reads the price %s', (text, pence) => {
    expect(parseOrderLine(2, { ...LINE, unit_price_gbp: text }).unitPricePence).toBe(pence);
  });

  it.each<[Partial<typeof LINE>, RegExp]>([
    [{ invoice: 'A536365' }, /^line 9: invoice is "A536365"; expected six digits/],
    [{ sku: '' }, /sku/],
    [{ quantity: '0' }, /quantity is "0"; expected a whole number that is not 0/],
    [{ quantity: '1.5' }, /quantity/],
    [{ quantity: '1e3' }, /quantity/],
    [{ quantity: ' 1' }, /quantity/],
    [{ quantity: '1000000000' }, /quantity/],
    [{ invoice: 'C536365', quantity: '1' }, /quantity is "1"; expected a negative number/],
    [{ invoiced_at: '2010-12-01 08:26' }, /invoiced_at/],
    [{ invoiced_at: '2010-13-01T08:26:00' }, /invoiced_at/],
    [{ unit_price_gbp: '' }, /unit_price_gbp/],
    [{ unit_price_gbp: '2.555' }, /unit_price_gbp/],
    [{ unit_price_gbp: 'NaN' }, /unit_price_gbp/],
    [{ country: '' }, /country/],
  ])('refuses %o', (change, problem) => {
    expect(() => parseOrderLine(9, { ...LINE, ...change })).toThrow(problem);
  });
});

describe('readRealOrders', () => {
  it('says which file is not there', async () => {
    const file = new URL('./no-such-file.csv.gz', import.meta.url);
    await expect(readRealOrders(file)).rejects.toThrow(/no-such-file\.csv\.gz: ENOENT/);
  });

  it('refuses a file that is not gzipped', async () => {
    await expect(readRealOrders(new URL(import.meta.url))).rejects.toThrow(
      /parse\.test\.ts: incorrect header/,
    );
  });
});

describe('the real orders', () => {
  let lines: readonly OrderLine[];
  let invoices: Map<string, OrderLine[]>;

  beforeAll(async () => {
    lines = await readRealOrders();
    invoices = groupBy(lines, (line) => line.invoice);
  });

  const count = (matches: (line: OrderLine) => boolean): number => lines.filter(matches).length;
  const invoicesWhere = (matches: (ofInvoice: readonly OrderLine[]) => boolean): string[] =>
    [...invoices].filter(([, ofInvoice]) => matches(ofInvoice)).map(([invoice]) => invoice);

  const differing = (property: (line: OrderLine) => unknown): string[] =>
    invoicesWhere((ofInvoice) => groupBy(ofInvoice, property).size > 1);

  it('are 10,000 lines of 512 invoices, in order of time', () => {
    expect(lines).toHaveLength(10_000);
    expect(invoices.size).toBe(512);
    expect(lines[0]).toEqual(parseOrderLine(2, LINE));
    const times = lines.map((line) => line.invoicedAtMs);
    expect(times).toEqual(times.toSorted((left, right) => left - right));
    expect(times.at(-1)).toBe(Date.UTC(2010, 11, 5, 16, 24));
  });

  it('have carts of up to 593 lines, 9 of them over 100; 67 repeat a SKU', () => {
    const sizes = [...invoices.values()].map((ofInvoice) => ofInvoice.length);
    expect(Math.max(...sizes)).toBe(593);
    expect(sizes.filter((size) => size > 100)).toHaveLength(9);
    const repeats = invoicesWhere(
      (ofInvoice) => groupBy(ofInvoice, (line) => line.sku).size < ofInvoice.length,
    );
    expect(repeats).toHaveLength(67);
    // One of them is a cancellation.
    expect(repeats.filter((invoice) => invoice.startsWith('C'))).toEqual(['C536826']);
  });

  it('have one customer and one country per invoice, and one time but for 536591', () => {
    expect(differing((line) => line.customerId)).toEqual([]);
    expect(differing((line) => line.country)).toEqual([]);
    expect(differing((line) => line.invoicedAtMs)).toEqual(['536591']);
  });

  it('cancel 100 lines with 43 invoices: 22 match a purchase in the file, only 10 an earlier one', () => {
    expect([...invoices.keys()].filter((invoice) => invoice.startsWith('C'))).toHaveLength(43);
    const cancelled = lines.filter((line) => line.isCancellation);
    expect(cancelled).toHaveLength(100);
    const purchasesOf = (line: OrderLine): OrderLine[] =>
      lines.filter(
        (other) =>
          other.quantity > 0 && other.sku === line.sku && other.customerId === line.customerId,
      );
    expect(cancelled.filter((line) => purchasesOf(line).length > 0)).toHaveLength(22);
    const matchesEarlier = cancelled.filter((line) =>
      purchasesOf(line).some((purchase) => purchase.line < line.line),
    );
    expect(matchesEarlier).toHaveLength(10);
  });

  it('have 30 negative lines without C, 46 prices <= 0, 2,291 empty customers, 42 descriptions', () => {
    expect(count((line) => line.quantity < 0 && !line.isCancellation)).toBe(30);
    expect(count((line) => line.unitPricePence <= 0)).toBe(46);
    expect(count((line) => line.customerId === undefined)).toBe(2291);
    expect(count((line) => line.description === '')).toBe(42);
  });
});
