/**
 * `npm run test:mutants`: plants one bug after another in a copy of the checkout and runs the tests
 * that should catch it. Exit code 0 when each was caught by a failing assertion, 1 when one was not,
 * 2 when nothing can be said (no report, a row of the table that does not fit). A mutant whose tests
 * fail without it counts as not caught.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import CliTable from 'cli-table3';
import { packageRoot } from '../../../deploy/local/paths.ts';
import { writeScripts } from '../../../lua/build.ts';
import { beginTestRun, clearTestRun } from '../test-run.ts';
import { type CheckoutCopy, copyCheckout } from './checkout-copy.ts';
import { type Mutant, MutantError, plant } from './mutant.ts';
import { MUTANTS } from './mutants.ts';
import { compile, runTests } from './trial.ts';
import { failures, judge, passedTests, type Verdict } from './verdict.ts';

const BASELINE_MS_MAX = 900_000;
const MUTANT_MS_MAX = 240_000;
const EXIT = { survived: 1, cannotSay: 2, interrupted: 130 } as const;

const HELP = `Usage: npm run test:mutants -- [names...] [--list] [--json]

Plants known bugs, one at a time, in a copy of the checkout, and shows which test catches each.

  names     only these mutants, or those whose name begins so
  --list    print the table without running anything
  --json    print the results as JSON

Exit codes: 0 each was caught; 1 one was not; 2 nothing can be said, with the reason on stderr.
`;

interface Result {
  readonly mutant: Mutant;
  readonly verdict: Verdict;
  readonly seconds: number;
}

/** The run cannot say anything; the message is all that is shown. */
class CannotSay extends Error {
  override readonly name = 'CannotSay';
}

const say = (text: string): void => void process.stderr.write(`mutants: ${text}\n`);

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      list: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const mutants = choose(positionals);
  if (values.list) {
    print(values.json ? mutants : listTable(mutants));
    return;
  }
  const copy = copyCheckout(packageRoot());
  process.once('exit', () => copy.remove());
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, endInterrupted);
  const results = await runAll(copy, mutants);
  print(values.json ? results.map(toJson) : resultTable(results));
  if (results.some(({ verdict }) => verdict.kind !== 'caught')) process.exitCode = EXIT.survived;
}

/** The listeners of `exit` end the test runner and remove the copy; its servers are ended here. */
function endInterrupted(): void {
  process.once('exit', clearServers);
  process.exit(EXIT.interrupted);
}

function choose(names: readonly string[]): readonly Mutant[] {
  if (names.length === 0) return MUTANTS;
  for (const name of names) {
    if (!MUTANTS.some((mutant) => mutant.name.startsWith(name))) {
      throw new CannotSay(`there is no mutant "${name}"; --list shows all`);
    }
  }
  return MUTANTS.filter((mutant) => names.some((name) => mutant.name.startsWith(name)));
}

async function runAll(copy: CheckoutCopy, mutants: readonly Mutant[]): Promise<Result[]> {
  say(`${mutants.length} bugs to plant; first the tests without any`);
  const knownErrors = await compile(copy.directory);
  if (knownErrors.length > 0) say(`the checkout itself has ${knownErrors.length} type errors`);
  const failing = await failingAnyway(copy, mutants);
  const results: Result[] = [];
  for (const mutant of mutants) {
    const start = performance.now();
    const unusable = mutant.tests.find((test) => failing.has(test));
    const verdict: Verdict =
      unusable === undefined
        ? await tryMutant(copy, mutant, new Set(knownErrors))
        : { kind: 'unclear', why: `${unusable} fails without any bug` };
    const seconds = (performance.now() - start) / 1_000;
    results.push({ mutant, verdict, seconds });
    say(`${mutant.name}: ${describe(verdict)} (${seconds.toFixed(1)} s)`);
  }
  return results;
}

/** Files with a test that fails without any bug: it would catch nothing. */
async function failingAnyway(copy: CheckoutCopy, mutants: readonly Mutant[]): Promise<Set<string>> {
  const files = [...new Set(mutants.flatMap(({ tests }) => tests))];
  const { report, isTimeOver, output } = await runTests(copy.directory, files, {
    bail: false,
    timeoutMs: BASELINE_MS_MAX,
  });
  if (report === undefined) {
    if (isTimeOver) clearServers();
    throw new CannotSay(`the tests without a bug left no report:\n${output}`);
  }
  const failed = failures(report, copy.directory);
  for (const { file, test, message } of failed) {
    say(`fails without any bug: ${file}: ${test}\n  ${message}`);
  }
  say(`without a bug, ${passedTests(report)} tests of ${files.length} files pass`);
  return new Set(failed.map(({ file }) => file));
}

