/**
 * Rows of PostgreSQL that no honest history leaves behind, each found by one query that returns the
 * offending rows: rows that no entry of the log made (I5), ids used twice within the idempotency
 * window (I3), units of reservations that are over (I7), breaks in the chain of entries.
 */
import type { QueryResultRow } from 'pg';
import type { Invariant } from '../../engine/testing/auditor/violation.ts';
import type { Findings } from './difference.ts';
import type { Snapshot } from './snapshot.ts';

interface RowCheck {
  readonly invariant: Invariant;
  readonly explanation: string;
  /** Selects `place` (what and where) and `row` (what stands there) of each offending row. */
  readonly sql: string;
}

/** An entry of the lane is there with the epoch and seq of `t`. */
const noEntry = (epoch = 't.epoch', seq = 't.seq') => `
  NOT EXISTS (SELECT FROM entries e WHERE e.lane = $1 AND e.epoch = ${epoch} AND e.seq = ${seq})`;

const WINDOW_S = 86_400;

const CHECKS: readonly RowCheck[] = [
  {
    invariant: 'I5',
    explanation: 'no entry of the log made this movement',
    sql: `SELECT format('movement %s-%s-%s-%s', lane, epoch, seq, idx) AS place,
                 format('%s of %s %s, %s to %s', quantity, sku_id,
                   coalesce(source_warehouse, dest_warehouse), source_location, dest_location) AS row
          FROM stock_movements t WHERE lane = $1 AND ${noEntry()}`,
  },
  {
    invariant: 'I5',
    explanation: 'no entry of the log made this reservation',
    sql: `SELECT format('reservation %s', reservation_id) AS place,
                 format('%s, created at %s-%s', status, created_epoch, created_seq) AS row
          FROM reservations t WHERE lane = $1 AND ${noEntry('t.created_epoch', 't.created_seq')}`,
  },
  {
    invariant: 'I5',
    explanation: 'no entry of the log made the last change of this reservation',
    sql: `SELECT format('reservation %s', reservation_id) AS place,
                 format('%s at %s-%s', status, epoch, seq) AS row
          FROM reservations t WHERE lane = $1 AND ${noEntry()}`,
  },
  {
    invariant: 'I5',
    explanation: 'a line belongs to no reservation',
    sql: `SELECT format('reservation %s', reservation_id) AS place,
                 format('line %s, %s %s', line, sku_id, warehouse_id) AS row
          FROM reservation_lines t WHERE NOT EXISTS (
            SELECT FROM reservations r WHERE r.reservation_id = t.reservation_id
            AND r.created_epoch = t.created_epoch AND r.created_seq = t.created_seq)`,
  },
  {
    invariant: 'I5',
    explanation: 'no entry of the log made this balance',
    sql: `SELECT format('cell %s %s %s', sku_id, warehouse_id, pool) AS place,
                 format('version %s at %s-%s', version, epoch, seq) AS row
          FROM inventory t WHERE lane = $1 AND ${noEntry()}`,
  },
  {
    invariant: 'I5',
    explanation: 'no entry of the log carries this stock operation',
    sql: `SELECT format('stock operation %s', operation_id) AS place,
                 format('%s at %s-%s', kind, epoch, seq) AS row
          FROM operations t WHERE lane = $1 AND ${noEntry()}`,
  },
  {
    invariant: 'I3',
    explanation: 'the id was reserved twice within the idempotency window',
    sql: `SELECT format('reservation %s', reservation_id) AS place,
                 format('created at %s-%s and again at %s-%s', before_epoch, before_seq,
                   created_epoch, created_seq) AS row
          FROM (SELECT reservation_id, created_epoch, created_seq, created_s,
                       lag(created_epoch) OVER same AS before_epoch,
                       lag(created_seq) OVER same AS before_seq,
                       lag(created_s) OVER same AS before_s
                FROM reservations WHERE lane = $1
                WINDOW same AS (PARTITION BY reservation_id ORDER BY created_epoch, created_seq)) t
          WHERE created_s - before_s < ${WINDOW_S}`,
  },
  {
    invariant: 'I3',
    explanation: 'the stock operation was done twice within the idempotency window',
    sql: `SELECT format('stock operation %s', operation_id) AS place,
                 format('done at %s-%s and before', epoch, seq) AS row
          FROM (SELECT operation_id, epoch, seq, created_s, lag(created_s) OVER same AS before_s
                FROM operations WHERE lane = $1
                WINDOW same AS (PARTITION BY operation_id ORDER BY epoch, seq)) t
          WHERE created_s - before_s < ${WINDOW_S}`,
  },
  {
    invariant: 'I7',
    explanation: 'the units of a line do not fit the state of its reservation',
    sql: `SELECT format('reservation %s, line %s', reservation_id, line) AS place,
                 format('%s, %s reserved, %s allocated', status, reserved, allocated) AS row
          FROM reservation_lines JOIN reservations
            USING (reservation_id, created_epoch, created_seq)
          WHERE reserved < 0 OR allocated < 0 OR (reserved > 0 AND status <> 'held')
            OR (allocated > 0 AND status <> 'committed')`,
  },
  {
    invariant: 'I4',
    explanation: 'a movement must have a location on both sides, one of them in a warehouse',
    sql: `SELECT format('movement %s-%s-%s-%s', lane, epoch, seq, idx) AS place,
                 format('%s to %s', source_location, dest_location) AS row
          FROM stock_movements WHERE lane = $1 AND (source_location = dest_location
            OR coalesce(source_warehouse, dest_warehouse) IS NULL
            OR (source_warehouse IS NOT NULL) <>
               (source_location IN ('available', 'reserved', 'allocated'))
            OR (dest_warehouse IS NOT NULL) <>
               (dest_location IN ('available', 'reserved', 'allocated')))`,
  },
  {
    invariant: 'chain',
    explanation: 'the entry does not follow on the one that was applied before it',
    sql: `SELECT format('entry %s-%s', epoch, seq) AS place,
                 format('follows %s-%s (%s), before it stands %s-%s (%s)', pred_epoch, pred_seq,
                   encode(pred_nonce, 'hex'), before_epoch, before_seq,
                   encode(before_nonce, 'hex')) AS row
          FROM (SELECT *, lag(epoch, 1, 0::bigint) OVER log AS before_epoch,
                       lag(seq, 1, 0::bigint) OVER log AS before_seq,
                       lag(nonce, 1, '\\x0000000000000000'::bytea) OVER log AS before_nonce
                FROM entries WHERE lane = $1 WINDOW log AS (ORDER BY epoch, seq)) t
          WHERE pred_epoch <> before_epoch OR pred_seq <> before_seq OR pred_nonce <> before_nonce
            OR seq <> CASE WHEN epoch = before_epoch THEN before_seq + 1 ELSE 1 END`,
  },
  {
    invariant: 'chain',
    explanation: 'the position is not that of the last entry that was applied',
    sql: `SELECT format('position of lane %s', lane) AS place,
                 format('%s-%s (%s)', epoch, seq, encode(nonce, 'hex')) AS row
          FROM positions p, LATERAL (
            SELECT epoch AS e, seq AS s, nonce AS n FROM (
              SELECT epoch, seq, nonce FROM entries WHERE lane = $1
              UNION ALL SELECT 0, 0, '\\x0000000000000000') t
            ORDER BY epoch DESC, seq DESC LIMIT 1) head
          WHERE lane = $1 AND (epoch, seq, nonce) IS DISTINCT FROM (e, s, n)`,
  },
  {
    invariant: 'time',
    explanation: 'lane time went backwards',
    sql: `SELECT format('entry %s-%s', epoch, seq) AS place,
                 format('%s ms after %s ms', time_ms, before_ms) AS row
          FROM (SELECT epoch, seq, time_ms, lag(time_ms) OVER (ORDER BY epoch, seq) AS before_ms
                FROM entries WHERE lane = $1) t
          WHERE time_ms < before_ms`,
  },
];

/** Counts of what was looked at, for the report. */
export interface RowCounts {
  readonly entries: number;
  readonly movements: number;
  readonly reservations: number;
  readonly operations: number;
}

export async function auditRows(
  snapshot: Snapshot,
  lane: number,
  findings: Findings,
): Promise<RowCounts> {
  for (const { invariant, explanation, sql } of CHECKS) {
    const usesLane = sql.includes('$1');
    for await (const rows of snapshot.pieces<OffendingRow>(sql, usesLane ? [lane] : [])) {
      for (const { place, row } of rows) {
        findings.add({ invariant, where: place, postgres: row, explanation });
      }
    }
  }
  const [counts] = await snapshot.query<RowCounts & QueryResultRow>(
    `SELECT (SELECT count(*) FROM entries WHERE lane = $1) AS entries,
            (SELECT count(*) FROM stock_movements WHERE lane = $1) AS movements,
            (SELECT count(*) FROM reservations WHERE lane = $1) AS reservations,
            (SELECT count(*) FROM operations WHERE lane = $1) AS operations`,
    [lane],
  );
  if (counts === undefined) throw new Error('PostgreSQL counted nothing');
  return counts;
}

interface OffendingRow {
  readonly place: string;
  readonly row: string;
}
