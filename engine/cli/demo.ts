/** `holdfast demo`: a flash sale on the real stack over real orders, live, and its audit. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join, relative } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type DemoOptions, type FinishedDemo, runDemo } from '../../bench/demo/demo.ts';
import { createScreen, isColored } from '../../bench/demo/screen.ts';
import { tellReport, tellTryIt } from '../../bench/demo/words.ts';
import { defaultStackDirectory } from '../../deploy/local/paths.ts';
import type { LogChoice } from '../../deploy/local/stack.ts';
import { CommandError, EXIT } from './api.ts';
import { type TopologyOptions, withTopologyOptions } from './topology-options.ts';

const EXIT_INTERRUPTED = 130;
const PORT_PREFERRED = 7070;

const HELP = `
Starts Redis, PostgreSQL and Kafka in a directory of its own, which it wipes first, and the engine beside them;
stocks a shop from 10,000 real order lines, plays the real orders, and in the middle sells one SKU to a crowd that
abandons carts, retries and clicks twice. Then it audits, and the server goes on until Ctrl-C.
Progress is on stderr, the report on stdout. NO_COLOR=1 turns colours off.
REDIS_URL, DATABASE_URL and KAFKA_BROKERS name servers to use instead; they must be empty.

Exit codes:
  0    everything is right: nothing oversold, Redis = log = PostgreSQL
  1    something was oversold, differs, or was answered as it never should be
  2    the command line is wrong
  3    a server cannot be started, or did not answer
  130  interrupted before the report

Examples:
  $ npm run demo
  $ holdfast demo --once                                end after the report
  $ holdfast demo --once --json | jq .sale              one JSON object on stdout
  $ holdfast demo --log embedded --units 50 --shoppers 2000
  $ holdfast demo --sentinel --once                     on a Redis group and a PostgreSQL pair
  $ holdfast demo --seed 7                              the same crowd each time`;

interface CommandOptions extends TopologyOptions {
  readonly once?: boolean;
  readonly json?: boolean;
  readonly log: LogChoice;
  readonly port?: number;
  readonly seed: string;
  readonly shoppers: number;
  readonly units: number;
  readonly seconds: number;
  readonly dir: string;
}

export function demoCommand(): Command {
  return withTopologyOptions(new Command('demo'))
    .description('a flash sale on the real stack, over real orders, and the audit of it')
    .option('--once', 'end after the report instead of serving until Ctrl-C')
    .option('--json', 'print the report as one JSON object')
    .addOption(
      new Option('--log <log>', 'where the log lives: auto takes Kafka where it can be had')
        .choices(['auto', 'kafka', 'embedded'])
        .default('auto'),
    )
    .option(
      '--port <port>',
      `0 takes a free one (default: ${PORT_PREFERRED} if it is free)`,
      whole(0, 65_535),
    )
    .option('--seed <text>', 'which crowd comes', 'holdfast')
    .option('--shoppers <number>', 'how many want it', whole(1, 200_000), 20_000)
    .option('--units <number>', 'how many there are', whole(1, 1_000_000), 1_000)
    .option('--seconds <number>', 'within which the shoppers come', whole(1, 600), 12)
    .option('--dir <directory>', 'wiped at the start', join(defaultStackDirectory(), 'demo'))
    .addHelpText('after', HELP)
    .action(demo);
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

async function demo(command: CommandOptions): Promise<void> {
  const interrupted = new AbortController();
  // npm and the terminal may both hand on one Ctrl-C: further ones add nothing, the end is bounded.
  const interrupt = (): void => interrupted.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, interrupt);
  try {
    const finished = await perform(command, interrupted.signal);
    if (finished === undefined) return;
    await present(finished, command, interrupted.signal);
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
  }
}

/** Undefined: it was interrupted, and the exit code says so. */
async function perform(
  command: CommandOptions,
  signal: AbortSignal,
): Promise<FinishedDemo | undefined> {
  const { log, seed, shoppers, units, seconds, dir, sentinel, replicas } = command;
  const port = command.port ?? ((await isFree(PORT_PREFERRED)) ? PORT_PREFERRED : 0);
  const arrivalMs = seconds * 1_000;
  const options: DemoOptions = {
    log,
    seed,
    shoppers,
    units,
    port,
    directory: dir,
    arrivalMs,
    ...(sentinel !== undefined && { sentinel }),
    ...(replicas !== undefined && { replicas }),
  };
  try {
    return await runDemo(options, createScreen(process.stderr, process.env), signal);
  } catch (error) {
    if (signal.aborted) {
      process.stderr.write('interrupted; everything is stopped\n');
      process.exitCode = EXIT_INTERRUPTED;
      return undefined;
    }
    if (error instanceof CommandError || isBug(error)) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`The demo could not go on: ${reason}`, EXIT.unavailable);
  }
}

/** Those are ours, and a stack trace says more than an exit code. */
function isBug(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError;
}

async function present(
  { report, tryIt, system }: FinishedDemo,
  { once: isOnce, json }: CommandOptions,
  signal: AbortSignal,
): Promise<void> {
  try {
    if (!report.ok) process.exitCode = EXIT.refused;
    const words = tellReport(report, process.stdout.isTTY && isColored(process.env));
    process.stdout.write(json === true ? `${JSON.stringify(report, null, 2)}\n` : words);
    if (isOnce === true) return;
    const stackDirectory = relative(process.cwd(), tryIt.stackDirectory) || '.';
    process.stderr.write(tellTryIt({ ...tryIt, stackDirectory }));
    await Promise.race([untilAborted(signal), system.engine.ended]);
  } finally {
    await system.stop();
  }
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  try {
    probe.listen(port, '127.0.0.1');
    await once(probe, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    probe.close();
  }
}
