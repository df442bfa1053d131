/** `holdfast entry decode`: the bytes of a log entry, for people. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { decodeEntry } from '../events/entry-codec.ts';
import { CommandError, EXIT } from './api.ts';

const HELP = `
Reads hex or base64 from the argument, or from stdin when it is "-".

Exit codes:  0 decoded  2 these bytes are no entry

Examples:
  $ holdfast entry decode 0101000000...
  $ redis-cli --raw XREVRANGE 'hf:{0}:log' + - COUNT 1 | tail -n +3 | head -c -1 | base64 | \\
      holdfast entry decode -`;

export function entryCommand(): Command {
  const entry = new Command('entry').description('entries of the log');
  entry
    .command('decode')
    .description('print an entry as JSON')
    .argument('<bytes>', 'hex, base64, or - for stdin')
    .addHelpText('after', HELP)
    .action(decode);
  return entry;
}

function decode(argument: string): void {
  const text = (argument === '-' ? readFileSync(0, 'latin1') : argument).replace(/\s/g, '');
  const bytes = Buffer.from(text, /^([0-9a-f]{2})*$/i.test(text) ? 'hex' : 'base64');
  try {
    process.stdout.write(`${JSON.stringify(decodeEntry(bytes), hexOfBuffers, 2)}\n`);
  } catch (error) {
    throw new CommandError(
      `These ${bytes.length} bytes are no entry: ${String(error)}`,
      EXIT.usage,
    );
  }
}

function hexOfBuffers(this: unknown, key: string, value: unknown): unknown {
  const raw = (this as Record<string, unknown>)[key];
  return Buffer.isBuffer(raw) ? raw.toString('hex') : value;
}
