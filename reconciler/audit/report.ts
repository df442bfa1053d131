/** What an audit says: one object for machines, and the same in plain words. */
import { INVARIANTS } from '../../engine/testing/auditor/violation.ts';
import type { Difference } from './difference.ts';
import type { UnitTotals } from './ledger.ts';
import type { Place } from './place.ts';
import { isSamePlace, showPlace } from './place.ts';

export interface AuditReport {
  /** Nothing differs. */
  readonly ok: boolean;
  readonly lane: number;
  /** The position that PostgreSQL's snapshot stands at: what was compared is true there. */
  readonly position: Place;
  /** Where Redis stood when it had been read; what came between is compared through the log. */
  readonly redis_position: Place;
  /** `empty`: there is no lane in Redis. */
  readonly lane_state: 'open' | 'closed' | 'empty';
  readonly log: {
    readonly source: 'stream' | 'kafka';
    readonly from: Place | null;
    /** It reaches from the very first entry to the position, and all of it was folded. */
    readonly complete: boolean;
    /** Entries that only PostgreSQL has, because Redis once lost a tail; recovery brought the rest. */
    readonly lost_from_stream: number;
  };
  readonly compared: {
    /** Cells of Redis with PostgreSQL. */
    readonly cells: number;
    /** Live holds of Redis with PostgreSQL. */
    readonly holds: number;
    /** Records of Redis with PostgreSQL: holds, commits, tombstones. */
    readonly reservations: number;
    readonly operations: number;
    /** Cells of PostgreSQL with its ledger and its lines. */
    readonly ledger_cells: number;
    readonly movements: number;
    /** Rows of PostgreSQL that were checked for an entry that made them. */
    readonly stored_reservations: number;
    readonly stored_operations: number;
    /** Entries that PostgreSQL applied. */
    readonly entries: number;
    /** Entries and changes of the log that were folded. */
    readonly log_entries: number;
    readonly log_changes: number;
  };
  readonly units: UnitTotals;
  /** The first ones. */
  readonly differences: readonly Difference[];
  readonly difference_count: number;
  readonly duration_ms: number;
}

const SHOWN_MAX = 50;

export function renderAudit(report: AuditReport): string {
  const { compared, units } = report;
  const count = (n: number, what: string) => `${n.toLocaleString('en')} ${what}`;
  const lines = [
    `Audit of lane ${report.lane} at position ${showPlace(report.position)}${renderMoved(report)}`,
    `  Redis = PostgreSQL      ${count(compared.cells, 'cells')}, ${count(compared.holds, 'live holds')}, ${count(compared.reservations, 'reservation records')}, ${count(compared.operations, 'stock operations')}`,
    `  balances = ledger       ${count(compared.ledger_cells, 'cells')}, ${count(compared.movements, 'movements')}, ${count(compared.stored_reservations, 'reservations')}, ${count(compared.stored_operations, 'stock operations')}`,
    `  PostgreSQL = log        ${renderLog(report)}`,
    `  units                   ${count(units.granted, 'granted')} = ${count(units.available, 'available')} + ${count(units.reserved, 'held')} + ${count(units.allocated, 'committed')} + ${count(units.shipped, 'shipped')}; ${count(units.oversold, 'oversold')}`,
    '',
  ];
  if (report.lane_state !== 'open') lines.push(renderState(report), '');
  if (report.ok) lines.push('Nothing differs.');
  else lines.push(...renderDifferences(report));
  return `${lines.join('\n')}\n`;
}

function renderMoved(report: AuditReport): string {
  if (isSamePlace(report.position, report.redis_position)) return '';
  return ` (Redis was read up to ${showPlace(report.redis_position)}, compared through the log)`;
}

function renderLog({ log, compared }: AuditReport): string {
  const name = log.source === 'kafka' ? 'Kafka' : 'the stream in Redis';
  const applied = `${compared.entries.toLocaleString('en')} entries applied`;
  if (compared.log_entries === 0) return `${applied}; ${name} has none of them left`;
  const folded = `${compared.log_entries.toLocaleString('en')} entries (${compared.log_changes.toLocaleString('en')} changes) folded from ${name}`;
  const lost = log.lost_from_stream;
  const extent = [
    ...(log.complete ? ['from the first one on'] : []),
    ...(lost > 0 ? [`${lost} were lost with a tail of Redis and are in PostgreSQL alone`] : []),
    ...(log.complete || lost > 0 || log.from === null ? [] : [`from ${showPlace(log.from)} on`]),
  ];
  return [applied, `${folded} ${extent.join(', ')}`].join('; ');
}

function renderState(report: AuditReport): string {
  return report.lane_state === 'empty'
    ? 'Redis has no lane: `holdfast recover` copies PostgreSQL back.'
    : 'The lane is closed: `holdfast recover` opens it; until then Redis may be behind.';
}

function renderDifferences({ differences, difference_count: total }: AuditReport): string[] {
  const lines = [`${total} ${total === 1 ? 'difference' : 'differences'}:`];
  for (const { invariant, where, redis, postgres, log, explanation } of differences.slice(
    0,
    SHOWN_MAX,
  )) {
    lines.push(`- ${invariant} ${where}: ${explanation}`);
    if (redis !== null) lines.push(`    Redis       ${redis}`);
    if (postgres !== null) lines.push(`    PostgreSQL  ${postgres}`);
    if (log !== null) lines.push(`    log         ${log}`);
  }
  const more = total - Math.min(differences.length, SHOWN_MAX);
  if (more > 0) lines.push(`... and ${more} more`);
  const broken = [...new Set(differences.map(({ invariant }) => invariant))].sort();
  lines.push('', ...broken.map((name) => `${name}: ${INVARIANTS[name]}`));
  return lines;
}
