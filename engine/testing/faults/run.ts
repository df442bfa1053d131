/**
 * `npm run test:faults`: runs the catalogue, writes a line of JSON for each run, and says what was
 * found. HELP is the rest.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../../../deploy/local/paths.ts';
import { ofLastBuild } from './builds.ts';
import { FAULTS, faultNamed } from './catalogue.ts';
import { installFaketime } from './clock.ts';
import { parseRecords, renderEvidence } from './evidence.ts';
import type { Fault } from './fault.ts';
import type { RaceCount } from './race-count.ts';
import { RACE_STACK, runRaces } from './races.ts';
import { openTestRun, Results, reasonOf, say, shown } from './results.ts';
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
  --races <n>        no faults, but so many races of a commit against the expiry of its hold, half over each log
  --racers <n>       who race at once (default 6000)
  --out <file>       results, one JSON object a line, appended (default .faults/results.jsonl)
  --evidence         write reconciler/EVIDENCE.md from what stands in the results of the build that wrote
                     the last line, at the end (with --runs 0: only that)
  --all-builds       with --evidence: of all builds; the page says so
  --list             print the catalogue

Exit codes: 0 every promise held; 1 one was broken; 2 a fault could not be run, with the reason on stderr.
`;

/** Races between two looks at the stores. */
const RACES_A_ROUND = 50_000;
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
  readonly racers: number;
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
      races: { type: 'string', default: '0' },
      racers: { type: 'string', default: '6000' },
      out: { type: 'string', default: '.faults/results.jsonl' },
      evidence: { type: 'boolean', default: false },
      'all-builds': { type: 'boolean', default: false },
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
    racers: Number(values.racers),
    results: new Results(values.out),
  };
  if (options.races > 0) await runAllRaces(options);
  else if (options.runs > 0) await runCatalogue(options);
  if (values.evidence) writeEvidence(values.out, values['all-builds']);
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

function writeEvidence(results: string, isOfAllBuilds: boolean): void {
  const path = join(packageRoot(), 'reconciler/EVIDENCE.md');
  const soaks = join(dirname(results), SOAK_FILE);
  const lines = [results, soaks].filter(existsSync).map((file) => readFileSync(file, 'utf8'));
  // Of a soak only its sum: its runs are no runs of the catalogue.
  const records = lines.flatMap((text, i) =>
    parseRecords(text).filter(({ kind }) => i === 0 || kind === 'soak'),
  );
  const { taken, commit } = isOfAllBuilds
    ? { taken: records, commit: 'any' }
    : ofLastBuild(records);
  const left = records.length - taken.length;
  if (left > 0) say(`taking the lines of commit ${commit}; ${left} of other builds are left out`);
  writeFileSync(path, renderEvidence(taken, FAULTS));
  say(`wrote ${path}`);
}

async function runAllRaces(options: Options): Promise<void> {
  const { seed, logs, racers, results } = options;
  say(`seed ${seed}`);
  openTestRun();
  for (const log of logs) {
    const logDirectory = results.beside(`logs-races-${log}-${seed}`);
    const stack = await startFaultStack({ ...RACE_STACK, log, logDirectory });
    try {
      await results.writeConditions(stack);
      const races = Math.ceil(options.races / logs.length);
      const onRound = (count: RaceCount): void =>
        say(`races over ${log}: ${JSON.stringify(count)}`);
      const of = { stack, seed, races, racers, roundOf: RACES_A_ROUND, onRound };
      const record = await runRaces(of);
      results.write(record);
      say(`races over ${log}: ${record.seconds} s, violations ${record.violations.length}`);
      for (const violation of shown(record.violations)) say(`  ${violation}`);
      if (record.violations.length > 0) process.exitCode = EXIT.broken;
    } finally {
      await stack.close();
    }
  }
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
  const { seed, holdMs, shoppers, results } = options;
  let stack: FaultStack | undefined;
  let broken = 0;
  try {
    for (let run = 0; run < runs; run++) {
      stack ??= await startStack(fault, log, options);
      const of = { fault, stack, run, seed, holdMs, shoppersPerSide: shoppers };
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
