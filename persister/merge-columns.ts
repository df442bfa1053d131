/** What a batch changes of rows that PostgreSQL has, as the merge takes it (sql/merge.sql). */
import { byteaArrayText, type Column, rowsOf } from './column-arrays.ts';
import type { CellRow, LineRow, SettledRow } from './rows.ts';

export const SETTLED_COLUMNS: readonly Column<SettledRow>[] = [
  { name: 'reservation_id', type: 'text', of: (row) => row.id },
  { name: 'created_epoch', type: 'bigint', of: (row) => row.createdEpoch },
  { name: 'created_seq', type: 'bigint', of: (row) => row.createdSeq },
  { name: 'generation', type: 'integer', of: (row) => row.generation },
  { name: 'status', type: 'text', of: (row) => row.status },
  { name: 'version', type: 'integer', of: (row) => row.version },
  { name: 'fingerprint', type: 'bytea', of: (row) => row.fingerprint },
  { name: 'created_s', type: 'bigint', of: (row) => row.createdS },
  { name: 'deadline_s', type: 'bigint', of: (row) => row.deadlineS },
  { name: 'commit_fingerprint', type: 'bigint', of: (row) => row.commitFingerprint },
  { name: 'closed_by', type: 'text', of: (row) => row.closedBy },
  { name: 'order_id', type: 'text', of: (row) => row.orderId },
  { name: 'customer_id', type: 'text', of: (row) => row.customerId },
  { name: 'channel', type: 'text', of: (row) => row.channel },
  { name: 'actor', type: 'text', of: (row) => row.actor },
  { name: 'operations', type: 'text', of: (row) => byteaArrayText(row.operations) },
  { name: 'epoch', type: 'bigint', of: (row) => row.epoch },
  { name: 'seq', type: 'bigint', of: (row) => row.seq },
  { name: 'revived', type: 'boolean', of: (row) => row.revived },
];

/** A line with the place of its reservation among the settled ones, from 1. */
export interface SettledLine {
  readonly settled: number;
  readonly line: LineRow;
}

export const LINE_COLUMNS: readonly Column<SettledLine>[] = [
  { name: 'settled', type: 'bigint', of: ({ settled }) => settled },
  { name: 'line', type: 'integer', of: ({ line }) => line.line },
  { name: 'placement', type: 'integer', of: ({ line }) => line.placement },
  { name: 'sku_id', type: 'text', of: ({ line }) => line.cell.sku },
  { name: 'warehouse_id', type: 'text', of: ({ line }) => line.cell.warehouse },
  { name: 'pool', type: 'text', of: ({ line }) => line.cell.pool },
  { name: 'requested', type: 'bigint', of: ({ line }) => line.requested },
  { name: 'reserved', type: 'bigint', of: ({ line }) => line.reserved },
  { name: 'allocated', type: 'bigint', of: ({ line }) => line.allocated },
  { name: 'shipped', type: 'bigint', of: ({ line }) => line.shipped },
  { name: 'cancelled', type: 'bigint', of: ({ line }) => line.cancelled },
  { name: 'released', type: 'bigint', of: ({ line }) => line.released },
];

export const CELL_COLUMNS: readonly Column<CellRow>[] = [
  { name: 'sku_id', type: 'text', of: (row) => row.sku },
  { name: 'warehouse_id', type: 'text', of: (row) => row.warehouse },
  { name: 'pool', type: 'text', of: (row) => row.pool },
  { name: 'available_qty', type: 'bigint', of: (row) => row.available },
  { name: 'reserved_qty', type: 'bigint', of: (row) => row.reserved },
  { name: 'allocated_qty', type: 'bigint', of: (row) => row.allocated },
  { name: 'version', type: 'bigint', of: (row) => row.version },
  { name: 'available_before', type: 'bigint', of: (row) => row.availableBefore },
  { name: 'reserved_before', type: 'bigint', of: (row) => row.reservedBefore },
  { name: 'allocated_before', type: 'bigint', of: (row) => row.allocatedBefore },
  { name: 'suspect', type: 'text', of: (row) => row.suspect },
  { name: 'epoch', type: 'bigint', of: (row) => row.epoch },
  { name: 'seq', type: 'bigint', of: (row) => row.seq },
  { name: 'time_ms', type: 'bigint', of: (row) => row.timeMs },
];

const LANE_PARAMETER = 1;

/** The parameters behind the lane as rows, in the order in which `BatchEncoder` gives them. */
export const BATCH_ROWS: string = [
  rowsOf('batch_settled', SETTLED_COLUMNS, LANE_PARAMETER + 1),
  rowsOf('batch_lines', LINE_COLUMNS, LANE_PARAMETER + 1 + SETTLED_COLUMNS.length),
  rowsOf(
    'batch_cells',
    CELL_COLUMNS,
    LANE_PARAMETER + 1 + SETTLED_COLUMNS.length + LINE_COLUMNS.length,
  ),
].join(', ');
