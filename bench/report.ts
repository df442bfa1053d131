/** A run as text: conditions first, then what was measured, then the budgets. */
import type { BudgetRow } from './budgets.ts';
import { type Environment, renderEnvironment } from './environment.ts';
import type { Histogram } from './measure/engine-metrics.ts';
import { renderPeers } from './peers/report.ts';
import type { CommitLatencyReport } from './scenarios/commit-latency.ts';
import type { HotSkuReport, Phase } from './scenarios/hot-sku.ts';
import type { LaneReport } from './scenarios/lane.ts';
import type { PeersReport } from './scenarios/peers.ts';
import { table } from './table.ts';

export interface BenchReport {
  readonly environment: Environment;
  readonly quick: boolean;
  readonly lane?: LaneReport;
  readonly hot_sku?: HotSkuReport;
  readonly commit_latency?: CommitLatencyReport;
  readonly peers?: PeersReport;
  readonly budgets: readonly BudgetRow[];
  /** Audits passed, and no threshold was missed. */
  readonly ok: boolean;
}

export function renderReport(report: BenchReport): string {
  const parts = [renderEnvironment(report.environment)];
  if (report.lane !== undefined) parts.push(renderLane(report.lane));
  if (report.hot_sku !== undefined) parts.push(renderHotSku(report.hot_sku));
  if (report.commit_latency !== undefined) parts.push(renderCommitLatency(report.commit_latency));
  if (report.peers !== undefined) parts.push(renderPeers(report.peers));
  if (report.budgets.length > 0) parts.push(renderBudgets(report.budgets));
  const profiles = renderProfiles(report);
  if (profiles !== undefined) parts.push(profiles);
  return `${parts.join('\n\n')}\n`;
}

function renderLane({ reservations, rounds, lanes, peers }: LaneReport): string {
  const rows = lanes.map((each) => [
    each.case.name,
    us(each.us),
    each.rounds.map((round) => round.toFixed(2)).join(' '),
    each.batchMean.toFixed(0),
    each.bytes.toFixed(0),
  ]);
  const others = Object.entries(peers).map(([name, cost]) => [
    `${name}, a request each`,
    us(cost.us),
    cost.rounds.map((round) => round.toFixed(2)).join(' '),
    '1',
    '',
  ]);
  return [
    `Lane without HTTP: Redis CPU (main thread) of an accepted reservation, median of ${rounds} rounds of ${reservations}`,
    table(['', 'Redis CPU', 'rounds, us', 'batch', 'bytes'], [...rows, ...others]),
  ].join('\n');
}

function renderHotSku(report: HotSkuReport): string {
  const { closed, open, soldOut, empty, together, drain, checks, audit } = report;
  const phases = [closed, open, together, soldOut, empty].map(phaseRow);
  const head = ['', '/s', 'Redis CPU', 'engine CPU', 'load CPU', 'p50', 'p99', 'p99.9', 'max'];
  const others = checks.map(
    ({ generator, requestsPerSecond, errors }) =>
      `${generator} ${requestsPerSecond.toFixed(0)}/s${errors === 0 ? '' : `, ${errors} errors`}`,
  );
  const backlog = together.backlogEvents;
  return [
    `Hot SKU over HTTP: ${report.connections} connections, CPU in us an answer, latencies in ms`,
    '(closed loop: of the service alone; open loop: from the time at which a request was due)',
    table(head, phases),
    `The closed loop from other generators: ${others.join('; ')}`,
    `Batches of the closed loop: ${renderHistogram(closed.batches)}`,
    `Persister alone: ${drain.events} events in ${drain.seconds.toFixed(1)} s; it was ${backlog} events behind when the load at its side ended`,
    `Resident: engine ${megabytes(together.engineRssBytes)}, Redis ${megabytes(together.redisRssBytes)}`,
    `Audit: ${audit.ok ? 'passed' : 'FAILED'}: ${audit.answered} answers said reserved, the engine counted ${audit.counted}, ${audit.reserved} units are reserved, ${audit.reserved + audit.available} of ${audit.received} are there; ${audit.differences.length} differences between Redis, log and PostgreSQL`,
  ].join('\n');
}

