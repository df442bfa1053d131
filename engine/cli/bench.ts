/** `holdfast bench`: what a reservation costs here, audited. */
import { Argument, Command } from 'commander';
import { wordsOnDuration } from '../../bench/durations.ts';
import { type ReportFiles, writeReport } from '../../bench/report/write.ts';
import { renderReport } from '../../bench/report.ts';
import {
  type BenchReport,
  InterruptedError,
  type RunOptions,
  runBench,
  type Verdict,
} from '../../bench/run.ts';
import type { Scenario } from '../../bench/scenario.ts';
import { SCENARIOS } from '../../bench/scenarios.ts';
import { EXIT } from './api.ts';
import { benchCapacityCommand } from './bench-capacity.ts';
import { benchCompareCommand } from './bench-compare.ts';
import { showProgress } from './bench-progress.ts';

/** With what the last scenario takes longer than it should, within three minutes. */
const QUICK_SECONDS_MAX = 165;
/** 3 is a server that does not answer, in every command. */
const EXIT_THRESHOLD_MISSED = 4;
const EXIT_INTERRUPTED = 130;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const EXIT_CODES: Readonly<Record<Verdict, number>> = {
  ok: 0,
  audit_failed: EXIT.refused,
  threshold_missed: EXIT_THRESHOLD_MISSED,
  interrupted: EXIT_INTERRUPTED,
};

const WHEN_IT_RUNS: Readonly<Record<Scenario['runs'], string>> = {
  always: '',
  'unless quick': ' (not with --quick, unless it is named)',
  'when named': ' (only when it is named)',
};

const HELP = `
Scenarios:
${listScenarios()}

Servers are its own, on free ports with their data in a temporary directory; no server that the environment
names is touched. HOLDFAST_... settings of the shell do apply, and the report has them as a condition. Each
scenario begins with an emptied Redis and a new database, and ends with an audit of every unit. Absolute numbers
are of this machine at this moment; ratios within a run are to be compared.
Progress is on stderr, the report on stdout.

Exit codes:
  0    every audit passed, and no ratio was worse than its threshold
  1    an audit failed, or a scenario broke off: the report says why
  2    the command line is wrong
  4    every audit passed, but a threshold was missed: the table says which
  130  interrupted; what was finished by then is printed and written, and nothing is left running
Files are written after each scenario, so that a run that was killed leaves those that were finished.

Examples:
  $ npm run bench -- --quick                        short, to see that they work; three minutes, and
                                                    what finds no time in them is named
  $ npm run bench                                   all but the guard, the peers with it
  $ npm run bench -- hot-sku lane                   two, long enough to compare
  $ npm run bench -- --json run.json --html run.html --svg plots
  $ npm run bench -- --report bench/results         the report that is committed, and its plots
  $ npm run bench -- compare before.json after.json
  $ npm run bench -- capacity run.json
  $ npm run bench -- peers --quick                  about two minutes on an idle machine; fetches
                                                    Medusa's packages (290 MB, once)`;

function listScenarios(): string {
  const width = Math.max(...SCENARIOS.map(({ name }) => name.length));
  return SCENARIOS.map(
    ({ name, about, runs }) => `  ${name.padEnd(width)}  ${about}${WHEN_IT_RUNS[runs]}`,
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
    .option('--report <directory>', 'write all three there: report.json, report.html, plots/')
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
  const isUsual = names.length === 0;
  const scenarios = SCENARIOS.filter(({ name, runs }) =>
    isUsual ? runs === 'always' || (runs === 'unless quick' && !quick) : names.includes(name),
  );
  const bound = isUsual && quick ? { secondsMax: QUICK_SECONDS_MAX } : {};
  const interruption = new AbortController();
  const { signal } = interruption;
  // What was started hangs on the end of this process (server-process.ts, serve-process.ts).
  const interrupt = (): void => {
    if (signal.aborted) process.exit(EXIT_INTERRUPTED);
    interruption.abort();
  };
  for (const each of SIGNALS) process.on(each, interrupt);
  try {
    if (!quick) process.stderr.write(`${wordsOnDuration(scenarios)}\n`);
    const onFinished = (soFar: BenchReport): Promise<void> => writeReport(soFar, options);
    const report = await runShown({ scenarios, quick, seed, signal, onFinished, ...bound });
    // Where a pipe was interrupted with us, its reader is gone: the files do not depend on it.
    if (signal.aborted) await writeReport(report, options);
    process.stdout.write(renderReport(report));
    process.stdout.write(wordsOnLeftOut(isUsual ? SCENARIOS : scenarios, report));
    if (!signal.aborted) await writeReport(report, options);
    process.exitCode = EXIT_CODES[report.verdict];
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
  } finally {
    for (const each of SIGNALS) process.off(each, interrupt);
  }
  if (signal.aborted) process.exit(EXIT_INTERRUPTED);
}

/** What was not run, and how it is. */
export function wordsOnLeftOut(
  wanted: readonly Scenario[],
  {
    scenarios,
    leftOut = [],
    quick,
    verdict,
  }: Pick<BenchReport, 'scenarios' | 'leftOut' | 'quick' | 'verdict'>,
): string {
  const names = wanted.map(({ name }) => name);
  const apart = names.filter(
    (name) => ![...scenarios.map((each) => each.name), ...leftOut].includes(name),
  );
  const option = quick ? ' --quick' : '';
  const why = verdict === 'interrupted' ? 'The interruption left out' : 'No time was left for';
  const words = [
    ...(leftOut.length > 0
      ? [`${why} ${leftOut.join(', ')}: npm run bench -- ${leftOut.join(' ')}${option}`]
      : []),
    ...(apart.length > 0
      ? [`Run apart from these: npm run bench -- ${apart.join(' ')}${option}`]
      : []),
  ];
  return words.map((each) => `${each}\n`).join('');
}

async function runShown(options: Omit<RunOptions, 'onProgress'>): Promise<BenchReport> {
  const shown = showProgress(options.scenarios.map(({ name }) => name));
  try {
    return await runBench({ ...options, onProgress: shown.onProgress });
  } finally {
    await shown.finish();
  }
}
