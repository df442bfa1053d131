/** The loop of the soak: draws a fault, runs it over the same stack, checks, until the time is up. */
import { FAULTS } from './catalogue.ts';
import type { Fault } from './fault.ts';
import type { RunRecord, SoakRecord } from './record.ts';
import type { Results } from './results.ts';
import { makeWhole, runFault } from './run-fault.ts';
import { type FaultStack, startFaultStack } from './stack.ts';

export interface SoakOptions {
  readonly untilMs: number;
  readonly seed: string;
  readonly random: () => number;
  readonly log: 'embedded' | 'kafka';
  readonly holdMs: number;
  readonly results: Results;
}

export type SoakSum = Pick<
  SoakRecord,
  | 'runs'
  | 'attempts'
  | 'acknowledged'
  | 'acknowledged_commits'
  | 'commits_lost'
  | 'oversold'
  | 'broken'
>;

const SHOPPERS_PER_SIDE = 6;

/** Faults that need nothing special of their stack. */
export function soakFaults(log: 'embedded' | 'kafka'): Fault[] {
  return FAULTS.filter(
    (fault) =>
      fault.stack === undefined &&
      fault.prepare === undefined &&
      fault.isFresh !== true &&
      fault.logs?.includes(log) !== false,
  );
}

export async function soak(options: SoakOptions): Promise<SoakSum> {
  const faults = soakFaults(options.log);
  let stack: FaultStack | undefined;
  const records: RunRecord[] = [];
  try {
    while (performance.now() < options.untilMs) {
      stack ??= await openStack(options);
      const fault = faults[Math.floor(options.random() * faults.length)];
      if (fault === undefined) throw new Error('there is no fault to draw from');
      const { seed, holdMs } = options;
      const of = { fault, stack, run: records.length, seed, holdMs };
      const result = await runFault({ ...of, shoppersPerSide: SHOPPERS_PER_SIDE });
      records.push(result.record);
      if (options.results.take(result, stack)) {
        await stack.close();
        stack = undefined;
      } else {
        await makeWhole(stack);
      }
    }
  } finally {
    await stack?.close();
  }
  return sumOf(records);
}

function sumOf(records: readonly RunRecord[]): SoakSum {
  const sum = (of: (record: RunRecord) => number) =>
    records.reduce((total, record) => total + of(record), 0);
  const count = (field: 'acknowledged' | 'lost', verb?: string) =>
    sum(({ levels }) =>
      levels
        .filter((level) => verb === undefined || level.verb === verb)
        .reduce((total, level) => total + level[field], 0),
    );
  return {
    runs: records.length,
    attempts: sum(({ attempts }) => attempts),
    acknowledged: count('acknowledged'),
    acknowledged_commits: count('acknowledged', 'commit'),
    commits_lost: count('lost', 'commit'),
    oversold: sum(({ oversold }) => oversold),
    broken: records.filter(({ violations }) => violations.length > 0).length,
  };
}

async function openStack({ log, results, seed }: SoakOptions): Promise<FaultStack> {
  const logDirectory = results.beside(`logs-soak-${log}-${seed}`);
  const stack = await startFaultStack({ log, logDirectory });
  await results.writeConditions(stack);
  return stack;
}
