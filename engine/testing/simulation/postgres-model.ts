/**
 * PostgreSQL: one immutable state to each transaction. Its first statement is the compare-and-set of
 * the position row; what it then writes is what the product's foldBatch gave.
 */
import type { Batch, LineRow } from '../../../persister/rows.ts';
import type { ConsumerPosition } from '../../log/event-log.ts';
import { isSameEntry } from '../../log/place.ts';
import type { Rules } from './rules.ts';
import { type Hold, nameOf, type Pg, type PgCell, type PgReservation } from './world.ts';

export interface Transaction {
  readonly from: ConsumerPosition;
  readonly to: ConsumerPosition;
  readonly batch: Batch;
  /** Bytes of the batch's entries, for the auditor. */
  readonly stored: readonly Buffer[];
  readonly timeMs: number;
  readonly parked: string | undefined;
}

/** Undefined: overtaken, the position row is another one. */
export function commit(pg: Pg, work: Transaction, rules: Rules): Pg | undefined {
  if (!isAt(pg, work.from, rules)) return undefined;
  const { batch, to } = work;
  const position = {
    ...to,
    timeMs: Math.max(pg.position.timeMs, work.timeMs),
    ...(work.parked === undefined ? {} : { parked: work.parked }),
  };
  if (batch.entries.length === 0) return { ...pg, position };
  const cells = applyCells(pg, batch);
  return {
    ...pg,
    position,
    cells: cells.cells,
    reservations: applyReservations(pg, batch),
    entries: [...pg.entries, ...batch.entries.map(({ key }) => nameOf(key))],
    bytes: [...pg.bytes, ...work.stored],
    suspect: pg.suspect ?? cells.suspect,
  };
}

function isAt({ position }: Pg, from: ConsumerPosition, rules: Rules): boolean {
  if (!rules.on('position_cas')) return position.parked === undefined;
  const isSameTerm =
    position.term === from.term || !rules.on('fence_record') || !rules.on('void_rule');
  const isSameOffset = position.offset === from.offset || !rules.on('atomic_offset');
  return isSameTerm && isSameOffset && isSameEntry(position, from) && position.parked === undefined;
}

function applyCells(pg: Pg, batch: Batch): { cells: PgCell[]; suspect: string | undefined } {
  const cells = [...pg.cells];
  let suspect: string | undefined;
  for (const { cell, cause, quantity } of batch.movements) {
    const index = cellIndex(cell.sku);
    const known = cells[index] ?? newCell();
    const ledger: Record<string, number> = { ...known.ledger };
    ledger[cause.source] = (ledger[cause.source] ?? 0) - quantity;
    ledger[cause.dest] = (ledger[cause.dest] ?? 0) + quantity;
    cells[index] = { ...known, ledger: ledger as unknown as PgCell['ledger'] };
  }
  for (const row of batch.cells) {
    const index = cellIndex(row.sku);
    const known = cells[index] ?? newCell();
    const isAsBefore =
      row.availableBefore === known.available &&
      row.reservedBefore === known.reserved &&
      row.allocatedBefore === known.allocated;
    if (!isAsBefore) suspect ??= `${row.sku} was not what the entries say it was before them`;
    if (row.suspect !== undefined) suspect ??= `${row.sku}: ${row.suspect}`;
    const { available, reserved, allocated, version, epoch, seq } = row;
    const place = { epoch, seq };
    cells[index] = { ...known, available, reserved, allocated, version, place };
  }
  return { cells, suspect };
}

function applyReservations(pg: Pg, batch: Batch): Pg['reservations'] {
  const rows: Record<string, PgReservation> = { ...pg.reservations };
  for (const row of batch.created) {
    rows[row.id] = {
      hold: {
        state: row.status,
        version: row.version,
        deadlineS: row.deadlineS ?? 0,
        lines: linesOf(row.lines, row.status),
      },
      createdEpoch: row.createdEpoch,
      place: { epoch: row.epoch, seq: row.seq },
    };
  }
  for (const row of batch.settled) {
    const known = rows[row.id];
    const before: Hold = known?.hold ?? { state: 'held', version: 0, deadlineS: 0, lines: [] };
    const state = row.status ?? before.state;
    const isLive = state === 'held' || state === 'committed';
    const lines = row.revived ? linesOf(row.lines, state) : isLive ? before.lines : [];
    const deadlineS = row.revived ? 0 : (row.deadlineS ?? before.deadlineS);
    rows[row.id] = {
      hold: { state, version: row.version, deadlineS, lines },
      createdEpoch: known?.createdEpoch ?? row.createdEpoch,
      place: { epoch: row.epoch, seq: row.seq },
    };
  }
  return rows;
}

/** What the record in Redis has: units that are held, or allocated. */
function linesOf(rows: readonly LineRow[], state: Hold['state']): Hold['lines'] {
  if (state !== 'held' && state !== 'committed') return [];
  return rows.map(({ cell, reserved, allocated }) => ({
    cell: cellIndex(cell.sku),
    units: state === 'held' ? reserved : allocated,
  }));
}

function newCell(): PgCell {
  const none = { available: 0, reserved: 0, allocated: 0 };
  return { ...none, version: 0, place: { epoch: 0, seq: 0 }, ledger: none };
}

function cellIndex(sku: string): number {
  return Number(sku.slice(1));
}
