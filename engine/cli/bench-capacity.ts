/** `holdfast bench capacity`: how many cores and nodes a load needs, by what a run measured. */
import { Command } from 'commander';
import { type Load, planCapacity, renderCapacity } from '../../bench/capacity.ts';
import { CAPACITY_SCENARIOS, CapacityError, costOf } from '../../bench/capacity-cost.ts';
import { ReportError, readReport } from '../../bench/report/read.ts';
import { CommandError, EXIT } from './api.ts';

/** What deploy/CAPACITY.md plans for. */
const LOADS: readonly Load[] = [
  {
    name: 'a big shop',
    ...{ spike: 50_000, mean: 12_000, reads: 20_000 },
    ...{ liveHolds: 1_200_000, cells: 500_000_000 },
  },
  {
    name: '100K/s',
    ...{ spike: 100_000, mean: 12_000, reads: 20_000 },
    ...{ liveHolds: 1_200_000, cells: 500_000_000 },
  },
  {
    name: '1M/s',
    ...{ spike: 1_000_000, mean: 50_000, reads: 200_000 },
    ...{ liveHolds: 12_000_000, cells: 500_000_000 },
  },
];

const HELP = `
The runs must have measured ${CAPACITY_SCENARIOS.join(', ')}. deploy/CAPACITY.md says how to read the table.

Exit codes: 0 done; 2 the file is no report, or lacks a scenario

Example:
  $ npm run bench -- ${CAPACITY_SCENARIOS.join(' ')} --json run.json
  $ holdfast bench capacity run.json`;

export function benchCapacityCommand(): Command {
  return new Command('capacity')
    .description('cores, nodes and bytes for three loads, by the costs of a run')
    .argument('<reports...>', 'reports that --json wrote; of a scenario in several the last counts')
    .addHelpText('after', HELP)
    .action(capacity);
}

async function capacity(files: readonly string[]): Promise<void> {
  try {
    const cost = costOf(await Promise.all(files.map(readReport)));
    process.stdout.write(`${renderCapacity(LOADS.map((load) => planCapacity(cost, load)))}\n`);
  } catch (error) {
    if (!(error instanceof CapacityError || error instanceof ReportError)) throw error;
    throw new CommandError(error.message, EXIT.usage);
  }
}
