/**
 * Two runs beside each other, phase by phase and fact by fact. Pure.
 *
 * What is judged: a number of which it is known which way is progress, and which is of enough
 * samples to mean something. The tail beyond p99 and what cost next to no CPU are shown, not judged.
 * What is judged and was not measured any more, in a scenario that both ran, is worse: it never came
 * to an end, or what should have measured it broke off.
 */
import type { Environment } from './environment.ts';
import { perSecond } from './phase.ts';
import type { BenchReport, ScenarioResult } from './run.ts';
import type { Phase } from './scenario.ts';

export interface Comparison {
  readonly before: RunName;
  readonly after: RunName;
  /** Why the two are not of the same machine and the same kind; empty: they are. */
  readonly unlike: readonly string[];
  /** What makes the numbers rough. */
  readonly warnings: readonly string[];
  readonly rows: readonly ComparedRow[];
  /** In one of them only: `hot-sku: rejections, p99`. */
  readonly gone: readonly string[];
  readonly added: readonly string[];
  /** Of those that are gone: judged before, in a scenario that both ran. They count as worse. */
  readonly lost: readonly string[];
  /** Scenarios of the second run that failed their audit, or broke off. */
  readonly failed: readonly string[];
  readonly worse: number;
  readonly better: number;
}

export interface RunName {
  readonly at: string;
  readonly commit: string;
}

export interface ComparedRow {
  readonly scenario: string;
  readonly what: string;
  readonly unit: string;
  readonly before: number;
  readonly after: number;
  /** After : before; NaN when before is 0. */
  readonly ratio: number;
  /** `shown`: not judged. */
  readonly change: 'better' | 'worse' | 'same' | 'shown';
}

interface Measured {
  readonly scenario: string;
  readonly what: string;
  readonly unit: string;
  readonly value: number;
  readonly better?: 'lower' | 'higher' | undefined;
}

/** CPU is counted in ticks of 10 ms: of less than this, a comparison would be of ticks. */
const CPU_US_MIN = 500_000;
/** As many answers as p99 needs to be of ten of them. */
const P99_ANSWERS_MIN = 1_000;

/** `tolerance`: 0.2 is a fifth more of what should be less, or a fifth less of what should be more. */
export function compareReports(
  before: BenchReport,
  after: BenchReport,
  tolerance: number,
): Comparison {
  const [old, now] = [measuredIn(before), measuredIn(after)];
  const rows = [...now].flatMap(([key, each]) => {
    const known = old.get(key);
    return known === undefined ? [] : [compareOne(known, each, tolerance)];
  });
  const count = (change: ComparedRow['change']): number =>
    rows.filter((row) => row.change === change).length;
  const gone = [...old.keys()].filter((key) => !now.has(key));
  const ranAgain = new Set(after.scenarios.map(({ name }) => name));
  const lost = gone.filter((key) => {
    const known = old.get(key);
    return known?.better !== undefined && ranAgain.has(known.scenario);
  });
  return {
    before: nameOf(before.environment),
    after: nameOf(after.environment),
    unlike: unlikeness(before, after),
    warnings: [...warningsOf('the first run', before), ...warningsOf('the second run', after)],
    rows,
    gone,
    added: [...now.keys()].filter((key) => !old.has(key)),
    lost,
    failed: failedIn(after),
    worse: count('worse') + lost.length,
    better: count('better'),
  };
}

function nameOf({ at, commit }: Environment): RunName {
  return { at, commit };
}

function compareOne(before: Measured, after: Measured, tolerance: number): ComparedRow {
  const { scenario, what, unit } = after;
  const ratio = before.value === 0 ? Number.NaN : after.value / before.value;
  // What one of the runs has too little of is judged in neither.
  const better = before.better === after.better ? after.better : undefined;
  const row = { scenario, what, unit, before: before.value, after: after.value, ratio };
  return { ...row, change: changeOf(ratio, better, tolerance) };
}

function changeOf(
  ratio: number,
  better: Measured['better'],
  tolerance: number,
): ComparedRow['change'] {
  if (better === undefined || Number.isNaN(ratio)) return 'shown';
  // How many times as bad it is.
  const times = better === 'lower' ? ratio : 1 / ratio;
  if (times > 1 + tolerance) return 'worse';
  return times < 1 / (1 + tolerance) ? 'better' : 'same';
}

