/**
 * An entry may have the right form and still say what no script can have written: then it is as
 * unreadable as one that ends early. What passes here can be stored, whatever it says.
 */
import { isId, splitCellField } from '../engine/domain/ids.ts';
import type { CellResult, Change, Entry, Repaired } from '../engine/events/entry.ts';

/** The end of the year 9999: beyond it dates have another form. */
const TIME_MS_MAX = 253_402_300_799_999;

/** What is wrong with the entry; undefined when nothing is. */
export function faultOf(entry: Entry): string | undefined {
  if (!(entry.timeMs >= 0 && entry.timeMs <= TIME_MS_MAX)) return `its time is ${entry.timeMs} ms`;
  for (const cell of entry.cells) {
    if (!isStorable(cell)) return `it names the cell ${cell.sku} ${cell.field}`;
  }
  for (const change of entry.changes) {
    const name = change.type === 'product_defined' ? change.sku : change.id;
    if (!isId(name)) return `a change has the id ${JSON.stringify(name)}`;
    if (!namesCells(change, entry.cells.length)) {
      return `${change.type} of ${name} names a cell that the entry does not have`;
    }
  }
  return undefined;
}

function isStorable(cell: CellResult): boolean {
  const { warehouse, pool } = splitCellField(cell.field);
  return (
    isId(cell.sku) &&
    isId(warehouse) &&
    isId(pool) &&
    Number.isSafeInteger(cell.available) &&
    Number.isSafeInteger(cell.reserved) &&
    Number.isSafeInteger(cell.allocated) &&
    Number.isSafeInteger(cell.version)
  );
}

/** True when every index of a cell in the change is below `cells`. */
function namesCells(change: Change, cells: number): boolean {
  switch (change.type) {
    case 'reserved':
      return change.lines.every((line) => line.placements.every(({ cell }) => cell < cells));
    case 'stock_moved':
      return change.deltas.every(({ cell, delta }) => cell < cells && Number.isSafeInteger(delta));
    case 'repaired':
      return isRepairOf(change, cells);
    case 'extended':
    case 'product_defined':
      return true;
    default:
      return change.moves.every(({ cell }) => cell < cells);
  }
}

/** A repair names cells of the entry, moves positive units, and counts in safe integers. */
function isRepairOf(change: Repaired, cells: number): boolean {
  const { corrections, movements, reservation } = change;
  return (
    corrections.every(
      (each) =>
        each.cell < cells &&
        [each.available, each.reserved, each.allocated].every(Number.isSafeInteger),
    ) &&
    movements.every(
      ({ cell, source, dest, quantity }) =>
        cell < cells && source !== dest && quantity > 0 && Number.isSafeInteger(quantity),
    ) &&
    (reservation?.lines ?? []).every(
      ({ cell, reserved, allocated }) =>
        cell < cells && Number.isSafeInteger(reserved) && Number.isSafeInteger(allocated),
    )
  );
}
