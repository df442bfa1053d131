/** The costs that a capacity plan starts from, out of a run's report. Pure. */
import { type MeasuredCost, PROCESSES, type ProcessName } from './capacity.ts';
import { cpuUsPerAnswer } from './phase.ts';
import type { BenchReport, ScenarioResult } from './run.ts';
import type { ScenarioReport } from './scenario.ts';

/** The report lacks a scenario or a number of it; the message says which. */
export class CapacityError extends Error {
  override readonly name = 'CapacityError';
}

export const CAPACITY_SCENARIOS = ['full-pipeline', 'memory', 'availability-reads'] as const;

/** What `availability-reads` calls it. */
export const READS_PHASE = 'reads alone';
/** A reserve and its answer with their heads, and what TCP and IP add to each of their packets. */
const REQUEST_BYTES = 900;

/**
 * Throws CapacityError. The log is Kafka: that is what a plan of several nodes is for. A scenario that
 * several reports have counts as the last of them says.
 */
export function costOf(reports: readonly BenchReport[]): MeasuredCost {
  const all = reports.flatMap(({ scenarios }) => scenarios);
  const found = CAPACITY_SCENARIOS.map((wanted) => all.findLast(({ name }) => name === wanted));
  requireAll(found);
  const [pipeline, memory, reads] = found;
  const alone = reads?.phases.find(({ name }) => name === READS_PHASE);
  if (alone === undefined) throw lacks(reads, READS_PHASE);
  return {
    ...pipelineCost(pipeline),
    readUs: { engine: cpuUsPerAnswer(alone, 'engine'), redis: cpuUsPerAnswer(alone, 'redis') },
    memoryBytes: memoryCost(memory),
    requestBytes: REQUEST_BYTES,
  };
}

/** Of `full-pipeline`. Throws CapacityError. */
export function pipelineCost(
  pipeline: ScenarioReport | undefined,
): Pick<MeasuredCost, 'cpuUs' | 'storedBytes'> {
  const event = (name: ProcessName): number => fact(pipeline, `kafka: CPU of ${name} an event`);
  const cpuUs = Object.fromEntries(PROCESSES.map((name) => [name, event(name)]));
  return {
    cpuUs: cpuUs as MeasuredCost['cpuUs'],
    storedBytes: {
      // The same entries, which a trimmed stream has no more.
      kafka: fact(pipeline, 'embedded: bytes of the log an event'),
      postgres: fact(pipeline, 'kafka: bytes of PostgreSQL an event'),
    },
  };
}

/** Of `memory`. Throws CapacityError. */
export function memoryCost(memory: ScenarioReport | undefined): MeasuredCost['memoryBytes'] {
  return {
    cell: fact(memory, 'a cell'),
    liveHold: fact(memory, 'a live reservation of one line, id made'),
    tombstone: fact(memory, 'a tombstone, id made'),
    crowdedTombstone: fact(memory, 'a tombstone, id crowded'),
  };
}

/** All that is missing at once, and how to come by it: reports of several runs are read together. */
function requireAll(found: readonly (ScenarioResult | undefined)[]): void {
  const missing = CAPACITY_SCENARIOS.filter((_, i) => found[i] === undefined);
  if (missing.length === 0) return;
  throw new CapacityError(
    `the run has no scenario ${missing.join(', ')}: npm run bench -- ${missing.join(' ')} --json more.json, and name more.json too`,
  );
}

function fact(scenario: ScenarioReport | undefined, wanted: string): number {
  const found = scenario?.facts.find(({ what }) => what === wanted);
  if (found !== undefined && Number.isFinite(found.value)) return found.value;
  throw lacks(scenario, wanted);
}

/** One that broke off has nothing, and its audit says why. */
function lacks(scenario: ScenarioReport | undefined, wanted: string): CapacityError {
  const [reason = 'its audit failed'] = scenario?.audit.words[0]?.split('\n') ?? [];
  const why = scenario?.audit.ok === false ? `: ${reason}` : '';
  return new CapacityError(`${scenario?.name ?? 'the run'} did not measure "${wanted}"${why}`);
}
