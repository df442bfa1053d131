/** A comparison of two runs as text, and as an HTML page. */
import type { ComparedRow, Comparison } from '../compare.ts';
import { table } from '../table.ts';
import { type Cell, htmlTable, page, paragraph } from './page.ts';
import { amount } from './words.ts';

const HEAD = ['', 'before', 'after', 'after : before', ''];

/** `onlyChanges`: without what is neither better nor worse. */
export function renderComparison(comparison: Comparison, onlyChanges: boolean): string {
  const { before, after, warnings, unlike, rows, gone, added, lost } = comparison;
  const shown = rows.filter(({ change }) => !onlyChanges || isChange(change));
  return [
    `${before.at}, commit ${before.commit}`,
    `${after.at}, commit ${after.commit}`,
    ...unlike.map((each) => `UNLIKE: ${each}`),
    ...warnings.map((each) => `Note: ${each}`),
    ...(shown.length === 0
      ? []
      : [
          table(
            HEAD,
            shown.map((row) => [`${row.scenario}: ${row.what}`, ...numbers(row), word(row)]),
          ),
        ]),
    ...gone.map((each) => `${lost.includes(each) ? 'WORSE, only before' : 'Only before'}: ${each}`),
    ...added.map((each) => `Only after: ${each}`),
    `${summary(comparison)}\n`,
  ].join('\n');
}

export function renderComparisonHtml(comparison: Comparison): string {
  const { before, after, warnings, unlike, rows, gone, added, lost } = comparison;
  const scenarios = [...new Set(rows.map(({ scenario }) => scenario))];
  return page(
    `Bench: ${before.commit} and ${after.commit}`,
    [
      paragraph(
        summary(comparison),
        comparison.worse + comparison.failed.length === 0 ? 'ok' : 'bad',
      ),
      paragraph(
        `Before: ${before.at}, commit ${before.commit}. After: ${after.at}, commit ${after.commit}.`,
      ),
      ...unlike.map((each) => paragraph(`Unlike: ${each}`, 'bad')),
      ...warnings.map((each) => paragraph(`${each}.`, 'bad')),
      ...scenarios.map((scenario) =>
        htmlTable(scenario, HEAD, rows.filter((row) => row.scenario === scenario).map(htmlRow)),
      ),
      ...gone.map((each) =>
        paragraph(`Only before: ${each}`, lost.includes(each) ? 'bad' : 'faint'),
      ),
      ...added.map((each) => paragraph(`Only after: ${each}`, 'faint')),
    ].join('\n'),
  );
}

function summary({ worse, better, rows, lost }: Comparison): string {
  const judged = rows.filter(({ change }) => change !== 'shown').length + lost.length;
  return `${worse} worse, ${better} better, of ${judged} that are judged`;
}

function htmlRow(row: ComparedRow): (string | Cell)[] {
  const verdict = row.change === 'worse' ? 'bad' : 'ok';
  const said = word(row);
  return [row.what, ...numbers(row), isChange(row.change) ? { text: said, verdict } : said];
}

function numbers({ before, after, unit, ratio }: ComparedRow): string[] {
  return [
    amount(before, unit),
    amount(after, unit),
    Number.isFinite(ratio) ? ratio.toFixed(2) : '-',
  ];
}

function word({ change }: ComparedRow): string {
  if (change === 'worse') return 'WORSE';
  return change === 'shown' ? '' : change;
}

function isChange(change: ComparedRow['change']): boolean {
  return change === 'worse' || change === 'better';
}
