/** The loop of the soak: draws a fault, runs it over the same stack, checks, until the time is up. */
import { FAULTS } from './catalogue.ts';
import type { Fault } from './fault.ts';
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

export interface SoakSum {
  readonly runs: number;
  readonly broken: number;
  readonly attempts: number;
}

const SHOPPERS_PER_SIDE = 6;
const RACES = 300;

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
  let [runs, broken, attempts] = [0, 0, 0];
  try {
    while (performance.now() < options.untilMs) {
      stack ??= await openStack(options);
      const fault = faults[Math.floor(options.random() * faults.length)];
      if (fault === undefined) throw new Error('there is no fault to draw from');
      const { seed, holdMs } = options;
      const of = { fault, stack, run: runs, seed, holdMs, races: RACES };
      const result = await runFault({ ...of, shoppersPerSide: SHOPPERS_PER_SIDE });
      runs += 1;
      attempts += result.record.attempts;
      if (options.results.take(result, stack)) {
        broken += 1;
        await stack.close();
        stack = undefined;
      } else {
        await makeWhole(stack);
      }
    }
  } finally {
    await stack?.close();
  }
  return { runs, broken, attempts };
}

async function openStack({ log, results, seed }: SoakOptions): Promise<FaultStack> {
  const logDirectory = results.beside(`logs-soak-${log}-${seed}`);
  const stack = await startFaultStack({ log, logDirectory });
  await results.writeConditions(stack);
  return stack;
}
