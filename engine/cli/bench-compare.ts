/** `holdfast bench compare`: whether a run is worse than another. */
import { writeFile } from 'node:fs/promises';
import { Command, InvalidArgumentError } from 'commander';
import { compareReports } from '../../bench/compare.ts';
import { renderComparison, renderComparisonHtml } from '../../bench/report/comparison.ts';
import { ReportError, readReport } from '../../bench/report/read.ts';
import type { BenchReport } from '../../bench/run.ts';
import { CommandError, EXIT } from './api.ts';

const TOLERANCE_PERCENT = 20;

const HELP = `
Judged are the numbers of which the report says which way is progress: rates of closed loops, p50 and p99, CPU of
each process an answer, memory, and the scenarios' own facts. The tail beyond p99, and what is of too few samples,
is shown and not judged. What is judged and was not measured any more, in a scenario that both ran, is worse: it
never came to its end, or the scenario broke off. Runs of unlike machines, versions or sizes are refused, unless --force is given.

Exit codes:
  0  nothing got worse by more than the tolerance
  1  something did, or an audit of the second run failed: the table and its notes say what
  2  a file is no report, or the two are unlike

Examples:
  $ npm run bench -- hot-sku --json before.json      on the commit before, then again on this one
  $ holdfast bench compare before.json after.json
  $ holdfast bench compare before.json after.json --only-changes --html compare.html`;

interface CompareOptions {
  readonly tolerance: number;
  readonly html?: string;
  readonly onlyChanges?: boolean;
  readonly force?: boolean;
}

export function benchCompareCommand(): Command {
  return new Command('compare')
    .description('two runs beside each other: what got better, what got worse')
    .argument('<before>', 'a report that --json wrote')
    .argument('<after>', 'another one')
    .option('--tolerance <percent>', 'how much worse is still the same', percent, TOLERANCE_PERCENT)
    .option('--only-changes', 'print what got better or worse alone')
    .option('--html <file>', 'write the comparison as one HTML page too')
    .option('--force', 'compare what is unlike')
    .addHelpText('after', HELP)
    .action(compare);
}

async function compare(before: string, after: string, options: CompareOptions): Promise<void> {
  const { tolerance, html, onlyChanges = false, force = false } = options;
  const comparison = compareReports(await read(before), await read(after), tolerance / 100);
  if (comparison.unlike.length > 0 && !force) {
    const differences = comparison.unlike.map((each) => `  ${each}`).join('\n');
    throw new CommandError(
      `these runs say nothing about each other (--force compares them all the same):\n${differences}`,
      EXIT.usage,
    );
  }
  process.stdout.write(renderComparison(comparison, onlyChanges));
  if (html !== undefined) await writeFile(html, renderComparisonHtml(comparison));
  const { worse, failed } = comparison;
  if (worse > 0 || failed.length > 0) process.exitCode = EXIT.refused;
}

async function read(path: string): Promise<BenchReport> {
  try {
    return await readReport(path);
  } catch (error) {
    if (error instanceof ReportError) throw new CommandError(error.message, EXIT.usage);
    throw error;
  }
}

function percent(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value <= 1_000) return value;
  throw new InvalidArgumentError('It must be a number of percent from 0 to 1000.');
}
