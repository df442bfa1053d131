/**
 * Entries in, rows out, without any I/O. Every movement of units goes through `move`, which keeps
 * the cell, the line and the ledger in step: one source, one destination, one quantity.
 */
import type {
  Change,
  Committed,
  Entry,
  Location,
  Repaired,
  Reserved,
  StockMoved,
} from '../engine/events/entry.ts';
import { NO_ATTRIBUTES, type OperationAttributes, readAttributes } from './attributes.ts';
import { type CellFold, CellFolds, isInCell } from './fold-cells.ts';
import { ledgerRowsOf, restate } from './fold-repair.ts';
import {
  addLine,
  type LineFold,
  laneSeconds,
  lineAt,
  ReservationFolds,
  revive,
} from './fold-reservations.ts';
import type {
  Batch,
  BatchEnd,
  FinalRows,
  MovementCause,
  MovementRow,
  MovementType,
  OperationRow,
  ProductRow,
} from './rows.ts';

const DAY_MS = 86_400_000;

/** What a batch has come to so far. */
interface Folding {
  readonly cells: CellFolds;
  readonly reservations: ReservationFolds;
  readonly products: ProductRow[];
  readonly final: FinalRows;
}

/** One entry of a folding: its cells by index, and how many movements it has so far. */
interface EntryFolding extends Folding {
  readonly entry: Entry;
  readonly folds: readonly CellFold[];
  index: number;
}

/** The entries must follow one another and be free of faults (consume.ts sees to both). */
export class BatchFold {
  readonly #folding: Folding;
  readonly #days = new Set<number>();
  #entryCount = 0;
  #events = 0;
  #timeMs: number | undefined;

  constructor(final: FinalRows) {
    this.#folding = {
      cells: new CellFolds(),
      reservations: new ReservationFolds(),
      products: [],
      final,
    };
  }

  /** Changes so far. */
  get events(): number {
    return this.#events;
  }

  add(entry: Entry): void {
    const folds = this.#folding.cells.begin(entry);
    const now: EntryFolding = { ...this.#folding, entry, folds, index: 0 };
    for (const change of entry.changes) apply(now, change);
    this.#folding.cells.end(entry, folds);
    this.#folding.final.entry(entry);
    this.#entryCount += 1;
    this.#events += entry.changes.length;
    this.#timeMs = entry.timeMs;
    this.#days.add(Math.floor(entry.timeMs / DAY_MS));
  }

  end(): BatchEnd {
    const { cells, reservations, products } = this.#folding;
    return {
      created: reservations.created(),
      settled: reservations.settled(),
      cells: cells.rows(),
      products,
      entryCount: this.#entryCount,
      events: this.#events,
      days: this.#days,
      timeMs: this.#timeMs,
    };
  }
}

export function foldBatch(entries: readonly Entry[]): Batch {
  const movements: MovementRow[] = [];
  const operations: OperationRow[] = [];
  const fold = new BatchFold({
    entry: () => undefined,
    movement: (row) => void movements.push(row),
    operation: (row) => void operations.push(row),
  });
  for (const entry of entries) fold.add(entry);
  return { ...fold.end(), entries, movements, operations };
}

function apply(now: EntryFolding, change: Change): void {
  switch (change.type) {
    case 'reserved':
      reserve(now, change);
      return;
    case 'committed':
      commit(now, change);
      return;
    case 'released':
    case 'expired':
    case 'cancelled':
    case 'shipped':
      settle(now, change);
      return;
    case 'extended':
      now.reservations.settle(change, now.entry, NO_ATTRIBUTES).deadlineS = change.deadlineS;
      return;
    case 'stock_moved':
      moveStock(now, change);
      return;
    case 'product_defined':
      now.products.push({ sku: change.sku, epoch: now.entry.key.epoch, seq: now.entry.key.seq });
      return;
    case 'repaired':
      repair(now, change);
      return;
    default:
      change satisfies never;
  }
}

function reserve(now: EntryFolding, change: Reserved): void {
  const attributes = readAttributes(change.attributes);
  const fold = now.reservations.create(change, now.entry, attributes);
  const cause = causeOf(now, 'reserve', 'available', 'reserved', change.id, attributes);
  for (const line of change.lines) {
    for (const { cell, quantity } of line.placements) {
      const at = now.folds[cell];
      if (at === undefined) continue;
      move(now, cause, at, addLine(fold, line.line, at.name, line.requested), quantity);
    }
  }
}

function commit(now: EntryFolding, change: Committed): void {
  const attributes = readAttributes(change.attributes);
  const fold = now.reservations.settle(change, now.entry, attributes);
  if (change.retaken) revive(fold, change, now.entry);
  fold.status = 'committed';
  fold.commitFingerprint = change.commitFingerprint;
  const source = change.retaken ? 'available' : 'reserved';
  const taken = causeOf(now, 'commit', source, 'allocated', change.id, attributes);
  const requested = change.retaken ? unitsByLine(change) : undefined;
  change.moves.forEach((step, i) => {
    const at = now.folds[step.cell];
    if (at === undefined || step.allocated + step.freed === 0) return;
    const line = lineAt(fold, step.line, at.name, i);
    if (requested !== undefined) line.requested = requested.get(step.line) ?? step.allocated;
    move(now, taken, at, line, step.allocated);
    if (change.retaken || step.freed === 0) return;
    const freed = causeOf(now, 'release', 'reserved', 'available', change.id, attributes);
    move(now, { ...freed, reason: 'partial_commit' }, at, line, step.freed);
  });
}

