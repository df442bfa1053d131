/** The report as one HTML file that needs nothing else: no script, no font, no link. */
import { CAUSES } from './causes.ts';
import {
  countDifferences,
  describeCompared,
  describeOutcome,
  nothingDiffers,
  type ReconcileReport,
  type ReportedDifference,
} from './report.ts';

const STYLE = `
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
  h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
  table { border-collapse: collapse; width: 100%; } caption { text-align: left; padding: .5rem 0; }
  th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #8884; }
  td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
  .ok { color: #0a7a3d; } .bad { color: #b3261e; }
  @media (prefers-color-scheme: dark) { body { background: #16181c; color: #e6e6e6; } .ok { color: #58c98b; } .bad { color: #ff8a80; } }`;

export function renderHtml(report: ReconcileReport): string {
  const title = `Reconcile, lane ${report.lane}, ${report.started_at}`;
  const verdict =
    report.difference_count === 0
      ? `<p class="${report.log.state === 'disagrees' ? 'bad' : 'ok'}">${nothingDiffers(report)}</p>`
      : `<p class="${report.left === 0 ? 'ok' : 'bad'}">${countDifferences(report)}, ${describeOutcome(report)}.</p>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${inHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${inHtml(title)}</h1>
${verdict}
<p>${inHtml(describeCompared(report))}. It took ${(report.duration_ms / 1000).toFixed(1)} s${report.applied ? '' : '; a dry run, nothing was changed'}.</p>
${unseenList(report)}
${causesTable(report)}
${differencesTable(report)}
</body>
</html>
`;
}

function unseenList({ log, unseen }: ReconcileReport): string {
  return [
    ...unseen.map((what) => `<p class="bad">Not looked at: ${inHtml(what)}.</p>`),
    ...(log.state === 'disagrees' ? [`<p class="bad">${inHtml(log.problem)}.</p>`] : []),
  ].join('\n');
}

function causesTable(report: ReconcileReport): string {
  const rows = Object.entries(report.by_cause).map(([cause, count]) => {
    const { proof, repair } = CAUSES[cause as keyof typeof CAUSES];
    return row([cause, String(count), proof, repair]);
  });
  if (rows.length === 0) return '';
  return table('By cause', ['Cause', 'Count', 'What proves it', 'What is done'], rows);
}

function differencesTable(report: ReconcileReport): string {
  if (report.differences.length === 0) return '';
  const shown = report.differences.length;
  const caption =
    shown === report.difference_count
      ? 'All differences'
      : `The first ${shown} of ${countDifferences(report)}`;
  const head = ['Cause', 'Where', 'Redis', 'PostgreSQL', 'Witness', 'Why', 'Action', 'Status'];
  return table(caption, head, report.differences.map(differenceRow));
}

function differenceRow(each: ReportedDifference): string {
  const { cause, where, redis, postgres, witness, why, action, status } = each;
  return row([cause, where, redis, postgres, witness, why, action ?? 'none', status]);
}

function table(caption: string, head: readonly string[], rows: readonly string[]): string {
  const cells = head.map((name) => `<th scope="col">${inHtml(name)}</th>`).join('');
  return `<table>
<caption>${inHtml(caption)}</caption>
<thead><tr>${cells}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>`;
}

function row(cells: readonly string[]): string {
  return `<tr>${cells.map((cell) => `<td>${inHtml(cell)}</td>`).join('')}</tr>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function inHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
