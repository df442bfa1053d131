/** `holdfast bench`: what a reservation costs here, audited. */
import { Argument, Command } from 'commander';
import { type ReportFiles, writeReport } from '../../bench/report/write.ts';
import { renderReport } from '../../bench/report.ts';
import { type BenchReport, type RunOptions, runBench, type Verdict } from '../../bench/run.ts';
import type { Scenario } from '../../bench/scenario.ts';
import { SCENARIOS } from '../../bench/scenarios.ts';
import { EXIT } from './api.ts';
import { benchCapacityCommand } from './bench-capacity.ts';
import { benchCompareCommand } from './bench-compare.ts';
import { showProgress } from './bench-progress.ts';

/** 3 is a server that does not answer, in every command. */
const EXIT_THRESHOLD_MISSED = 4;
const EXIT_INTERRUPTED = 130;
const EXIT_CODES: Readonly<Record<Verdict, number>> = {
  ok: 0,
  audit_failed: EXIT.refused,
  threshold_missed: EXIT_THRESHOLD_MISSED,
};

const LIMITS: Readonly<Record<Scenario['runs'], string>> = {
  always: '',
  'unless quick': ' (not with --quick, unless it is named)',
  'when named': ' (only when it is named)',
};

const HELP = `
Scenarios:
${listScenarios()}

Servers are its own, on free ports with their data in a temporary directory; nothing that the environment
names is touched. Each scenario begins with an emptied Redis and a new database, and ends with an audit of
every unit. Absolute numbers are of this machine at this moment; ratios within a run are to be compared.
Progress is on stderr, the report on stdout.

Exit codes:
  0    every audit passed, and no ratio was worse than its threshold
  1    an audit failed, or a scenario broke off: the report says why
  2    the command line is wrong
  4    every audit passed, but a threshold was missed: the table says which
  130  interrupted; nothing is left running

Examples:
  $ npm run bench -- --quick                        half of them, short, to see that they work
  $ npm run bench -- hot-sku lane                   two, long enough to compare
  $ npm run bench -- --json run.json --html run.html --svg plots
  $ npm run bench -- compare before.json after.json
  $ npm run bench -- capacity run.json
  $ npm run bench -- peers --quick                  about two minutes on an idle machine; fetches
                                                    Medusa's packages (290 MB, once)`;

function listScenarios(): string {
  const width = Math.max(...SCENARIOS.map(({ name }) => name.length));
  return SCENARIOS.map(
    ({ name, about, runs }) => `  ${name.padEnd(width)}  ${about}${LIMITS[runs]}`,
  ).join('\n');
}

export function benchCommand(): Command {
  return new Command('bench')
    .description('measure what a reservation costs, and audit the result')
    .addArgument(
      new Argument('[scenarios...]', 'all the usual ones by default').choices(
        SCENARIOS.map(({ name }) => name),
      ),
    )
    .option('--quick', 'short phases: to see that it works, not to compare')
    .option('--seed <text>', 'what is drawn is drawn from this', 'holdfast')
    .option('--json <file>', 'write the whole report as JSON too')
    .option('--html <file>', 'write it as one HTML page with plots, which needs nothing else')
    .option('--svg <directory>', 'write each plot as an SVG')
    .addHelpText('after', HELP)
    .action(bench)
    .addCommand(benchCompareCommand())
    .addCommand(benchCapacityCommand());
}

interface BenchCommandOptions extends ReportFiles {
  readonly quick?: boolean;
  readonly seed: string;
}

async function bench(names: readonly string[], options: BenchCommandOptions): Promise<void> {
  const { quick = false, seed } = options;
  const scenarios = SCENARIOS.filter(({ name, runs }) =>
    names.length === 0
      ? runs === 'always' || (runs === 'unless quick' && !quick)
      : names.includes(name),
  );
  // What was started hangs on the end of this process (server-process.ts, serve-process.ts).
  const interrupt = (): void => process.exit(EXIT_INTERRUPTED);
  for (const signal of SIGNALS) process.once(signal, interrupt);
  try {
    const report = await runShown({ scenarios, quick, seed });
    process.stdout.write(renderReport(report));
    await writeReport(report, options);
    process.exitCode = EXIT_CODES[report.verdict];
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}

async function runShown(options: Omit<RunOptions, 'onProgress'>): Promise<BenchReport> {
  const shown = showProgress(options.scenarios.map(({ name }) => name));
  try {
    return await runBench({ ...options, onProgress: shown.onProgress });
  } finally {
    await shown.finish();
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
