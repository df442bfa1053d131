/** Text in colours, cut to a width before it is coloured. Pure. */

export type Style = 'plain' | 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan';

export interface Span {
  readonly text: string;
  readonly style: Style;
}

export type Line = readonly Span[];

/** Select Graphic Rendition (ECMA-48, 8.3.117). */
const CODES: Readonly<Record<Style, string>> = {
  plain: '',
  bold: '1',
  dim: '2',
  green: '32',
  yellow: '33',
  red: '31',
  cyan: '36',
};

export function ink(text: string, style: Style = 'plain'): Span {
  return { text, style };
}

/** At most `columns` characters of the line, with colours or without. All that we draw is one column wide. */
export function render(line: Line, columns: number, isColored: boolean): string {
  let left = columns;
  let out = '';
  for (const { text, style } of line) {
    const shown = text.slice(0, left);
    left -= shown.length;
    out += isColored && style !== 'plain' && shown !== '' ? paint(shown, style) : shown;
  }
  return out;
}

function paint(text: string, style: Style): string {
  return `\u001b[${CODES[style]}m${text}\u001b[0m`;
}

/** Parts of a whole as a bar of `width` characters; what is there at all is seen. */
export function bar(
  parts: readonly { readonly amount: number; readonly mark: string; readonly style: Style }[],
  whole: number,
  width: number,
): Line {
  const total = Math.max(
    1,
    whole,
    parts.reduce((sum, { amount }) => sum + amount, 0),
  );
  let drawn = 0;
  let amounts = 0;
  return parts.map(({ amount, mark, style }) => {
    amounts += amount;
    const end = Math.min(width, Math.round((amounts / total) * width));
    const length = amount > 0 ? Math.max(drawn < width ? 1 : 0, end - drawn) : 0;
    drawn += length;
    return ink(mark.repeat(length), style);
  });
}

const LEVELS = '▁▂▃▄▅▆▇█';

/** The last `width` values as a row of small columns. */
export function sparkline(values: readonly number[], width: number): string {
  const shown = values.slice(-width);
  const max = Math.max(1, ...shown);
  return shown
    .map((value) => LEVELS[Math.min(LEVELS.length - 1, Math.floor((value / max) * LEVELS.length))])
    .join('');
}

export function count(n: number): string {
  return Math.round(n).toLocaleString('en');
}

export function milliseconds(ms: number): string {
  if (ms >= 100) return `${Math.round(ms)} ms`;
  return `${ms.toFixed(ms >= 10 ? 1 : 2)} ms`;
}
