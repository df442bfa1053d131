/** A run as text: conditions first, then scenario by scenario, then the budgets. */
import type { BudgetRow } from './budgets.ts';
import { renderEnvironment } from './environment.ts';
import { renderCoreSpeed } from './measure/core-speed.ts';
import type { Histogram } from './measure/engine-metrics.ts';
import { cpuUsPerAnswer, perSecond, redisUsPerAnswer } from './phase.ts';
import {
  amount,
  BUDGET_HEAD,
  budgetVerdict,
  COST_TITLE,
  histogramRanges,
  longestTurn,
  megabytes,
  memorySpeed,
  onYardstick,
  phaseTitle,
  statuses,
  stolenShare,
  VERDICTS,
} from './report/words.ts';
import type { BenchReport, ScenarioResult } from './run.ts';
import type { Fact, Phase } from './scenario.ts';
import { table } from './table.ts';

/** Of Redis' commands, those that a line has room for. */
const COMMANDS_SHOWN = 6;

export function renderReport(report: BenchReport): string {
  const { environment, scenarios, seed, quick } = report;
  const budgets = scenarios.flatMap((each) => each.budgets);
  const parts = [
    `${renderEnvironment(environment)}\n  seed ${seed}${quick ? '; quick: short phases, to see that it works' : ''}`,
    ...scenarios.map(renderScenario),
    ...(budgets.length > 0 ? [renderBudgets(budgets)] : []),
    renderVerdict(report),
  ];
  return `${parts.join('\n\n')}\n`;
}

function renderScenario(result: ScenarioResult): string {
  const { name, took_s, core, phases, facts, audit, tables = [] } = result;
  return [
    `${name} (${took_s.toFixed(1)} s${core === undefined ? '' : `; ${renderCoreSpeed(core)}`})`,
    ...(phases.length === 0 ? [] : [renderPhases(phases), renderProcesses(phases)]),
    ...phases.flatMap(renderDetails),
    ...tables.flatMap(({ title, head, rows }) => [
      title,
      table(
        [...head],
        rows.map((row) => [...row]),
      ),
    ]),
    ...(facts.length === 0 ? [] : [renderFacts(facts)]),
    `Audit ${audit.ok ? 'passed' : 'FAILED'}: ${audit.words.join('; ')}`,
  ].join('\n');
}

function renderPhases(phases: readonly Phase[]): string {
  const rows = phases.map((phase) => {
    const { p50Ms, p90Ms, p99Ms, p999Ms, maxMs } = phase.load.latency;
    return [
      phaseTitle(phase),
      perSecond(phase).toFixed(0),
      ...[p50Ms, p90Ms, p99Ms, p999Ms, maxMs].map((ms) => ms.toFixed(2)),
      statuses(phase),
    ];
  });
  const head = ['', 'answers/s', 'p50', 'p90', 'p99', 'p99.9', 'max', 'by status'];
  return [
    'Latencies in ms; in a closed loop of the service alone, in an open one from the time at which a request was due',
    table(head, rows),
  ].join('\n');
}

function renderProcesses(phases: readonly Phase[]): string {
  const names = [...new Set(phases.flatMap(({ processes }) => processes.map(({ name }) => name)))];
  const rows = phases.map((phase) => [
    phaseTitle(phase),
    stolenShare(phase),
    memorySpeed(phase),
    longestTurn(phase),
    redisUsPerAnswer(phase).toFixed(2),
    ...names.map((name) => {
      const cost = phase.processes.find((each) => each.name === name);
      if (cost === undefined) return '';
      const resident = Number.isFinite(cost.rssBytes) ? ` (${megabytes(cost.rssBytes)})` : '';
      return `${us(cpuUsPerAnswer(phase, name))}${resident}`;
    }),
  ]);
  return [
    COST_TITLE,
    table(['', 'stolen', 'memory', 'longest turn', "Redis' thread", ...names], rows),
  ].join('\n');
}

function renderDetails(phase: Phase): string[] {
  const { batches, commands, load } = phase;
  const shown = commands
    .slice(0, COMMANDS_SHOWN)
    .map(({ name, calls, us: spent }) => `${name} ${(spent / load.answers).toFixed(2)} (${calls})`);
  return [
    ...(batches.count > 0 ? [`Batches, ${phase.name}: ${renderHistogram(batches)}`] : []),
    ...(shown.length > 0
      ? [`Redis' commands, ${phase.name}: us an answer by the clock (calls): ${shown.join(', ')}`]
      : []),
  ];
}

function renderFacts(facts: readonly Fact[]): string {
  return table(
    ['Found', '', ''],
    facts.map(({ what, value, unit, better }) => [
      what,
      amount(value, unit),
      better === undefined ? '' : `${better} is better`,
    ]),
  );
}

export function renderHistogram({ count, sum, buckets }: Histogram): string {
  if (count === 0) return 'none';
  const shares = histogramRanges(buckets)
    .filter(({ some }) => some / count >= 0.005)
    .map(({ range, some }) => `${range}: ${((100 * some) / count).toFixed(0)} %`);
  return `mean ${(sum / count).toFixed(0)} operations; ${shares.join(', ')}`;
}

function renderBudgets(rows: readonly BudgetRow[]): string {
  const lines = rows.map((row) => [
    row.what,
    amount(row.measured, row.unit),
    amount(row.budget, row.unit),
    budgetVerdict(row),
    onYardstick(row),
  ]);
  return `Budgets (design, section 12), and ratios within this run\n${table(BUDGET_HEAD, lines)}`;
}

function renderVerdict({ verdict, scenarios }: BenchReport): string {
  const seconds = scenarios.reduce((sum, { took_s }) => sum + took_s, 0);
  const each = scenarios.map(({ name, took_s }) => `${name} ${took_s.toFixed(1)}`).join(', ');
  return `${seconds.toFixed(0)} s (${each}): ${VERDICTS[verdict]}`;
}

function us(value: number): string {
  return Number.isFinite(value) ? value.toFixed(2) : '-';
}
