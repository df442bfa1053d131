/** How numbers and verdicts are said, wherever they are shown. */
import type { BudgetRow } from '../budgets.ts';
import type { Histogram } from '../measure/engine-metrics.ts';
import type { Verdict } from '../run.ts';
import type { Phase } from '../scenario.ts';

export const VERDICTS: Readonly<Record<Verdict, string>> = {
  ok: 'Every audit passed, and no threshold was missed',
  audit_failed: 'An audit FAILED: what was measured means nothing',
  threshold_missed: 'Every audit passed; a threshold was MISSED',
  interrupted: 'INTERRUPTED: these are the scenarios that were finished by then',
};

export function phaseTitle({ name, rate }: Pick<Phase, 'name' | 'rate'>): string {
  return rate === undefined ? name : `${name}, ${rate}/s`;
}

export const COST_TITLE =
  "CPU in us an answer, and what is resident in the end (stolen: of the time of the cores, what their host gave to others; memory: ns of a load from 8 MB, just before; longest turn: of the engine's event loop, ms of CPU)";

/** As `12 %`; nothing where nobody tells. */
export function stolenShare({ stolen }: Pick<Phase, 'stolen'>): string {
  return stolen === undefined ? '' : `${(100 * stolen).toFixed(0)} %`;
}

/** As `45 ns`; nothing where nobody tells. */
export function memorySpeed({ core }: Pick<Phase, 'core'>): string {
  return core === undefined ? '' : `${core.load_8mb_ns.toFixed(0)} ns`;
}

/** The design's bound of a turn of the event loop, s. */
const TURN_S_MAX = 0.01;

/** As `<= 12.5 (3 of 900 over 10)`; nothing where nobody tells. */
export function longestTurn({ turns }: Pick<Phase, 'turns'>): string {
  if (turns === undefined) return '';
  const longest = turns.buckets.findLastIndex(({ count }) => count > 0);
  if (longest === -1) return '< 1';
  const ms = (at: number): string => `${1_000 * (turns.buckets[at]?.upTo ?? 0)}`;
  const bound = isOpenEnded(turns.buckets[longest]?.upTo)
    ? `> ${ms(longest - 1)}`
    : `<= ${ms(longest)}`;
  const over = turns.buckets
    .filter(({ upTo }) => isOpenEnded(upTo) || upTo > TURN_S_MAX)
    .reduce((sum, { count }) => sum + count, 0);
  return over === 0 ? bound : `${bound} (${over} of ${turns.count} over ${1_000 * TURN_S_MAX})`;
}

/** JSON has no infinity: there it is null. */
function isOpenEnded(upTo: number | null | undefined): boolean {
  return upTo === null || upTo === Number.POSITIVE_INFINITY;
}

export function statuses({ load }: Phase): string {
  return Object.entries(load.byStatus)
    .map(([status, count]) => `${status}: ${count}`)
    .join(', ');
}

/** A number with its unit, in as many digits as mean something. */
export function amount(value: number, unit: string): string {
  if (!Number.isFinite(value)) return '-';
  const digits = Math.abs(value) >= 1_000 || Number.isInteger(value) ? 0 : 2;
  const suffix = unit === 'x' || unit === 'goal' || unit === '' ? '' : ` ${unit}`;
  return `${value.toFixed(digits)}${suffix}`;
}

export const BUDGET_HEAD = ['', 'measured', 'budget', '', "on this run's yardstick"];

export function budgetVerdict({ isMet, isThreshold }: BudgetRow): string {
  return `${isMet ? 'met' : 'MISSED'}${isThreshold ? ' (decides)' : ''}`;
}

/** As `0.62 of an empty handler, 57000 /s (design 0.59: met)`; nothing where there is no yardstick. */
export function onYardstick({ measured, unit, yardstick }: BudgetRow): string {
  if (yardstick === undefined) return '';
  const { what, ratioMin } = yardstick;
  const ratio = measured / yardstick.measured;
  const said = `${amount(ratio, 'x')} of ${what}, ${amount(yardstick.measured, unit)}`;
  if (ratioMin === undefined) return said;
  return `${said} (design ${amount(ratioMin, 'x')}: ${ratio >= ratioMin ? 'met' : 'MISSED'})`;
}

export function megabytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return '-';
  return `${(bytes / 2 ** 20).toFixed(0)} MB`;
}

/** With the names that people read: `2`, `3-4`, `over 512`. */
export function histogramRanges(
  buckets: Histogram['buckets'],
): { readonly range: string; readonly some: number }[] {
  return buckets.map(({ upTo, count: some }, i) => {
    const from = (buckets[i - 1]?.upTo ?? 0) + 1;
    return {
      range: isOpenEnded(upTo) ? `over ${from - 1}` : upTo === from ? `${from}` : `${from}-${upTo}`,
      some,
    };
  });
}
