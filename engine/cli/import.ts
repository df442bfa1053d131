/** `holdfast stock import FILE.csv`: receives stock from a file, safe to run again. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { QUANTITY_MAX } from '../domain/cell.ts';
import { isId } from '../domain/ids.ts';
import { CsvError, readCsvRecords } from '../stock/csv.ts';
import { type ApiReply, CommandError, callApi, DEFAULT_URL, EXIT } from './api.ts';

const HELP = `
The file has a header line and the columns sku_id, warehouse_id, quantity and, optionally, unit_cost and
currency. The whole file is read and checked first, then products are made (when asked for), then it goes in pieces of ${1_000} lines, each all or
nothing and under a key made from the file's content: the same file again changes nothing. Warehouses must exist.

Exit codes:
  0  imported (or, with --dry-run, importable)
  1  refused, for example an unknown warehouse: the problem is on stderr
  2  the file or the command line is wrong, with the line
  3  no engine answers, or it could not decide: run it again

Examples:
  $ holdfast stock import opening.csv --create-products
  $ holdfast stock import opening.csv --dry-run --json`;

const PIECE_LINES = 1_000;
const PRODUCTS_AT_ONCE = 16;

interface ImportLine {
  readonly sku_id: string;
  readonly warehouse_id: string;
  readonly quantity: number;
  readonly unit_cost?: string;
  readonly currency?: string;
}

interface ImportOptions {
  readonly url: string;
  readonly createProducts?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export function importCommand(): Command {
  const stock = new Command('stock').description('stock from files');
  stock
    .command('import')
    .description('receive stock from a CSV file')
    .argument('<file>')
    .option('--url <url>', 'of the engine', process.env.HOLDFAST_URL ?? DEFAULT_URL)
    .option('--create-products', 'make products of unknown SKUs, named like the SKU')
    .option('--dry-run', 'check the file, send nothing')
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(importFile);
  return stock;
}

async function importFile(file: string, options: ImportOptions): Promise<void> {
  const content = await readFile(file).catch((error: unknown) => {
    throw new CommandError(`${file} cannot be read: ${String(error)}`, EXIT.usage);
  });
  const lines = await readLines(file, content);
  const digest = createHash('sha256').update(content).digest('hex').slice(0, 32);
  let replayed = 0;
  if (options.dryRun !== true) {
    if (options.createProducts === true) await createProducts(options.url, lines);
    for (let at = 0; at < lines.length; at += PIECE_LINES) {
      const piece = lines.slice(at, at + PIECE_LINES);
      const reply = await callApi(
        options.url,
        'POST',
        '/api/v1/stock/receive',
        { lines: piece, reference: { type: 'import', id: digest } },
        { 'idempotency-key': `import-${digest}-${at}` },
      );
      ensureDone(reply, `lines ${at + 2} to ${at + piece.length + 1} of ${file}`);
      if (reply.headers.get('idempotent-replayed') === 'true') replayed += piece.length;
      process.stderr.write(`${Math.min(at + PIECE_LINES, lines.length)} of ${lines.length}\n`);
    }
  }
  report(lines, replayed, options);
}

export async function readLines(file: string, content: Uint8Array): Promise<ImportLine[]> {
  const lines: ImportLine[] = [];
  const columns = {
    required: ['sku_id', 'warehouse_id', 'quantity'],
    optional: ['unit_cost', 'currency'],
  } as const;
  try {
    for await (const { line, values } of readCsvRecords([content], columns)) {
      const wrong = fault(values);
      if (wrong !== undefined) throw new CommandError(`${file}:${line}: ${wrong}`, EXIT.usage);
      lines.push({
        sku_id: values.sku_id,
        warehouse_id: values.warehouse_id,
        quantity: Number(values.quantity),
        ...(values.unit_cost && { unit_cost: values.unit_cost }),
        ...(values.currency && { currency: values.currency }),
      });
    }
  } catch (error) {
    if (error instanceof CsvError) throw new CommandError(`${file}: ${error.message}`, EXIT.usage);
    throw error;
  }
  if (lines.length === 0) throw new CommandError(`${file} has no lines to import`, EXIT.usage);
  return lines;
}

function fault(values: {
  sku_id: string;
  warehouse_id: string;
  quantity: string;
  unit_cost?: string | undefined;
}): string | undefined {
  for (const name of ['sku_id', 'warehouse_id'] as const) {
    if (!isId(values[name])) {
      return `${name} "${values[name]}" must be 1 to 64 characters of A-Z a-z 0-9 . _ : -`;
    }
  }
  const quantity = Number(values.quantity);
  if (!/^\d+$/.test(values.quantity) || quantity < 1 || quantity > QUANTITY_MAX) {
    return `quantity "${values.quantity}" must be a whole number from 1 to ${QUANTITY_MAX}`;
  }
  if (values.unit_cost && !/^\d{1,12}(\.\d{1,4})?$/.test(values.unit_cost)) {
    return `unit_cost "${values.unit_cost}" must be an amount with up to 4 decimals`;
  }
  return undefined;
}

async function createProducts(url: string, lines: readonly ImportLine[]): Promise<void> {
  const skus = [...new Set(lines.map(({ sku_id }) => sku_id))];
  for (let at = 0; at < skus.length; at += PRODUCTS_AT_ONCE) {
    await Promise.all(
      skus.slice(at, at + PRODUCTS_AT_ONCE).map(async (sku) => {
        const path = `/api/v1/products/${encodeURIComponent(sku)}`;
        ensureDone(await callApi(url, 'PUT', path, { name: sku }), `product ${sku}`);
      }),
    );
  }
}

function ensureDone(reply: ApiReply, what: string): void {
  if (reply.status < 300) return;
  const problem = JSON.stringify(reply.body, null, 2);
  throw new CommandError(
    `${what} refused (${reply.status}): ${problem}`,
    reply.status >= 500 ? EXIT.unavailable : EXIT.refused,
  );
}

function report(lines: readonly ImportLine[], replayed: number, options: ImportOptions): void {
  const units = lines.reduce((sum, { quantity }) => sum + quantity, 0);
  const summary = { lines: lines.length, units, replayed, dry_run: options.dryRun === true };
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(summary)}\n`);
    return;
  }
  const done = summary.dry_run ? 'would be received' : 'received';
  const again = replayed > 0 ? `, ${replayed} lines of which were there already` : '';
  process.stdout.write(`${units} units in ${lines.length} lines ${done}${again}\n`);
}
