/** Reads the tables of guarantees.md: what each call answers while one thing is down. */

/** `201`; `503 durability_unknown`; `200 stale`; `-` where there is nobody to answer. */
export type Cell = string;

export interface GuaranteeRow {
  /** What is down, or what happened. */
  readonly down: string;
  /** By the column's name. */
  readonly answers: Readonly<Record<string, Cell>>;
}

export interface GuaranteeTable {
  /** The heading it stands under. */
  readonly deployment: string;
  readonly rows: readonly GuaranteeRow[];
}

/** The tables whose first column is `down`. */
export function readGuarantees(page: string): GuaranteeTable[] {
  const tables: GuaranteeTable[] = [];
  let heading = '';
  let columns: readonly string[] | undefined;
  let rows: GuaranteeRow[] = [];
  for (const line of page.split('\n')) {
    if (line.startsWith('#')) heading = line.replace(/^#+ /, '');
    const cells = cellsOf(line);
    if (cells === undefined) columns = undefined;
    else if (columns === undefined && cells[0] === 'down') {
      columns = cells;
      rows = [];
      tables.push({ deployment: heading, rows });
    } else if (columns !== undefined && !/^-+$/.test(cells[0] ?? '')) {
      const [, ...names] = columns;
      const answers = Object.fromEntries(names.map((name, i) => [name, plain(cells[i + 1])]));
      rows.push({ down: plain(cells[0]), answers });
    }
  }
  return tables;
}

function cellsOf(line: string): string[] | undefined {
  if (!line.startsWith('|')) return undefined;
  return line
    .slice(1, line.lastIndexOf('|'))
    .split('|')
    .map((cell) => cell.trim());
}

function plain(cell = ''): string {
  return cell.replaceAll('`', '').replaceAll('**', '');
}
