/** `holdfast bench`: what a reservation costs here, audited. */
import { writeFile } from 'node:fs/promises';
import { Argument, Command } from 'commander';
import { renderReport } from '../../bench/report.ts';
import { runBench, SCENARIOS, type ScenarioName } from '../../bench/run.ts';

const HELP = `
Scenarios:
  lane     reserves in batches of 128 and 512 without HTTP: CPU of Redis, beside bare scripts
  hot-sku  one SKU over HTTP: throughput, latency at a fixed rate, CPU of engine and Redis, rejections,
           the persister alone and at work, and the audit of every unit
  commit-latency
           one caller's commit at each durability level, on a Redis group with Sentinels
  peers    what one would otherwise pick, behind the same server, under the same load and audit; only when it
           is named, because it fetches Medusa's packages (290 MB, once)
Servers are its own, on free ports with their data in a temporary directory; nothing that the environment
names is touched. Absolute numbers are of this machine at this moment; ratios within a run are to be compared.

Exit codes:
  0  the audit passed and no ratio was worse than its threshold
  1  an audit of ours failed, or a threshold was missed: the table says which
  2  the command line is wrong

Examples:
  $ npm run bench                           all but peers, about four minutes
  $ npm run bench -- lane --quick           see that it works
  $ npm run bench -- hot-sku --json run.json
  $ npm run bench -- peers --quick          about two minutes on an idle machine`;

export function benchCommand(): Command {
  return new Command('bench')
    .description('measure what a reservation costs, and audit the result')
    .addArgument(new Argument('[scenarios...]', 'all but peers by default').choices(SCENARIOS))
    .option('--quick', 'short phases: to see that it works, not to compare')
    .option('--json <file>', 'write the whole report as JSON too')
    .addHelpText('after', HELP)
    .action(bench);
}

async function bench(
  names: readonly string[],
  options: { readonly quick?: boolean; readonly json?: string },
): Promise<void> {
  const chosen = SCENARIOS.filter((name: ScenarioName) =>
    names.length === 0 ? name !== 'peers' : names.includes(name),
  );
  const report = await runBench({
    scenarios: chosen,
    quick: options.quick === true,
    onProgress: (what) => process.stderr.write(`${what} ...\n`),
  });
  process.stdout.write(renderReport(report));
  if (options.json !== undefined) {
    await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
  }
  if (!report.ok) process.exitCode = 1;
}