async function tryMutant(
  copy: CheckoutCopy,
  mutant: Mutant,
  knownErrors: ReadonlySet<string>,
): Promise<Verdict> {
  const source = copy.read(mutant.file);
  copy.write(mutant.file, plant(mutant, source));
  try {
    regenerate(copy, mutant);
    const errors = (await compile(copy.directory)).filter((error) => !knownErrors.has(error));
    if (errors.length > 0) return { kind: 'unclear', why: `it does not compile: ${errors[0]}` };
    const first = await judgeTests(copy, mutant, true);
    // What failed first may be no assertion; another test may still say what is wrong.
    return first.kind === 'unclear' ? await judgeTests(copy, mutant, false) : first;
  } finally {
    copy.write(mutant.file, source);
    regenerate(copy, mutant);
  }
}

async function judgeTests(copy: CheckoutCopy, mutant: Mutant, bail: boolean): Promise<Verdict> {
  const { report, isTimeOver } = await runTests(copy.directory, mutant.tests, {
    bail,
    timeoutMs: MUTANT_MS_MAX,
  });
  if (!isTimeOver) return judge(report, copy.directory);
  clearServers();
  return { kind: 'unclear', why: `no end within ${MUTANT_MS_MAX / 1_000} s` };
}

function regenerate(copy: CheckoutCopy, mutant: Mutant): void {
  if (mutant.file.endsWith('.lua')) writeScripts(join(copy.directory, 'lua'));
}

/** A runner that was killed leaves its servers to the next run's beginning, so here is one. */
function clearServers(): void {
  clearTestRun(beginTestRun().directory);
}

function describe(verdict: Verdict): string {
  if (verdict.kind === 'caught') return `caught by ${verdict.by.file}`;
  return verdict.kind === 'survived' ? 'SURVIVED' : `UNCLEAR, ${verdict.why}`;
}

function toJson({ mutant, verdict, seconds }: Result): object {
  return {
    name: mutant.name,
    breaks: mutant.breaks,
    file: mutant.file,
    verdict: verdict.kind,
    ...(verdict.kind === 'caught' ? { caught_by: verdict.by } : {}),
    ...(verdict.kind === 'unclear' ? { why: verdict.why } : {}),
    seconds: Math.round(seconds * 10) / 10,
  };
}

function resultTable(results: readonly Result[]): string {
  const rows = results.map(({ mutant, verdict, seconds }) => [
    mutant.name,
    verdict.kind === 'caught' ? `${verdict.by.file}\n  ${verdict.by.test}` : describe(verdict),
    seconds.toFixed(1),
  ]);
  const caught = results.filter(({ verdict }) => verdict.kind === 'caught').length;
  const table = drawTable({ 'planted bug': 44, 'caught by': 84, s: 7 }, rows);
  return `${table}\n${caught} of ${results.length} caught`;
}

function listTable(mutants: readonly Mutant[]): string {
  const rows = mutants.map(({ name, breaks, file, tests }) => [
    name,
    `${breaks}\n(${file})`,
    tests.join('\n'),
  ]);
  return drawTable(
    { 'planted bug': 44, 'what it breaks': 56, 'tests that should catch it': 40 },
    rows,
  );
}

/** Columns with their widths in characters. */
function drawTable(columns: Readonly<Record<string, number>>, rows: string[][]): string {
  const table = new CliTable({
    head: Object.keys(columns),
    colWidths: Object.values(columns),
    wordWrap: true,
    style: { head: [], border: [] },
  });
  table.push(...rows);
  return table.toString();
}

function print(what: string | object): void {
  const text = typeof what === 'string' ? what : JSON.stringify(what, null, 2);
  process.stdout.write(`${text}\n`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof CannotSay || error instanceof MutantError)) throw error;
  say(error.message);
  process.exitCode = EXIT.cannotSay;
}
