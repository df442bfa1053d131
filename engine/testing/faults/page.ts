/** How numbers and tables stand on the page. */
import { percentile } from './measure.ts';

/** Of a list of violations; the rest is counted. */
export const SHOWN_MAX = 5;

/** Of fewer values than this p99 is the greatest one. */
const P99_VALUES_MIN = 100;

/** The percentile between the median and the greatest that so many values can tell. */
export function upperPercent(count: number): 90 | 99 {
  return count < P99_VALUES_MIN ? 90 : 99;
}

/** p50 / the upper percentile / max, in ms. */
export function times(values: readonly number[], upper: 90 | 99): string {
  const sorted = [...values].sort((a, b) => a - b);
  const shown = [percentile(sorted, 0.5), percentile(sorted, upper / 100), sorted.at(-1)];
  const known = shown.filter((value) => value !== undefined);
  return known.length === 0 ? '-' : known.map(number).join(' / ');
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

export function number(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function countRuns(count: number): string {
  return `${number(count)} ${count === 1 ? 'run' : 'runs'}`;
}

export function within(values: readonly number[], limitMs: number): string {
  if (values.length === 0) return '-';
  return `${number(values.filter((ms) => ms <= limitMs).length)} of ${number(values.length)}`;
}

export function share(part: number, whole: number): string {
  return whole === 0 ? '-' : `${number(part)} (${((100 * part) / whole).toFixed(1)} %)`;
}
