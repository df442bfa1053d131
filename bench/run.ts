/** Runs scenarios on servers of its own, one after another, and judges what they found. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beginTestRun, clearTestRun, serverDirectory } from '../engine/testing/test-run.ts';
import { createBench, type OpenBench } from './bench.ts';
import { type Environment, readEnvironment } from './environment.ts';
import { type CoreSpeed, readCoreSpeed } from './measure/core-speed.ts';
import type { Scenario, ScenarioReport } from './scenario.ts';

export interface RunOptions {
  readonly scenarios: readonly Scenario[];
  /** Short phases: to see that it works, not to compare. */
  readonly quick: boolean;
  readonly seed: string;
  /** No scenario begins that would likely end later; those are left out, and named. */
  readonly secondsMax?: number;
  readonly onProgress: OnRunProgress;
  /** What is finished, after each scenario but the last: a run that is killed loses no more. */
  readonly onFinished?: (report: BenchReport) => Promise<void>;
  /** Where the run makes a directory of its own, gone at its end; a temporary one by default. */
  readonly parent?: string;
  /**
   * Aborted: what is finished is reported at once, and the scenario that runs is given up. What was
   * started is closed behind the report, and ends with this process at the latest.
   */
  readonly signal?: AbortSignal;
}

export type OnRunProgress = (progress: RunProgress) => void;

export type RunProgress =
  | { readonly kind: 'preparing'; readonly what: string }
  | { readonly kind: 'working'; readonly scenario: string; readonly what: string }
  | { readonly kind: 'done'; readonly scenario: string; readonly result: ScenarioResult }
  | { readonly kind: 'left out'; readonly scenario: string };

export interface BenchReport {
  /** Changes when an older reader could not read it. */
  readonly format: typeof REPORT_FORMAT;
  readonly environment: Environment;
  readonly quick: boolean;
  readonly seed: string;
  readonly scenarios: readonly ScenarioResult[];
  /** For which there was no time, or which an interruption came before. */
  readonly leftOut?: readonly string[];
  readonly verdict: Verdict;
}

export interface ScenarioResult extends ScenarioReport {
  /** All of it, servers that it was the first to need included. */
  readonly took_s: number;
  /** When it began; missing in reports of before it was told. */
  readonly core?: CoreSpeed;
}

/**
 * The worst of all scenarios: an audit that failed stands above a threshold that was missed. An
 * interrupted run has none; each of its scenarios says how its own audit ended.
 */
export type Verdict = 'ok' | 'audit_failed' | 'threshold_missed' | 'interrupted';

/** Interrupted before there was anything to report. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}

export const REPORT_FORMAT = 'holdfast-bench/1';

/** Rejects with InterruptedError when it is interrupted before the conditions are known. */
export async function runBench(options: RunOptions): Promise<BenchReport> {
  const { quick, seed, signal } = options;
  const { directory, clear } = await ownDirectory(options.parent);
  const bench = await createBench({
    ...{ directory, quick, seed },
    onProgress: (what) => options.onProgress({ kind: 'preparing', what }),
  });
  const close = async (): Promise<void> => {
    try {
      await bench.close();
    } finally {
      await clear();
    }
  };
  try {
    return await runAll(bench, options, interruptionOf(signal));
  } finally {
    const closing = close();
    // What servers say of their end is no reason to lose what was measured, and ends with us at the
    // latest. Whoever interrupts does not wait for them.
    const closed = closing.catch((error: unknown) => {
      options.onProgress({ kind: 'preparing', what: `the servers did not stop: ${String(error)}` });
    });
    if (signal?.aborted !== true) await closed;
  }
}

async function runAll(
  bench: OpenBench,
  options: RunOptions,
  interruption: Promise<undefined>,
): Promise<BenchReport> {
  const { quick, seed, scenarios, secondsMax = Number.POSITIVE_INFINITY, onProgress } = options;
  const startMs = performance.now();
  const environment = await Promise.race([readConditions(bench), interruption]);
  if (environment === undefined) throw new InterruptedError('interrupted before it began');
  const results: ScenarioResult[] = [];
  const leftOut: string[] = [];
  let isInterrupted = false;
  const head = { format: REPORT_FORMAT, environment, quick, seed } as const;
  for (const [i, scenario] of scenarios.entries()) {
    const passedS = (performance.now() - startMs) / 1_000;
    if (isInterrupted || !hasTime(secondsMax - passedS, results)) {
      if (!isInterrupted) onProgress({ kind: 'left out', scenario: scenario.name });
      leftOut.push(scenario.name);
      continue;
    }
    const result = await Promise.race([runOne(bench, scenario, onProgress), interruption]);
    if (result === undefined) {
      isInterrupted = true;
      leftOut.push(scenario.name);
      continue;
    }
    onProgress({ kind: 'done', scenario: scenario.name, result });
    results.push(result);
    const rest = scenarios.slice(i + 1).map(({ name }) => name);
    if (rest.length === 0) continue;
    await handOn(options, {
      ...head,
      ...{ scenarios: [...results], leftOut: [...leftOut, ...rest], verdict: 'interrupted' },
    });
  }
  return {
    ...head,
    scenarios: results,
    ...(leftOut.length > 0 && { leftOut }),
    verdict: isInterrupted ? 'interrupted' : verdictOf(results),
  };
}

/** A disk that takes no report is no reason to measure no further. */
async function handOn({ onFinished, onProgress }: RunOptions, soFar: BenchReport): Promise<void> {
  try {
    await onFinished?.(soFar);
  } catch (error) {
    onProgress({ kind: 'preparing', what: `what is finished was not written: ${String(error)}` });
  }
}

/** Resolves when the signal is aborted; without one, never. */
function interruptionOf(signal: AbortSignal | undefined): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve(undefined);
    else signal?.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}

/** A machine that was slow so far is slow from now on: the next takes as long as the longest did. */
function hasTime(leftS: number, results: readonly ScenarioResult[]): boolean {
  return leftS > Math.max(0, ...results.map((each) => each.took_s));
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
  const core = readCoreSpeed();
  const startMs = performance.now();
  const took = (report: ScenarioReport): ScenarioResult => ({
    ...report,
    core,
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
