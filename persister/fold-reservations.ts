/**
 * The reservations that a batch touches. One that begins in the batch is followed from its first
 * state to its last and written once; one that PostgreSQL has already is a set of changes to its
 * newest row.
 */
import type { Committed, Entry, Released, Reserved } from '../engine/events/entry.ts';
import type { OperationAttributes } from './attributes.ts';
import type { CellName, CreatedRow, LineRow, SettledRow } from './rows.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export type LineFold = Mutable<LineRow>;

/** Undefined in a field: the batch did not say, so what PostgreSQL has stays. */
export interface ReservationFold extends Mutable<Omit<SettledRow, 'lines' | 'operations'>> {
  readonly isNew: boolean;
  lines: LineFold[];
  operations: Buffer[];
}

const MS_PER_S = 1000;

export class ReservationFolds {
  readonly #newest = new Map<string, ReservationFold>();
  readonly #all: ReservationFold[] = [];

  create(change: Reserved, entry: Entry, attributes: OperationAttributes): ReservationFold {
    const fold = this.#add(change, entry, true);
    fold.status = 'held';
    fold.version = 1;
    fold.fingerprint = change.fingerprint;
    fold.createdS = laneSeconds(entry);
    fold.deadlineS = change.deadlineS;
    fold.commitFingerprint = 0;
    attribute(fold, attributes);
    return fold;
  }

  /** The reservation that the change settles, brought to the change's version. */
  settle(
    change: Pick<Released, 'id' | 'generation' | 'version'>,
    entry: Entry,
    attributes: OperationAttributes,
  ): ReservationFold {
    const fold = this.#newest.get(change.id) ?? this.#add(change, entry, false);
    fold.version = change.version;
    // A record that had left Redis and came back stands in the generation of today.
    fold.generation = change.generation;
    fold.epoch = entry.key.epoch;
    fold.seq = entry.key.seq;
    attribute(fold, attributes);
    return fold;
  }

  created(): CreatedRow[] {
    return this.#all.filter(isCreated);
  }

  settled(): SettledRow[] {
    return this.#all.filter((fold) => !fold.isNew);
  }

  #add(change: Pick<Reserved, 'id' | 'generation'>, entry: Entry, isNew: boolean): ReservationFold {
    const { epoch, seq } = entry.key;
    const fold: ReservationFold = {
      id: change.id,
      isNew,
      revived: false,
      createdEpoch: epoch,
      createdSeq: seq,
      status: undefined,
      version: 0,
      generation: change.generation,
      fingerprint: undefined,
      createdS: undefined,
      deadlineS: undefined,
      commitFingerprint: undefined,
      closedBy: undefined,
      orderId: undefined,
      customerId: undefined,
      channel: undefined,
      actor: undefined,
      operations: [],
      epoch,
      seq,
      lines: [],
    };
    this.#newest.set(change.id, fold);
    this.#all.push(fold);
    return fold;
  }
}

/** The record begins anew, committed: as the script wrote it when it took the units again. */
export function revive(fold: ReservationFold, change: Committed, entry: Entry): void {
  fold.revived = true;
  fold.fingerprint = change.fingerprint;
  fold.createdS = laneSeconds(entry);
  fold.deadlineS = undefined;
  fold.operations = [];
}

/** Moves come in the order of the lines, so the search starts where the last one ended. */
export function lineAt(
  fold: ReservationFold,
  line: number,
  cell: CellName,
  hint: number,
): LineFold {
  const { lines } = fold;
  for (let i = 0; i < lines.length; i++) {
    const found = lines[(hint + i) % lines.length];
    if (found !== undefined && found.line === line && isSameCell(found.cell, cell)) return found;
  }
  return addLine(fold, line, cell, 0);
}

/** `requested` of every placement is that of the whole line. */
export function addLine(
  fold: ReservationFold,
  line: number,
  cell: CellName,
  requested: number,
): LineFold {
  let placement = 0;
  for (let i = fold.lines.length; i > 0 && fold.lines[i - 1]?.line === line; i--) placement++;
  const none = { reserved: 0, allocated: 0, shipped: 0, cancelled: 0, released: 0 };
  const added: LineFold = { line, placement, cell, requested, ...none };
  fold.lines.push(added);
  return added;
}

export function laneSeconds(entry: Entry): number {
  return Math.floor(entry.timeMs / MS_PER_S);
}

function isSameCell(a: CellName, b: CellName): boolean {
  return a.sku === b.sku && a.warehouse === b.warehouse && a.pool === b.pool;
}

/** The order is often known only at the commit; who acted is told by the movements. */
function attribute(fold: ReservationFold, attributes: OperationAttributes): void {
  fold.orderId = attributes.orderId ?? fold.orderId;
  fold.customerId = attributes.customerId ?? fold.customerId;
  fold.channel = attributes.channel ?? fold.channel;
  fold.actor ??= attributes.actor;
}

/** `create` gave it all that a row has. */
function isCreated(fold: ReservationFold): fold is ReservationFold & CreatedRow {
  return fold.isNew;
}