function renderCommitLatency({ commits, replicas, fsync, levels }: CommitLatencyReport): string {
  const rows = levels.map(({ level, latency }) => {
    if (latency === undefined) return [level, 'not given', '', '', ''];
    const { p50Ms, p90Ms, p99Ms, maxMs } = latency;
    return [level, ...[p50Ms, p90Ms, p99Ms, maxMs].map((ms) => ms.toFixed(2))];
  });
  return [
    `Commit of one caller on an idle system, ms over HTTP: ${commits} at each level, in turns`,
    `(Redis with ${replicas} replicas; it tells of its disk by: ${fsync}; the log is embedded)`,
    table(['level', 'p50', 'p90', 'p99', 'max'], rows),
    ...levels.flatMap(({ lack }) => (lack === undefined ? [] : [lack])),
  ].join('\n');
}

function phaseRow(phase: Phase & { readonly rate?: number }): string[] {
  const { load, name } = phase;
  const { p50Ms, p99Ms, p999Ms, maxMs } = load.latency;
  return [
    phase.rate === undefined ? name : `${name}, ${phase.rate}/s`,
    (load.answers / load.seconds).toFixed(0),
    us(phase.redisUs),
    us(phase.engineUs),
    us(load.cpuUsPerRequest),
    ...[p50Ms, p99Ms, p999Ms, maxMs].map((ms) => ms.toFixed(2)),
  ];
}

export function renderHistogram({ count, sum, buckets }: Histogram): string {
  if (count === 0) return 'none';
  const shares = buckets
    .map(({ upTo, count: some }, i) => ({ from: (buckets[i - 1]?.upTo ?? 0) + 1, upTo, some }))
    .filter(({ some }) => some / count >= 0.005)
    .map(({ from, upTo, some }) => {
      const open = upTo === Number.POSITIVE_INFINITY;
      const range = open ? `over ${from - 1}` : upTo === from ? `${from}` : `${from}-${upTo}`;
      return `${range}: ${((100 * some) / count).toFixed(0)} %`;
    });
  return `mean ${(sum / count).toFixed(0)} operations; ${shares.join(', ')}`;
}

function renderBudgets(rows: readonly BudgetRow[]): string {
  const lines = rows.map(({ what, measured, unit, budget, isMet, isThreshold }) => [
    what,
    show(measured, unit),
    show(budget, unit),
    `${isMet ? 'met' : 'MISSED'}${isThreshold ? ' (decides)' : ''}`,
  ]);
  return `Budgets (design, section 12), and ratios within this run\n${table(['', 'measured', 'budget', ''], lines)}`;
}

/** Where a budget of Redis CPU is missed: where the time goes, a column for each case. */
function renderProfiles({ lane, hot_sku: hotSku, budgets }: BenchReport): string | undefined {
  const isMissed = (part: string): boolean =>
    budgets.some(({ what, isMet }) => !isMet && what.includes(part));
  const cases = [
    ...(lane?.lanes ?? []).map((each) => ({ name: each.case.name, profile: each.profile })),
    ...(hotSku === undefined ? [] : [{ name: 'over HTTP', profile: hotSku.closed.profile }]),
  ].filter(({ name }) => isMissed(name));
  if (cases.length === 0) return undefined;
  const whats = new Set(cases.flatMap(({ profile }) => profile.map(({ what }) => what)));
  const rows = [...whats].map((what) => [
    what,
    ...cases.map(({ profile }) => {
      const cost = profile.find((each) => each.what === what)?.us;
      return cost === undefined ? '' : cost.toFixed(2);
    }),
  ]);
  return [
    'A budget is missed, so: where Redis spends it, us a reservation by the clock (not by CPU)',
    table(['', ...cases.map(({ name }) => name)], rows),
  ].join('\n');
}

function us(value: number): string {
  return `${value.toFixed(2)} us`;
}

function show(value: number, unit: string): string {
  if (unit === 'x' || unit === 'goal') return value.toFixed(2);
  return `${value.toFixed(value >= 1_000 ? 0 : 2)} ${unit}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MB`;
}
