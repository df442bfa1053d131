/** One HTML file that needs nothing else: no script, no font, no link. */
import { inXml, PLOT_STYLE } from './svg.ts';

const STYLE = `
  :root { color-scheme: light dark; }
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; }
  h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
  .wide { overflow-x: auto; }
  table { border-collapse: collapse; } caption { text-align: left; padding: .5rem 0; white-space: pre-line; }
  th, td { text-align: left; vertical-align: top; padding: .25rem .7rem; border-bottom: 1px solid #8884; }
  td { font-variant-numeric: tabular-nums; }
  .plots { display: flex; flex-wrap: wrap; gap: 1rem 2rem; }
  .ok { color: #0a7a3d; } .bad { color: #b3261e; } .faint { opacity: .7; }
  @media (prefers-color-scheme: dark) { body { background: #16181c; color: #e6e6e6; } .ok { color: #58c98b; } .bad { color: #ff8a80; } a { color: #8ab4f8; } }`;

/** `body` is HTML, `title` text. */
export function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${inXml(title)}</title>
<style>${STYLE}${PLOT_STYLE}</style>
</head>
<body>
<h1>${inXml(title)}</h1>
${body}
</body>
</html>
`;
}

export interface Cell {
  readonly text: string;
  readonly verdict: 'ok' | 'bad';
}

/** All of it text. */
export function htmlTable(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly (string | Cell)[])[],
): string {
  const heads = head.map((name) => `<th scope="col">${inXml(name)}</th>`).join('');
  return `<div class="wide"><table>
<caption>${inXml(caption)}</caption>
<thead><tr>${heads}</tr></thead>
<tbody>
${rows.map((cells) => `<tr>${cells.map(cellOf).join('')}</tr>`).join('\n')}
</tbody>
</table></div>`;
}

export function paragraph(words: string, verdict?: 'ok' | 'bad' | 'faint'): string {
  return `<p${verdict === undefined ? '' : ` class="${verdict}"`}>${inXml(words)}</p>`;
}

function cellOf(cell: string | Cell): string {
  return typeof cell === 'string'
    ? `<td>${inXml(cell)}</td>`
    : `<td class="${cell.verdict}">${inXml(cell.text)}</td>`;
}
