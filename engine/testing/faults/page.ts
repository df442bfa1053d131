/** How numbers and tables stand on the page. */
import { percentile } from './measure.ts';

/** Of a list of violations; the rest is counted. */
export const SHOWN_MAX = 5;

export function times(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const [p50, p99, max] = [percentile(sorted, 0.5), percentile(sorted, 0.99), sorted.at(-1)];
  if (p50 === undefined || p99 === undefined || max === undefined) return '-';
  return `${number(p50)} / ${number(p99)} / ${number(max)}`;
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

export function within(values: readonly number[], limitMs: number): string {
  if (values.length === 0) return '-';
  return `${number(values.filter((ms) => ms <= limitMs).length)} of ${number(values.length)}`;
}

export function share(part: number, whole: number): string {
  return whole === 0 ? '-' : `${number(part)} (${((100 * part) / whole).toFixed(1)} %)`;
}
