/** Runs scenarios on servers of its own, one after another, and judges what they found. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beginTestRun, clearTestRun, serverDirectory } from '../engine/testing/test-run.ts';
import { createBench, type OpenBench } from './bench.ts';
import { type Environment, readEnvironment } from './environment.ts';
import type { Scenario, ScenarioReport } from './scenario.ts';

export interface RunOptions {
  readonly scenarios: readonly Scenario[];
  /** Short phases: to see that it works, not to compare. */
  readonly quick: boolean;
  readonly seed: string;
  readonly onProgress: OnRunProgress;
  /** Where the run makes a directory of its own, gone at its end; a temporary one by default. */
  readonly parent?: string;
}

export type OnRunProgress = (progress: RunProgress) => void;

export type RunProgress =
  | { readonly kind: 'preparing'; readonly what: string }
  | { readonly kind: 'working'; readonly scenario: string; readonly what: string }
  | { readonly kind: 'done'; readonly scenario: string; readonly result: ScenarioResult };

export interface BenchReport {
  /** Changes when an older reader could not read it. */
  readonly format: typeof REPORT_FORMAT;
  readonly environment: Environment;
  readonly quick: boolean;
  readonly seed: string;
  readonly scenarios: readonly ScenarioResult[];
  readonly verdict: Verdict;
}

export interface ScenarioResult extends ScenarioReport {
  /** All of it, servers that it was the first to need included. */
  readonly took_s: number;
}

/** The worst of all scenarios: an audit that failed stands above a threshold that was missed. */
export type Verdict = 'ok' | 'audit_failed' | 'threshold_missed';

export const REPORT_FORMAT = 'holdfast-bench/1';

export async function runBench(options: RunOptions): Promise<BenchReport> {
  const { quick, seed, scenarios, onProgress } = options;
  const { directory, clear } = await ownDirectory(options.parent);
  const bench = await createBench({
    ...{ directory, quick, seed },
    onProgress: (what) => onProgress({ kind: 'preparing', what }),
  });
  try {
    const environment = await readConditions(bench);
    const results: ScenarioResult[] = [];
    for (const scenario of scenarios) {
      const result = await runOne(bench, scenario, onProgress);
      onProgress({ kind: 'done', scenario: scenario.name, result });
      results.push(result);
    }
    return {
      ...{ format: REPORT_FORMAT, environment, quick, seed },
      scenarios: results,
      verdict: verdictOf(results),
    };
  } finally {
    await bench.close();
    await clear();
  }
}

interface OwnDirectory {
  readonly directory: string;
  readonly clear: () => Promise<void>;
}

async function ownDirectory(parent: string | undefined): Promise<OwnDirectory> {
  if (parent !== undefined) {
    const directory = await mkdtemp(join(parent, 'bench-'));
    return { directory, clear: () => rm(directory, { recursive: true, force: true }) };
  }
  // As the tests do it: what a run that was killed has left, the next one ends and deletes.
  const run = beginTestRun();
  const clearNow = (): void => clearTestRun(run.directory);
  process.once('exit', clearNow);
  return {
    directory: serverDirectory(run, 'bench'),
    async clear() {
      process.off('exit', clearNow);
      clearNow();
    },
  };
}

async function readConditions(bench: OpenBench): Promise<Environment> {
  const { redis, pool, close } = await bench.openStores();
  try {
    return await readEnvironment(redis, pool, bench.directory);
  } finally {
    await close();
  }
}

/** One that breaks off has failed; the others run all the same. */
async function runOne(
  bench: OpenBench,
  scenario: Scenario,
  onProgress: OnRunProgress,
): Promise<ScenarioResult> {
  const { name } = scenario;
  const tell = (what: string): void => onProgress({ kind: 'working', scenario: name, what });
  const startMs = performance.now();
  const took = (report: ScenarioReport): ScenarioResult => ({
    ...report,
    took_s: Math.round((performance.now() - startMs) / 100) / 10,
  });
  tell('starts');
  try {
    return took(await bench.during({ onProgress: tell }, (own) => scenario.run(own)));
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return took(brokenOff(name, reason));
  }
}

function brokenOff(name: string, reason: string): ScenarioReport {
  const nothing = { phases: [], facts: [], series: [], budgets: [] };
  return { name, ...nothing, audit: { ok: false, words: [`it broke off: ${reason}`] } };
}

export function verdictOf(results: readonly ScenarioReport[]): Verdict {
  if (results.some(({ audit }) => !audit.ok)) return 'audit_failed';
  const budgets = results.flatMap((each) => each.budgets);
  const isMissed = budgets.some(({ isThreshold, isMet }) => isThreshold && !isMet);
  return isMissed ? 'threshold_missed' : 'ok';
}
