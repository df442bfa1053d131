/**
 * `npm run test:faults`: runs the catalogue, writes a line of JSON for each run, and says what was
 * found. HELP is the rest.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../../../deploy/local/paths.ts';
import { FAULTS, faultNamed } from './catalogue.ts';
import { installFaketime } from './clock.ts';
import { parseRecords, renderEvidence } from './evidence.ts';
import type { Fault } from './fault.ts';
import { openTestRun, Results, reasonOf, say } from './results.ts';
import { makeWhole, runFault } from './run-fault.ts';
import { type FaultStack, startFaultStack } from './stack.ts';

const HELP = `Usage: npm run test:faults -- [options]

Runs the catalogue of faults, each against a sale, and checks what clients were promised.

  --only <names>     these faults, comma separated (default: all)
  --runs <n>         runs of each fault (default 20)
  --seed <text>      makes what is random repeat (default: a fresh one, printed)
  --log <log>        embedded, kafka or both: half of the runs each (default both)
  --hold-ms <ms>     how long cuts, pauses and outages last (default 15000)
  --shoppers <n>     shoppers on each of the two sides (default 8)
  --races <n>        races in a run of commit_against_expiry (default 1000)
  --out <file>       results, one JSON object a line, appended (default .faults/results.jsonl)
  --evidence         write reconciler/EVIDENCE.md from all that stands in the results, at the end
                     (with --runs 0: only that)
  --list             print the catalogue

Exit codes: 0 every promise held; 1 one was broken; 2 a fault could not be run, with the reason on stderr.
`;

/** Beside the results, as `npm run soak` writes it. */
const SOAK_FILE = 'soak.jsonl';
const EXIT = { broken: 1, cannotRun: 2 } as const;

interface Options {
  readonly faults: readonly Fault[];
  readonly runs: number;
  readonly seed: string;
  readonly logs: readonly ('embedded' | 'kafka')[];
  readonly holdMs: number;
  readonly shoppers: number;
  readonly races: number;
  readonly results: Results;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      runs: { type: 'string', default: '20' },
      seed: { type: 'string' },
      log: { type: 'string', default: 'both' },
      'hold-ms': { type: 'string', default: '15000' },
      shoppers: { type: 'string', default: '8' },
      races: { type: 'string', default: '1000' },
      out: { type: 'string', default: '.faults/results.jsonl' },
      evidence: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return void process.stdout.write(HELP);
  if (values.list) return void process.stdout.write(listing());
  const options: Options = {
    faults: values.only === undefined ? FAULTS : values.only.split(',').map(faultNamed),
    runs: Number(values.runs),
    seed: values.seed ?? String(Date.now() % 1_000_000),
    logs: logsOf(values.log),
    holdMs: Number(values['hold-ms']),
    shoppers: Number(values.shoppers),
    races: Number(values.races),
    results: new Results(values.out),
  };
  if (options.runs > 0) await runCatalogue(options);
  if (values.evidence) writeEvidence(values.out);
}

function logsOf(log: string): readonly ('embedded' | 'kafka')[] {
  if (log === 'both') return ['embedded', 'kafka'];
  if (log === 'embedded' || log === 'kafka') return [log];
  throw new Error(`--log ${log}: say embedded, kafka or both`);
}

async function runCatalogue(options: Options): Promise<void> {
  say(`seed ${options.seed}`);
  openTestRun();
  if (options.faults.some(({ stack }) => stack?.hasClocks === true)) installFaketime(say);
  for (const fault of options.faults) {
    try {
      const broken = await runAll(fault, options);
      if (broken > 0) process.exitCode ??= EXIT.broken;
    } catch (error) {
      // The others can still be run; nothing is known of this one.
      process.exitCode = EXIT.cannotRun;
      say(`${fault.name} could not be run: ${reasonOf(error)}`);
    }
  }
}

function writeEvidence(results: string): void {
  const path = join(packageRoot(), 'reconciler/EVIDENCE.md');
  const soaks = join(dirname(results), SOAK_FILE);
  const lines = [results, soaks].filter(existsSync).map((file) => readFileSync(file, 'utf8'));
  // Of a soak only its sum: its runs are no runs of the catalogue.
  const records = lines.flatMap((text, i) =>
    parseRecords(text).filter(({ kind }) => i === 0 || kind === 'soak'),
  );
  writeFileSync(path, renderEvidence(records, FAULTS));
  say(`wrote ${path}`);
}

/** Returns how many runs broke a promise. */
async function runAll(fault: Fault, options: Options): Promise<number> {
  const why = fault.obstacle?.();
  if (why !== undefined) {
    say(`${fault.name} is skipped: ${why}`);
    options.results.write({ kind: 'skipped', fault: fault.name, why });
    return 0;
  }
  const logs = fault.logs ?? options.logs;
  let broken = 0;
  for (const [i, log] of logs.entries()) {
    const runs = Math.ceil((options.runs - i) / logs.length);
    broken += await runOver(fault, log, runs, options);
  }
  return broken;
}

async function runOver(
  fault: Fault,
  log: 'embedded' | 'kafka',
  runs: number,
  options: Options,
): Promise<number> {
  const { seed, holdMs, shoppers, races, results } = options;
  let stack: FaultStack | undefined;
  let broken = 0;
  try {
    for (let run = 0; run < runs; run++) {
      stack ??= await startStack(fault, log, options);
      const of = { fault, stack, run, seed, holdMs, races, shoppersPerSide: shoppers };
      const isBroken = results.take(await runFault(of), stack);
      if (isBroken) broken += 1;
      if (isBroken || fault.isFresh === true) {
        await end(fault, stack);
        stack = undefined;
      } else {
        await makeWhole(stack);
      }
    }
  } finally {
    if (stack !== undefined) await end(fault, stack);
  }
  return broken;
}

async function startStack(
  fault: Fault,
  log: 'embedded' | 'kafka',
  { results, seed }: Options,
): Promise<FaultStack> {
  // The level fsync is tried over one of the logs, and the usual flush each second over the other.
  const isFlushed = log === 'embedded' && fault.name !== 'disk_full';
  const logDirectory = results.beside(`logs-${fault.name}-${log}-${seed}`);
  const stack = await startFaultStack({ isFlushed, ...fault.stack, log, logDirectory });
  await results.writeConditions(stack);
  await fault.prepare?.(stack);
  return stack;
}

async function end(fault: Fault, stack: FaultStack): Promise<void> {
  await fault.cleanUp?.(stack).catch((error: unknown) => say(`${fault.name}: ${String(error)}`));
  await stack.close();
}

function listing(): string {
  return FAULTS.map(({ name, group, what, survives, because }) => {
    const why = because === undefined ? '' : ` (${because})`;
    return `${name} [${group}]\n  ${what}\n  survives: ${survives} and above${why}\n`;
  }).join('');
}

await main();
