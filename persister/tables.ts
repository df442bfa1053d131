/**
 * Where each kind of new row goes: the COPY statement, and how a row is spelled in it. Columns and
 * fields stand in the same order, side by side. (What changes rows that exist: merge-columns.ts.)
 */
import type { Entry } from '../engine/events/entry.ts';
import type { CopyWriter } from './copy-writer.ts';
import type { CreatedRow, MovementRow, OperationRow } from './rows.ts';

export interface Table<Row> {
  readonly copy: string;
  /** One row; of the tables of lines one for each of the reservation. */
  readonly write: (out: CopyWriter, row: Row, lane: number) => void;
}

function copyInto(table: string, columns: readonly string[]): string {
  return `COPY ${table} (${columns.join(', ')}) FROM STDIN (FORMAT binary)`;
}

const ENTRY_COLUMNS = 'lane epoch seq nonce pred_epoch pred_seq pred_nonce kind time_ms'.split(' ');

export const ENTRIES: Table<Entry> = {
  copy: copyInto('entries', ENTRY_COLUMNS),
  write: (out, { key, predecessor, kind, timeMs }, lane) => {
    out.row(ENTRY_COLUMNS.length);
    out.int(lane);
    out.bigint(key.epoch);
    out.bigint(key.seq);
    out.bytea(key.nonce);
    out.bigint(predecessor.epoch);
    out.bigint(predecessor.seq);
    out.bytea(predecessor.nonce);
    out.text(kind);
    out.bigint(timeMs);
  },
};

const RESERVATION_COLUMNS = (
  'reservation_id created_epoch created_seq lane generation status version fingerprint created_s ' +
  'deadline_s commit_fingerprint closed_by order_id customer_id channel actor operations epoch seq'
).split(' ');

export const CREATED: Table<CreatedRow> = {
  copy: copyInto('reservations', RESERVATION_COLUMNS),
  write: (out, row, lane) => {
    out.row(RESERVATION_COLUMNS.length);
    out.text(row.id);
    out.bigint(row.createdEpoch);
    out.bigint(row.createdSeq);
    out.int(lane);
    out.int(row.generation);
    out.text(row.status);
    out.int(row.version);
    out.bytea(row.fingerprint);
    out.bigint(row.createdS);
    out.bigint(row.deadlineS);
    out.bigint(row.commitFingerprint);
    out.text(row.closedBy);
    out.text(row.orderId);
    out.text(row.customerId);
    out.text(row.channel);
    out.text(row.actor);
    out.byteaArray(row.operations);
    out.bigint(row.epoch);
    out.bigint(row.seq);
  },
};

const LINE_COLUMNS = (
  'reservation_id created_epoch created_seq line placement sku_id warehouse_id pool requested ' +
  'reserved allocated shipped cancelled released'
).split(' ');

export const CREATED_LINES: Table<CreatedRow> = {
  copy: copyInto('reservation_lines', LINE_COLUMNS),
  write: (out, { id, createdEpoch, createdSeq, lines }) => {
    for (const line of lines) {
      out.row(LINE_COLUMNS.length);
      out.text(id);
      out.bigint(createdEpoch);
      out.bigint(createdSeq);
      out.int(line.line);
      out.int(line.placement);
      out.text(line.cell.sku);
      out.text(line.cell.warehouse);
      out.text(line.cell.pool);
      out.bigint(line.requested);
      out.bigint(line.reserved);
      out.bigint(line.allocated);
      out.bigint(line.shipped);
      out.bigint(line.cancelled);
      out.bigint(line.released);
    }
  },
};

const MOVEMENT_COLUMNS = (
  'lane epoch seq idx sku_id source_warehouse dest_warehouse pool source_location dest_location ' +
  'quantity movement_type reason reference_type reference_id unit_cost currency actor created_at'
).split(' ');

const IN_A_WAREHOUSE: ReadonlySet<string> = new Set(['available', 'reserved', 'allocated']);

export const MOVEMENTS: Table<MovementRow> = {
  copy: copyInto('stock_movements', MOVEMENT_COLUMNS),
  write: (out, row, lane) => {
    const { cause, cell } = row;
    out.row(MOVEMENT_COLUMNS.length);
    out.int(lane);
    out.bigint(cause.epoch);
    out.bigint(cause.seq);
    out.int(row.index);
    out.text(cell.sku);
    out.text(IN_A_WAREHOUSE.has(cause.source) ? cell.warehouse : undefined);
    out.text(IN_A_WAREHOUSE.has(cause.dest) ? cell.warehouse : undefined);
    out.text(cell.pool);
    out.text(cause.source);
    out.text(cause.dest);
    out.bigint(row.quantity);
    out.text(cause.type);
    out.text(cause.reason);
    out.text(cause.referenceType);
    out.text(cause.referenceId);
    out.numeric(row.unitCost);
    out.text(row.currency);
    out.text(cause.actor);
    out.timestamp(cause.timeMs);
  },
};

const OPERATION_COLUMNS = 'operation_id epoch seq lane generation kind fingerprint created_s'.split(
  ' ',
);

export const OPERATIONS: Table<OperationRow> = {
  copy: copyInto('operations', OPERATION_COLUMNS),
  write: (out, row, lane) => {
    out.row(OPERATION_COLUMNS.length);
    out.text(row.id);
    out.bigint(row.epoch);
    out.bigint(row.seq);
    out.int(lane);
    out.int(row.generation);
    out.text(row.kind);
    out.bytea(row.fingerprint);
    out.bigint(row.createdS);
  },
};
