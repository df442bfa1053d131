/** What a change does to the balances of the cells of its entry, as sums by index of the cell. */
import type { Change, RepairLocation } from './decode.ts';

export interface Effect {
  available: number;
  reserved: number;
  allocated: number;
  shipped: number;
  granted: number;
}

/** Adds the change's effect on each of its cells to `sums`. */
export function effectsOf(change: Change, sums: Map<number, Effect>): void {
  const at = (cell: number): Effect => {
    const known = sums.get(cell);
    if (known !== undefined) return known;
    const none = { available: 0, reserved: 0, allocated: 0, shipped: 0, granted: 0 };
    sums.set(cell, none);
    return none;
  };
  switch (change.type) {
    case 'reserved':
      for (const { cell, units } of change.placements)
        transfer(at(cell), 'available', 'reserved', units);
      return;
    case 'committed':
      for (const { cell, allocated, freed } of change.moves) {
        transfer(at(cell), change.retaken ? 'available' : 'reserved', 'allocated', allocated);
        transfer(at(cell), 'reserved', 'available', freed);
      }
      return;
    case 'released':
    case 'expired':
      for (const { cell, units } of change.moves)
        transfer(at(cell), 'reserved', 'available', units);
      return;
    case 'cancelled':
      for (const { cell, units } of change.moves)
        transfer(at(cell), 'allocated', 'available', units);
      return;
    case 'shipped':
      for (const { cell, units } of change.moves) transfer(at(cell), 'allocated', 'shipped', units);
      return;
    case 'stock_moved':
      for (const { cell, delta } of change.deltas) {
        at(cell).available += delta;
        at(cell).granted += delta;
      }
      return;
    case 'repaired':
      // What its rows in the ledger come to; cell by cell the fold asks what the entry states.
      for (const { cell, source, dest, units } of change.movements) {
        add(at(cell), source, -units);
        add(at(cell), dest, units);
      }
      return;
    default:
  }
}

function add(effect: Effect, location: RepairLocation, units: number): void {
  if (location === 'customer') effect.shipped += units;
  else if (location === 'supplier' || location === 'loss' || location === 'drift') {
    effect.granted -= units;
  } else effect[location] += units;
}

function transfer(effect: Effect, from: keyof Effect, to: keyof Effect, units: number): void {
  effect[from] -= units;
  effect[to] += units;
}