/** By `scenario: what`. */
function measuredIn({ scenarios }: BenchReport): Map<string, Measured> {
  const all = scenarios.flatMap(measuredBy).filter(({ value }) => Number.isFinite(value));
  return new Map(all.map((each) => [`${each.scenario}: ${each.what}`, each]));
}

function measuredBy({ name, core, phases, facts }: ScenarioResult): Measured[] {
  return [
    ...measuredOfCore(core).map((each) => ({ scenario: name, ...each })),
    ...phases.flatMap(measuredInPhase).map((each) => ({ scenario: name, ...each })),
    ...facts.map(({ what, value, unit, better }) => ({
      ...{ scenario: name, what, unit, value },
      better,
    })),
  ];
}

/** A condition, which is judged no more than the cores' number; but it differs from hour to hour. */
function measuredOfCore(core: ScenarioResult['core']): Omit<Measured, 'scenario'>[] {
  if (core === undefined) return [];
  return [
    { what: 'a core: a multiplication', value: core.multiply_ns, unit: 'ns' },
    { what: 'a core: a load from 8 MB', value: core.load_8mb_ns, unit: 'ns' },
    { what: 'a core: a load from 64 MB', value: core.load_64mb_ns, unit: 'ns' },
  ];
}

function measuredInPhase(phase: Phase): Omit<Measured, 'scenario'>[] {
  const { load, rate, redisThreadUs, processes } = phase;
  if (load.answers === 0) return [];
  const { p50Ms, p99Ms, p999Ms, maxMs, count } = load.latency;
  // Without its rate: what a machine carried decides about that.
  const of = (what: string, value: number, unit: string, better?: Measured['better']) => ({
    ...{ what: `${phase.name}, ${what}`, value, unit },
    better,
  });
  const cpu = (name: string, us: number) =>
    of(`CPU of ${name}, an answer`, us / load.answers, 'us', us < CPU_US_MIN ? undefined : 'lower');
  return [
    of('answers', perSecond(phase), '/s', rate === undefined ? 'higher' : undefined),
    of('p50', p50Ms, 'ms', 'lower'),
    of('p99', p99Ms, 'ms', count < P99_ANSWERS_MIN ? undefined : 'lower'),
    of('p99.9', p999Ms, 'ms'),
    of('max', maxMs, 'ms'),
    cpu("Redis' thread", redisThreadUs),
    ...processes.flatMap(({ name, cpuUs, rssBytes }) =>
      name === 'load'
        ? []
        : [cpu(name, cpuUs), of(`resident, ${name}`, rssBytes / 2 ** 20, 'MB', 'lower')],
    ),
  ];
}

/** What must be alike for a number of the one to say anything about the other. */
function unlikeness(before: BenchReport, after: BenchReport): string[] {
  const conditions: readonly (keyof Environment)[] = [
    'cpu',
    'cores',
    'memory_gb',
    'limits',
    'clock',
    'governor',
    'redis',
    'redis_persistence',
    'postgres',
    'http',
  ];
  const pairs: [string, unknown, unknown][] = [
    ...conditions.map((name): [string, unknown, unknown] => [
      name,
      before.environment[name],
      after.environment[name],
    ]),
    // A report of before they were told has none.
    ['settings', before.environment.settings ?? 'none', after.environment.settings ?? 'none'],
    ['node', major(before.environment.node), major(after.environment.node)],
    ['quick', before.quick, after.quick],
    ['seed', before.seed, after.seed],
  ];
  return pairs
    .filter(([, a, b]) => a !== b)
    .map(([name, a, b]) => `${name}: ${String(a)}, then ${String(b)}`);
}

function major(version: string): string {
  return version.split('.')[0] ?? version;
}

function failedIn({ scenarios }: BenchReport): string[] {
  return scenarios.filter(({ audit }) => !audit.ok).map(({ name }) => name);
}

function warningsOf(which: string, report: BenchReport): string[] {
  const { environment, verdict } = report;
  const failed = failedIn(report);
  return [
    ...(environment.is_quiet
      ? []
      : [`${which} was on a machine that was not quiet (load ${environment.load_average})`]),
    ...(failed.length > 0 ? [`${which} failed its audit (${failed.join(', ')})`] : []),
    ...(verdict === 'interrupted' ? [`${which} was interrupted`] : []),
  ];
}
