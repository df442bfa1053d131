/**
 * The queries behind rows.ts: what goes back into Redis, newer than a place of the log. Numbers stand
 * in the text, because COPY takes no parameters.
 */
import type { Place } from '../engine/log/place.ts';

export interface RowQuery {
  readonly select: string;
  /** What it selects from, with its conditions, for counting: about as many rows. */
  readonly count: string;
}

export function productsQuery(after: Place): RowQuery {
  const from = `products WHERE ${changedAfter('defined_epoch', 'defined_seq', after)}`;
  return { select: `SELECT sku_id FROM ${from}`, count: from };
}

export function cellsQuery(lane: number, after: Place): RowQuery {
  const from = `inventory WHERE lane = ${number(lane)} AND ${changedAfter('epoch', 'seq', after)}`;
  return {
    select: `SELECT sku_id, warehouse_id, pool, available_qty, reserved_qty, allocated_qty, version
             FROM ${from}`,
    count: from,
  };
}

export function operationsQuery(lane: number, after: Place, oldestGeneration: number): RowQuery {
  const from = `operations o
    WHERE lane = ${number(lane)} AND ${changedAfter('epoch', 'seq', after)}
      AND generation >= ${number(oldestGeneration)}`;
  return {
    select: `
      SELECT operation_id, generation, fingerprint, created_s FROM ${from}
        AND NOT EXISTS (SELECT FROM operations newer
                        WHERE newer.operation_id = o.operation_id
                          AND (newer.epoch, newer.seq) > (o.epoch, o.seq))`,
    count: from,
  };
}

/**
 * A row for each placement that still has units (one with NULLs where none has), those of one
 * reservation together and in the order of its lines: the ORDER BY within is what says so, and costs
 * nothing, because the primary key has that order.
 */
export function reservationsQuery(lane: number, after: Place, oldestGeneration: number): RowQuery {
  const from = `reservations r
    WHERE lane = ${number(lane)} AND ${changedAfter('epoch', 'seq', after)}
      AND (status = 'held' OR generation >= ${number(oldestGeneration)})`;
  return {
    select: `
      SELECT r.*, l.* FROM (
        SELECT reservation_id, generation, status, version, fingerprint, created_s, deadline_s,
               commit_fingerprint, closed_by, operations, created_epoch, created_seq
        FROM ${from}
          AND NOT EXISTS (SELECT FROM reservations newer
                          WHERE newer.reservation_id = r.reservation_id
                            AND (newer.created_epoch, newer.created_seq)
                              > (r.created_epoch, r.created_seq))) r
      LEFT JOIN LATERAL (
        SELECT line, placement, sku_id, warehouse_id, pool, requested, reserved + allocated
        FROM reservation_lines l
        WHERE l.reservation_id = r.reservation_id AND l.created_epoch = r.created_epoch
          AND l.created_seq = r.created_seq AND l.reserved + l.allocated > 0
        ORDER BY line) l ON true`,
    count: from,
  };
}

/**
 * Spelled with OR and not as a row comparison, because a block range index can only use this form.
 */
function changedAfter(epoch: string, seq: string, after: Place): string {
  const from = number(after.epoch);
  return `(${epoch} > ${from} OR (${epoch} = ${from} AND ${seq} > ${number(after.seq)}))`;
}

/** What goes into the text of a query is a whole number, whatever the types say. */
function number(value: number): string {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no whole number`);
  return String(value);
}