function unitsByLine(change: Committed): Map<number, number> {
  const units = new Map<number, number>();
  for (const { line, allocated } of change.moves) {
    units.set(line, (units.get(line) ?? 0) + allocated);
  }
  return units;
}

const SETTLEMENTS = {
  released: { type: 'release', source: 'reserved', dest: 'available' },
  expired: { type: 'expire', source: 'reserved', dest: 'available' },
  cancelled: { type: 'cancel', source: 'allocated', dest: 'available' },
  shipped: { type: 'ship', source: 'allocated', dest: 'customer' },
} as const;

function settle(
  now: EntryFolding,
  change: Extract<Change, { type: keyof typeof SETTLEMENTS }>,
): void {
  const attributes = change.type === 'expired' ? NO_ATTRIBUTES : readAttributes(change.attributes);
  const fold = now.reservations.settle(change, now.entry, attributes);
  const { type, source, dest } = SETTLEMENTS[change.type];
  fold.status = endState(change) ?? fold.status;
  if (fold.status === 'closed' && (type === 'cancel' || type === 'ship')) fold.closedBy = type;
  if (change.type !== 'expired' && isKey(change.operation)) fold.operations.push(change.operation);
  const cause = causeOf(now, type, source, dest, change.id, attributes);
  change.moves.forEach((step, i) => {
    const at = now.folds[step.cell];
    if (at !== undefined) {
      move(now, cause, at, lineAt(fold, step.line, at.name, i), step.quantity);
    }
  });
}

function endState(change: Extract<Change, { type: keyof typeof SETTLEMENTS }>) {
  if (change.type === 'expired') return 'expired';
  if (change.type === 'released') return change.whole ? 'released' : undefined;
  return change.closed ? 'closed' : undefined;
}

function isKey(operation: Buffer): boolean {
  return operation.some((byte) => byte !== 0);
}

const STOCK_SOURCES = { receive: 'supplier', adjust: 'loss' } as const;

function moveStock(now: EntryFolding, change: StockMoved): void {
  const attributes = readAttributes(change.attributes);
  const outside = STOCK_SOURCES[change.kind];
  const came = causeOf(now, change.kind, outside, 'available', change.id, attributes);
  const went = causeOf(now, change.kind, 'available', outside, change.id, attributes);
  change.deltas.forEach(({ cell, delta }, i) => {
    const at = now.folds[cell];
    if (at === undefined) return;
    const cause = delta < 0 ? went : came;
    move(now, cause, at, undefined, Math.abs(delta), attributes.lines[i]);
  });
  now.final.operation({
    id: change.id,
    kind: change.kind,
    generation: change.generation,
    fingerprint: change.fingerprint,
    epoch: now.entry.key.epoch,
    seq: now.entry.key.seq,
    createdS: laneSeconds(now.entry),
  });
}

/** The ledger's rows move no balance here: by how much a balance was off is said beside them. */
function repair(now: EntryFolding, change: Repaired): void {
  for (const { cell, available, reserved, allocated } of change.corrections) {
    const fold = now.folds[cell];
    if (fold === undefined) continue;
    fold.change.available += available;
    fold.change.reserved += reserved;
    fold.change.allocated += allocated;
  }
  for (const row of ledgerRowsOf(change, now.entry, now.folds)) {
    now.final.movement({ ...row, index: now.index++ });
  }
  if (change.reservation === undefined) return;
  const { version } = change.reservation;
  const fold = now.reservations.settle({ ...change, version }, now.entry, NO_ATTRIBUTES);
  restate(fold, change.reservation, now.folds);
}

function causeOf(
  now: EntryFolding,
  type: MovementType,
  source: Location,
  dest: Location,
  id: string,
  attributes: OperationAttributes,
): MovementCause {
  const isStock = type === 'receive' || type === 'adjust';
  const { referenceType = 'operation', referenceId = id } = isStock ? attributes : NO_ATTRIBUTES;
  return {
    type,
    source,
    dest,
    reason: attributes.reason,
    referenceType: isStock ? referenceType : 'reservation',
    referenceId,
    actor: attributes.actor,
    epoch: now.entry.key.epoch,
    seq: now.entry.key.seq,
    timeMs: now.entry.timeMs,
  };
}

function move(
  now: EntryFolding,
  cause: MovementCause,
  at: CellFold,
  line: LineFold | undefined,
  quantity: number,
  cost?: OperationAttributes['lines'][number],
): void {
  if (quantity === 0) return;
  const { source, dest } = cause;
  if (isInCell(source)) at.change[source] -= quantity;
  if (isInCell(dest)) at.change[dest] += quantity;
  if (line !== undefined) moveLine(line, source, dest, quantity);
  now.final.movement({
    cause,
    index: now.index++,
    cell: at.name,
    quantity,
    unitCost: cost?.unitCost,
    currency: cost?.currency,
  });
}

function moveLine(line: LineFold, source: Location, dest: Location, quantity: number): void {
  if (source === 'reserved') line.reserved -= quantity;
  if (source === 'allocated') line.allocated -= quantity;
  if (dest === 'reserved') line.reserved += quantity;
  if (dest === 'allocated') line.allocated += quantity;
  if (dest === 'customer') line.shipped += quantity;
  if (dest === 'available') line[source === 'reserved' ? 'released' : 'cancelled'] += quantity;
}
