/** Reads the real orders of bench/data into typed lines, strictly: a line that does not fit stops with its number. */
import { createReadStream, existsSync } from 'node:fs';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { CsvError, readCsvRecords } from '../../engine/stock/csv.ts';

const COLUMNS = [
  'invoice',
  'sku',
  'description',
  'quantity',
  'invoiced_at',
  'unit_price_gbp',
  'customer_id',
  'country',
] as const;

type Column = (typeof COLUMNS)[number];

/** One line of an invoice, as the retailer wrote it. */
export interface OrderLine {
  /** Line of the CSV file, from 1. */
  readonly line: number;
  readonly invoice: string;
  /** The invoice cancels: its number starts with C. */
  readonly isCancellation: boolean;
  readonly sku: string;
  /** May be empty. */
  readonly description: string;
  /** Never 0; negative for what comes back or is written off. */
  readonly quantity: number;
  /** Milliseconds since 1970, UTC. */
  readonly invoicedAtMs: number;
  readonly unitPricePence: number;
  readonly customerId: string | undefined;
  readonly country: string;
}

const INVOICE = /^C?\d{6}$/;
const QUANTITY = /^-?[1-9]\d{0,8}$/;
const PRICE = /^(-?)(\d{1,7})(?:\.(\d{1,2}))?$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$/;

/** @throws CsvError that names the line, the column and the value. */
export function parseOrderLine(line: number, values: Readonly<Record<Column, string>>): OrderLine {
  const { invoice, sku, description, quantity, country } = values;
  const refuse = (column: Column, expected: string): never => {
    throw new CsvError(
      line,
      `${column} is ${JSON.stringify(values[column])}; expected ${expected}`,
    );
  };
  if (!INVOICE.test(invoice)) refuse('invoice', 'six digits, with a C before them when it cancels');
  if (sku === '') refuse('sku', 'a stock code');
  if (!QUANTITY.test(quantity)) refuse('quantity', 'a whole number that is not 0');
  if (invoice.startsWith('C') && !quantity.startsWith('-')) {
    refuse('quantity', 'a negative number, as the invoice cancels');
  }
  if (country === '') refuse('country', 'a country');
  const price = PRICE.exec(values.unit_price_gbp);
  if (price === null) return refuse('unit_price_gbp', 'pounds with at most two decimals');
  const [, sign, pounds = '0', pence = ''] = price;
  // Local time of the shop. All of it is in December, when Europe/London keeps UTC.
  const invoicedAtMs = Date.parse(`${values.invoiced_at}Z`);
  if (!TIME.test(values.invoiced_at) || Number.isNaN(invoicedAtMs)) {
    refuse('invoiced_at', 'a time like 2010-12-01T08:26:00');
  }
  return {
    line,
    invoice,
    isCancellation: invoice.startsWith('C'),
    sku,
    description,
    quantity: Number(quantity),
    invoicedAtMs,
    unitPricePence: (sign === '-' ? -1 : 1) * (Number(pounds) * 100 + Number(pence.padEnd(2, '0'))),
    customerId: values.customer_id === '' ? undefined : values.customer_id,
    country,
  };
}

/**
 * The file, whether this module runs from its source or compiled into dist/, where no data is copied: the
 * nearest folder above this one that has bench/data.
 */
export function realOrdersFile(): URL {
  const file = 'bench/data/online-retail-2010-12.csv.gz';
  let folder = new URL('./', import.meta.url);
  for (;;) {
    const candidate = new URL(file, folder);
    if (existsSync(candidate)) return candidate;
    const parent = new URL('../', folder);
    if (parent.href === folder.href) {
      throw new Error(
        `${file} is in no folder above ${import.meta.url}; check out the whole project`,
      );
    }
    folder = parent;
  }
}

/**
 * All order lines of the gzipped file, in its order.
 * @throws Error that names the file, and the line where one is wrong.
 */
export async function readRealOrders(file: URL = realOrdersFile()): Promise<readonly OrderLine[]> {
  // pipeline (unlike pipe) hands a missing file's error on, and closes the file when the loop ends early.
  const text = pipeline(createReadStream(file), createGunzip(), () => {
    // The loop below meets every error as its own.
  });
  const lines: OrderLine[] = [];
  try {
    for await (const { line, values } of readCsvRecords(text, { required: COLUMNS })) {
      lines.push(parseOrderLine(line, values));
    }
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new Error(`cannot read ${file.pathname}: ${problem}`, { cause: error });
  }
  return lines;
}
