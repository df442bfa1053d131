/** `holdfast reserve|commit|release|availability`: the API by hand. */
import { Command } from 'commander';
import { CommandError, callApi, DEFAULT_URL, EXIT, printReply } from './api.ts';

const HELP = `
Exit codes:
  0  done
  1  refused, for example insufficient: the problem is on stdout
  2  the command line is wrong
  3  no engine answers, or it could not decide

Examples:
  $ holdfast reserve MUG                        one unit, wherever it is
  $ holdfast reserve MUG@LON:2 CUP:1 --key k1   two from LON and one of another; safe to repeat
  $ holdfast commit hf_512a...
  $ holdfast commit hf_512a... MUG:1            one of the two, the rest is freed
  $ holdfast availability MUG CUP`;

interface UrlOption {
  readonly url: string;
}

interface Item {
  readonly sku_id: string;
  readonly warehouse_id?: string;
  readonly quantity: number;
}

const ITEM = /^([A-Za-z0-9._:-]+?)(?:@([A-Za-z0-9._:-]+?))?(?::(\d+))?$/;

/** `SKU`, `SKU:2`, `SKU@WAREHOUSE`, `SKU@WAREHOUSE:2`; throws CommandError on anything else. */
export function parseItem(text: string): Item {
  const [, sku, warehouse, quantity = '1'] = ITEM.exec(text) ?? [];
  if (sku === undefined) {
    throw new CommandError(`"${text}" is no item; write SKU[@WAREHOUSE][:QUANTITY]`, EXIT.usage);
  }
  return {
    sku_id: sku,
    ...(warehouse !== undefined && { warehouse_id: warehouse }),
    quantity: Number(quantity),
  };
}

export function tryCommands(): Command[] {
  const command = (name: string, description: string): Command =>
    new Command(name)
      .description(description)
      .option('--url <url>', 'of the engine', process.env.HOLDFAST_URL ?? DEFAULT_URL)
      .addHelpText('after', HELP);
  return [
    command('reserve', 'take units under a deadline')
      .argument('<items...>', 'SKU[@WAREHOUSE][:QUANTITY]')
      .option('--key <key>', 'Idempotency-Key: the same again is the same reservation')
      .option('--ttl <seconds>', 'how long the hold lives')
      .option('--partial', 'take what there is')
      .action(reserve),
    command('commit', 'payment is good: make the hold final')
      .argument('<reservation>')
      .argument('[items...]', 'what becomes allocated; the rest is freed')
      .action(settle('commit')),
    command('release', 'give the units back')
      .argument('<reservation>')
      .argument('[items...]', 'a part of it (needs --key)')
      .option('--key <key>', 'Idempotency-Key of the part')
      .action(settle('release')),
    command('availability', 'what can be sold, and where')
      .argument('<skus...>')
      .action(availability),
  ];
}

async function reserve(
  items: readonly string[],
  options: UrlOption & { key?: string; ttl?: string; partial?: boolean },
): Promise<void> {
  const body = {
    items: items.map(parseItem),
    ...(options.ttl !== undefined && { ttl_seconds: Number(options.ttl) }),
    ...(options.partial === true && { mode: 'partial' }),
  };
  const path = '/api/v1/inventory/reserve';
  printReply(await callApi(options.url, 'POST', path, body, keyHeader(options.key)));
}

function settle(verb: 'commit' | 'release') {
  return async (
    id: string,
    items: readonly string[],
    options: UrlOption & { key?: string },
  ): Promise<void> => {
    const body = {
      reservation_id: id,
      ...(items.length > 0 && { lines: items.map(parseItem) }),
    };
    const path = `/api/v1/inventory/${verb}`;
    printReply(await callApi(options.url, 'POST', path, body, keyHeader(options.key)));
  };
}

function keyHeader(key: string | undefined): Record<string, string> {
  return key === undefined ? {} : { 'idempotency-key': key };
}

async function availability(skus: readonly string[], options: UrlOption): Promise<void> {
  const [only] = skus;
  if (skus.length === 1 && only !== undefined) {
    const path = `/api/v1/inventory/${encodeURIComponent(only)}/availability`;
    printReply(await callApi(options.url, 'GET', path));
    return;
  }
  const path = '/api/v1/inventory/availability';
  printReply(await callApi(options.url, 'POST', path, { sku_ids: skus }));
}
