/**
 * The cells that a batch touches: the sum of its changes and the last result, one row each. An
 * entry carries its results, so the balance before the batch follows from each of them; when two
 * entries disagree about it, something changed the cell that is in no entry.
 */
import type { Cell } from '../engine/domain/cell.ts';
import { splitCellField } from '../engine/domain/ids.ts';
import type { CellResult, Entry, EntryKey, Location } from '../engine/events/entry.ts';
import { showPlace } from '../engine/log/place.ts';
import type { CellName, CellRow } from './rows.ts';

export interface CellFold {
  readonly name: CellName;
  /** Units that came (or went, negative) in the batch so far. */
  readonly change: { available: number; reserved: number; allocated: number };
  before: Omit<Cell, 'version'> | undefined;
  result: CellResult;
  /** The entry that changed it last, and when. */
  key: EntryKey;
  timeMs: number;
  suspect: string | undefined;
}

export class CellFolds {
  readonly #folds = new Map<string, CellFold>();

  /** The folds of an entry's cells, in its order; to be given to `end` with its changes added. */
  begin(entry: Entry): CellFold[] {
    return entry.cells.map((result) => {
      const key = `${result.sku} ${result.field}`;
      const known = this.#folds.get(key);
      if (known !== undefined) return known;
      const fold = makeFold(result, entry);
      this.#folds.set(key, fold);
      return fold;
    });
  }

  end(entry: Entry, folds: readonly CellFold[]): void {
    entry.cells.forEach((result, i) => {
      const fold = folds[i];
      if (fold !== undefined) close(fold, entry, result);
    });
  }

  rows(): CellRow[] {
    return Array.from(this.#folds.values(), toRow);
  }
}

export function isInCell(location: Location): location is 'available' | 'reserved' | 'allocated' {
  return location === 'available' || location === 'reserved' || location === 'allocated';
}

function makeFold(result: CellResult, entry: Entry): CellFold {
  return {
    name: { sku: result.sku, ...splitCellField(result.field) },
    change: { available: 0, reserved: 0, allocated: 0 },
    before: undefined,
    result,
    key: entry.key,
    timeMs: entry.timeMs,
    suspect: undefined,
  };
}

function close(fold: CellFold, entry: Entry, result: CellResult): void {
  const before = {
    available: result.available - fold.change.available,
    reserved: result.reserved - fold.change.reserved,
    allocated: result.allocated - fold.change.allocated,
  };
  fold.before ??= before;
  fold.suspect ??= disagreement(fold.before, before, entry);
  fold.result = result;
  fold.key = entry.key;
  fold.timeMs = entry.timeMs;
}

function disagreement(
  first: Omit<Cell, 'version'>,
  now: Omit<Cell, 'version'>,
  entry: Entry,
): string | undefined {
  for (const name of ['available', 'reserved', 'allocated'] as const) {
    const off = now[name] - first[name];
    if (off !== 0) return `${name} is off by ${off} at ${showPlace(entry.key)}`;
  }
  return undefined;
}

function toRow(fold: CellFold): CellRow {
  const { result, key, timeMs, before } = fold;
  return {
    ...fold.name,
    available: result.available,
    reserved: result.reserved,
    allocated: result.allocated,
    version: result.version,
    availableBefore: before?.available ?? result.available,
    reservedBefore: before?.reserved ?? result.reserved,
    allocatedBefore: before?.allocated ?? result.allocated,
    suspect: fold.suspect,
    epoch: key.epoch,
    seq: key.seq,
    timeMs,
  };
}
