/** What a run says: one object for machines (it is also kept in PostgreSQL), and plain words. */

import type { Applied, RepairStatus } from './apply.ts';
import type { Cause } from './causes.ts';
import type { LogState } from './log-look.ts';

export interface ReportedDifference {
  readonly cause: Cause;
  readonly where: string;
  readonly redis: string;
  readonly postgres: string;
  readonly witness: string;
  readonly why: string;
  /** What would be done, or was; null: nothing, a person decides. */
  readonly action: string | null;
  /** `planned` in a dry run. */
  readonly status: RepairStatus | 'planned';
}

export interface ReconcileReport {
  readonly run: string;
  readonly lane: number;
  readonly applied: boolean;
  readonly scope: { readonly skus: readonly string[] | null; readonly since: string | null };
  readonly started_at: string;
  readonly duration_ms: number;
  /** PostgreSQL's position when the run began and when it ended; every comparison was at one between. */
  readonly from: string;
  readonly to: string;
  readonly compared: {
    readonly cells: number;
    readonly records: number;
    readonly holds: number;
    readonly due_entries: number;
    readonly ledger_cells: number;
    /** Moved in every look; the next run will meet them again. */
    readonly unsettled: number;
  };
  /** The first ones; `difference_count` counts all. */
  readonly differences: readonly ReportedDifference[];
  readonly difference_count: number;
  readonly by_cause: Readonly<Record<string, number>>;
  readonly repaired: number;
  /** Differences that were not there any more when their turn came. */
  readonly gone: number;
  /** Differences that stand after the run; with `repaired` and `gone` all of them. */
  readonly left: number;
  /** Whether the log is the one that PostgreSQL has read. */
  readonly log: LogState;
  /** What this run did not look at, for people; empty: it looked at all. */
  readonly unseen: readonly string[];
}

/** Nothing stands that differs. Whether the run has seen all is another question (`log`, `unseen`). */
export function isLevel({ left, log }: Pick<ReconcileReport, 'left' | 'log'>): boolean {
  return left === 0 && log.state !== 'disagrees';
}

export const REPORTED_MAX = 1_000;

export function toReported({ finding, status }: Applied, isPlan: boolean): ReportedDifference {
  const { cause, where, redis, postgres, witness, why, repair } = finding;
  return {
    cause,
    where,
    redis,
    postgres,
    witness,
    why,
    action: repair?.action ?? null,
    status: isPlan && repair !== undefined ? 'planned' : status,
  };
}

const SHOWN_MAX = 100;
const number = (value: number): string => value.toLocaleString('en');
const counted = (value: number, one: string): string =>
  `${number(value)} ${value === 1 ? one : `${one}s`}`;

/** What was compared, in one sentence: a diff of zero says of what it is zero. */
export function describeCompared({ compared, from, to, scope }: ReconcileReport): string {
  const parts = [
    counted(compared.cells, 'cell'),
    `${counted(compared.records, 'record')} (${counted(compared.holds, 'live hold')})`,
    counted(compared.due_entries, 'deadline'),
    counted(compared.ledger_cells, 'ledger sum'),
  ];
  const limits = [
    ...(scope.skus === null ? [] : [`of ${scope.skus.join(', ')}`]),
    ...(scope.since === null ? [] : [`changed behind ${scope.since}`]),
  ];
  const where = from === to ? `at ${to}` : `at positions from ${from} to ${to}`;
  return [`${parts.join(', ')} compared`, ...limits, where].join(' ');
}

export function renderReport(report: ReconcileReport, table: (rows: string[][]) => string): string {
  const { difference_count: total, differences, compared } = report;
  const lines = [`Lane ${report.lane}: ${describeCompared(report)}.`];
  if (compared.unsettled > 0) {
    const them = number(compared.unsettled);
    lines.push(`${them} moved in every look and could not be followed: run again to see them.`);
  }
  lines.push(...report.unseen.map((what) => `Not looked at: ${what}.`));
  if (report.log.state === 'disagrees') lines.push(`The log differs: ${report.log.problem}.`);
  if (total === 0) return `${[...lines, nothingDiffers(report)].join('\n')}\n`;
  const head = [
    'cause',
    'where',
    'Redis',
    'PostgreSQL',
    'witness',
    report.applied ? 'done' : 'plan',
  ];
  const rows = differences
    .slice(0, SHOWN_MAX)
    .map((each) => [
      each.cause,
      each.where,
      each.redis,
      each.postgres,
      each.witness,
      `${doing(each)}\n(${each.why})`,
    ]);
  lines.push('', table([head, ...rows]));
  if (total > rows.length) lines.push(`... and ${number(total - rows.length)} more`);
  lines.push('', ending(report));
  return `${lines.join('\n')}\n`;
}

/** Claims agreement of what was looked at, and of nothing else. */
export function nothingDiffers({ log, unseen }: Pick<ReconcileReport, 'log' | 'unseen'>): string {
  if (log.state === 'disagrees') return 'Nothing else differs.';
  return unseen.length === 0 ? 'Nothing differs.' : 'Nothing differs in what was looked at.';
}

/** What became of all differences. */
export function describeOutcome({ repaired, left, gone }: ReconcileReport): string {
  const counts = `${number(repaired)} repaired, ${number(left)} left`;
  return gone === 0 ? counts : `${counts}, ${number(gone)} gone by itself or with another repair`;
}

function doing({ action, status }: ReportedDifference): string {
  if (status === 'planned') return action ?? 'nothing';
  if (status === 'repaired') return `repaired: ${action ?? ''}`;
  if (status === 'gone') return 'nothing: it agreed by then';
  if (status === 'contended') return 'nothing: it moved on each time; run again';
  return 'nothing: a person decides';
}

export function countDifferences({
  difference_count,
}: Pick<ReconcileReport, 'difference_count'>): string {
  return `${number(difference_count)} ${difference_count === 1 ? 'difference' : 'differences'}`;
}

function ending(report: ReconcileReport): string {
  const causes = Object.entries(report.by_cause).map(([cause, count]) => `${count} ${cause}`);
  const sum = `${countDifferences(report)}: ${causes.join(', ')}.`;
  if (!report.applied) {
    return `${sum} Nothing was changed; --apply repairs what the plan says.`;
  }
  return `${sum} ${describeOutcome(report)}.`;
}
