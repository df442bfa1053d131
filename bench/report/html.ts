/** A run as one HTML page: the verdict, the conditions, the budgets, then scenario by scenario. */
import type { BudgetRow } from '../budgets.ts';
import { renderEnvironment } from '../environment.ts';
import { renderCoreSpeed } from '../measure/core-speed.ts';
import { cpuUsPerAnswer, perSecond, redisUsPerAnswer } from '../phase.ts';
import type { BenchReport, ScenarioResult } from '../run.ts';
import type { Fact, Phase } from '../scenario.ts';
import { type Cell, htmlTable, page, paragraph } from './page.ts';
import { plotsOf } from './plots.ts';
import { inlineSvg, inXml, short } from './svg.ts';
import {
  amount,
  BUDGET_HEAD,
  budgetVerdict,
  COST_TITLE,
  longestTurn,
  megabytes,
  memorySpeed,
  onYardstick,
  phaseTitle,
  statuses,
  stolenShare,
  VERDICTS,
} from './words.ts';

/** Of Redis' commands, as many as a table of one screen has. */
const COMMANDS_SHOWN = 12;

export function renderHtml(report: BenchReport): string {
  const { environment, scenarios, verdict, seed, quick } = report;
  const conditions = renderEnvironment(environment).split('\n').slice(1);
  const budgets = scenarios.flatMap((each) => each.budgets);
  return page(
    `Bench, ${environment.at}`,
    [
      paragraph(`${VERDICTS[verdict]}.`, verdict === 'ok' ? 'ok' : 'bad'),
      ...(quick ? [paragraph('A quick run: short phases, to see that it works.', 'faint')] : []),
      `<ul>${[...conditions, `seed ${seed}`].map((each) => `<li>${inXml(each.trim())}</li>`).join('')}</ul>`,
      contents(scenarios),
      ...(budgets.length === 0 ? [] : [budgetTable(budgets)]),
      ...scenarios.map(section),
    ].join('\n'),
  );
}

function contents(scenarios: readonly ScenarioResult[]): string {
  const entries = scenarios.map(
    ({ name, took_s, audit }) =>
      `<li><a href="#${inXml(name)}">${inXml(name)}</a>: ${took_s.toFixed(1)} s, <span class="${audit.ok ? 'ok' : 'bad'}">audit ${audit.ok ? 'passed' : 'FAILED'}</span></li>`,
  );
  return `<ul>${entries.join('')}</ul>`;
}

function budgetTable(rows: readonly BudgetRow[]): string {
  return htmlTable(
    'Budgets, and ratios within this run, which decide',
    BUDGET_HEAD,
    rows.map((row) => [
      row.what,
      amount(row.measured, row.unit),
      amount(row.budget, row.unit),
      { text: budgetVerdict(row), verdict: row.isMet ? 'ok' : 'bad' } satisfies Cell,
      onYardstick(row),
    ]),
  );
}

function section(result: ScenarioResult): string {
  const { name, took_s, core, phases, facts, audit, tables = [] } = result;
  return [
    `<h2 id="${inXml(name)}">${inXml(name)} <span class="faint">${took_s.toFixed(1)} s</span></h2>`,
    ...(core === undefined ? [] : [paragraph(renderCoreSpeed(core), 'faint')]),
    ...audit.words.map((words) => paragraph(words, audit.ok ? 'ok' : 'bad')),
    `<div class="plots">${plotsOf(result).map(inlineSvg).join('\n')}</div>`,
    ...(phases.length === 0 ? [] : [phaseTable(phases), costTable(phases), commandTable(phases)]),
    ...(facts.length === 0 ? [] : [factTable(facts)]),
    ...tables.map(({ title, head, rows }) => htmlTable(title, head, rows)),
  ].join('\n');
}

function phaseTable(phases: readonly Phase[]): string {
  return htmlTable(
    'Latencies in ms; in a closed loop of the service alone, in an open one from the time at which a request was due',
    ['', 'answers/s', 'p50', 'p90', 'p99', 'p99.9', 'max', 'by status'],
    phases.map((phase) => {
      const { p50Ms, p90Ms, p99Ms, p999Ms, maxMs } = phase.load.latency;
      return [
        phaseTitle(phase),
        short(perSecond(phase)),
        ...[p50Ms, p90Ms, p99Ms, p999Ms, maxMs].map((ms) => ms.toFixed(2)),
        statuses(phase),
      ];
    }),
  );
}

function costTable(phases: readonly Phase[]): string {
  const names = [...new Set(phases.flatMap(({ processes }) => processes.map(({ name }) => name)))];
  return htmlTable(
    COST_TITLE,
    ['', 'stolen', 'memory', 'longest turn', "Redis' thread", ...names],
    phases.map((phase) => [
      phaseTitle(phase),
      stolenShare(phase),
      memorySpeed(phase),
      longestTurn(phase),
      short(redisUsPerAnswer(phase)),
      ...names.map((name) => {
        const cost = phase.processes.find((each) => each.name === name);
        if (cost === undefined) return '';
        return `${short(cpuUsPerAnswer(phase, name))} (${megabytes(cost.rssBytes)})`;
      }),
    ]),
  );
}

function commandTable(phases: readonly Phase[]): string {
  const total = new Map<string, number>();
  for (const { commands } of phases) {
    for (const { name, us } of commands) total.set(name, (total.get(name) ?? 0) + us);
  }
  const names = [...total]
    .sort(([, a], [, b]) => b - a)
    .slice(0, COMMANDS_SHOWN)
    .map(([name]) => name);
  return htmlTable(
    "Redis' commands, us an answer by the clock; what a script calls is counted with the script too",
    ['', ...names],
    phases.map((phase) => [
      phaseTitle(phase),
      ...names.map((name) => {
        const us = phase.commands.find((each) => each.name === name)?.us;
        return us === undefined ? '' : short(us / phase.load.answers);
      }),
    ]),
  );
}

function factTable(facts: readonly Fact[]): string {
  return htmlTable(
    'What else was found',
    ['', '', ''],
    facts.map(({ what, value, unit, better }) => [
      what,
      amount(value, unit),
      better === undefined ? '' : `${better} is better`,
    ]),
  );
}
