/** What a repair of `holdfast reconcile` writes: rows of the ledger, and a reservation as it is. */
import { splitCellField } from '../engine/domain/ids.ts';
import type { ReservationRecord } from '../engine/domain/reservation.ts';
import type { Entry, Repaired } from '../engine/events/entry.ts';
import { readAttributes } from './attributes.ts';
import type { CellFold } from './fold-cells.ts';
import type { ReservationFold } from './fold-reservations.ts';
import { lineAt } from './fold-reservations.ts';
import type { CellName, MovementRow } from './rows.ts';

export function ledgerRowsOf(
  change: Repaired,
  entry: Entry,
  folds: readonly CellFold[],
): Omit<MovementRow, 'index'>[] {
  const { actor } = readAttributes(change.attributes);
  return change.movements.flatMap(({ cell, source, dest, quantity }) => {
    const at = folds[cell];
    if (at === undefined) return [];
    const cause = {
      type: 'repair',
      source,
      dest,
      reason: `reconcile: ${change.cause}`,
      referenceType: change.generation === 0 ? 'repair' : 'reservation',
      referenceId: change.id,
      actor,
      epoch: entry.key.epoch,
      seq: entry.key.seq,
      timeMs: entry.timeMs,
    } as const;
    return [{ cause, cell: at.name, quantity, unitCost: undefined, currency: undefined }];
  });
}

/** The record begins anew as it is, and each line moves by what it was off. */
export function restate(
  fold: ReservationFold,
  { record, lines }: NonNullable<Repaired['reservation']>,
  folds: readonly CellFold[],
): void {
  fold.revived = true;
  fold.status = record.state;
  fold.fingerprint = record.fingerprint;
  fold.createdS = record.createdS;
  fold.operations = 'operations' in record ? [...record.operations] : [];
  if (record.state === 'held') fold.deadlineS = record.deadlineS;
  if ('commitFingerprint' in record) fold.commitFingerprint = record.commitFingerprint;
  if (record.state === 'closed') fold.closedBy = record.closedBy;
  // The record's placements come first, in its order: a commit of less frees them in that order.
  for (const { line, cell, requested } of placementsOf(record)) {
    lineAt(fold, line, cell, fold.lines.length).requested = requested;
  }
  lines.forEach(({ line, cell, requested, reserved, allocated }, i) => {
    const at = folds[cell];
    if (at === undefined) return;
    const row = lineAt(fold, line, at.name, i);
    row.requested = requested;
    row.reserved += reserved;
    row.allocated += allocated;
  });
}

function placementsOf(
  record: ReservationRecord,
): { line: number; cell: CellName; requested: number }[] {
  if (!('lines' in record)) return [];
  return record.lines.flatMap(({ line, sku, requested, placements }) =>
    placements.map(({ field }) => ({ line, cell: { sku, ...splitCellField(field) }, requested })),
  );
}
