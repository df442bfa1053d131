/**
 * A lane without Redis, for tests: decides operations as the scripts do, writes the entries that
 * they would write, and keeps the state that PostgreSQL must come to. It shares the entry's types
 * with the engine and nothing else.
 */
import { createHash } from 'node:crypto';
import {
  type CellField,
  cellField,
  type ReservationId,
  type Sku,
} from '../../engine/domain/ids.ts';
import { digestId } from '../../engine/domain/reservation-id.ts';
import type { CellResult, Change, Entry, EntryKey } from '../../engine/events/entry.ts';
import { NEVER } from '../../engine/events/entry.ts';
import type { SimulatedCell, SimulatedReservation, Want } from './simulated-state.ts';

export interface SimulatedLaneOptions {
  readonly timeMs?: number;
  /** JSON for every reserve; none by default. */
  readonly attributes?: string;
}

/** 2026-11-21T12:00:00Z */
const START_MS = 1_795_262_400_000;
const DAY_MS = 86_400_000;
const NO_OPERATION = Buffer.alloc(8);

export class SimulatedLane {
  readonly cells = new Map<string, SimulatedCell>();
  readonly reservations = new Map<ReservationId, SimulatedReservation>();
  last: EntryKey = NEVER;
  timeMs: number;
  readonly #attributes: string;
  #touched = new Map<string, number>();
  #changes: Change[] = [];

  constructor({ timeMs = START_MS, attributes = '' }: SimulatedLaneOptions = {}) {
    this.timeMs = timeMs;
    this.#attributes = attributes;
  }

  /** The lane opens at a new epoch. */
  open(epoch: number): Entry {
    return this.#finish('opened', { epoch, seq: 1, nonce: nonceOf(epoch, 1) });
  }

  tick(): Entry {
    return this.#finish('tick', this.#next());
  }

  /** The changes since the last entry, as one. */
  batch(): Entry {
    return this.#finish('batch', this.#next());
  }

  get pendingChanges(): number {
    return this.#changes.length;
  }

  define(sku: Sku): void {
    this.#changes.push({ type: 'product_defined', sku });
  }

  moveStock(key: string, kind: 'receive' | 'adjust', want: readonly Want[], attributes = ''): void {
    const deltas = want.map(({ sku, field, quantity }) => {
      const cell = this.#touch(sku, field);
      this.#cell(sku, field).available += quantity;
      return { cell, delta: quantity };
    });
    const id = digestId('op_', 'stock', key);
    const fingerprint = fingerprintOf(key);
    const generation = this.#generation();
    this.#changes.push({
      type: 'stock_moved',
      id,
      generation,
      kind,
      fingerprint,
      attributes,
      deltas,
    });
  }

  /** False when there is not enough of a line, or the id is taken. */
  reserve(id: ReservationId, lines: readonly Want[], ttlS = 600): boolean {
    const known = this.reservations.get(id);
    if (known !== undefined) return false;
    const left = new Map<string, number>();
    for (const { sku, field, quantity } of lines) {
      const name = cellName(sku, field);
      const available = left.get(name) ?? this.cells.get(name)?.available ?? 0;
      if (available < quantity) return false;
      left.set(name, available - quantity);
    }
    const fingerprint = fingerprintOf(id);
    const deadlineS = this.#seconds() + ttlS;
    this.reservations.set(id, {
      state: 'held',
      version: 1,
      fingerprint,
      createdS: this.#seconds(),
      deadlineS,
      commitFingerprint: 0,
      closedBy: undefined,
      operations: [],
      placements: lines.map(({ sku, field, quantity }, line) => ({
        line,
        sku,
        field,
        units: quantity,
      })),
    });
    this.#changes.push({
      type: 'reserved',
      id,
      generation: this.#generation(),
      fingerprint,
      deadlineS,
      attributes: this.#attributes,
      lines: lines.map(({ sku, field, quantity }, line) => {
        const cell = this.#touch(sku, field);
        const row = this.#cell(sku, field);
        row.available -= quantity;
        row.reserved += quantity;
        return { line, requested: quantity, placements: [{ cell, quantity }] };
      }),
    });
    return true;
  }

  /** `keep` says how many units of each placement become allocated; all of them by default. */
  commit(id: ReservationId, keep: (units: number) => number = (units) => units): boolean {
    const record = this.#inState(id, 'held');
    if (record === undefined) return false;
    const moves = record.placements
      .filter(({ units }) => units > 0)
      .map((placement) => {
        const { line, sku, field, units } = placement;
        const allocated = keep(units);
        const row = this.#cell(sku, field);
        row.reserved -= units;
        row.allocated += allocated;
        row.available += units - allocated;
        placement.units = allocated;
        return { line, cell: this.#touch(sku, field), allocated, freed: units - allocated };
      });
    record.state = 'committed';
    record.commitFingerprint = moves.some(({ freed }) => freed > 0) ? 7 : 0;
    this.#changes.push({
      type: 'committed',
      ...this.#named(id, record),
      commitFingerprint: record.commitFingerprint,
      retaken: false,
      fingerprint: record.fingerprint,
      attributes: '',
      moves,
    });
    return true;
  }

  /** A commit that brings its lines after the hold is gone. */
  retake(id: ReservationId, lines: readonly Want[]): boolean {
    const known = this.reservations.get(id);
    if (known !== undefined && known.state !== 'expired') return false;
    if (lines.some((want) => this.#available(want) < want.quantity)) return false;
    const record: SimulatedReservation = {
      state: 'committed',
      version: 0,
      fingerprint: fingerprintOf(`${id}/retaken`),
      createdS: this.#seconds(),
      deadlineS: undefined,
      commitFingerprint: 9,
      closedBy: undefined,
      operations: [],
      placements: lines.map(({ sku, field, quantity }, line) => ({
        line,
        sku,
        field,
        units: quantity,
      })),
    };
    this.reservations.set(id, record);
    const moves = lines.map(({ sku, field, quantity }, line) => {
      const row = this.#cell(sku, field);
      row.available -= quantity;
      row.allocated += quantity;
      return { line, cell: this.#touch(sku, field), allocated: quantity, freed: 0 };
    });
    this.#changes.push({
      type: 'committed',
      ...this.#named(id, record),
      commitFingerprint: record.commitFingerprint,
      retaken: true,
      fingerprint: record.fingerprint,
      attributes: '',
      moves,
    });
    return true;
  }

  extend(id: ReservationId, ttlS: number): boolean {
    const record = this.#inState(id, 'held');
    if (record === undefined) return false;
    const deadlineS = this.#seconds() + ttlS;
    record.deadlineS = deadlineS;
    this.#changes.push({ type: 'extended', ...this.#named(id, record), deadlineS });
    return true;
  }

  /** Frees the units that `take` names of each placement; the hold ends when none is left. */
  release(
    id: ReservationId,
    take: (units: number) => number = (units) => units,
    key = '',
  ): boolean {
    const record = this.#inState(id, 'held');
    if (record === undefined) return false;
    const moves = this.#take(record, take, (row, units) => {
      row.reserved -= units;
      row.available += units;
    });
    const whole = record.placements.every(({ units }) => units === 0);
    const operation = this.#settled(record, whole ? 'released' : undefined, key);
    const attributes = '';
    this.#changes.push({
      type: 'released',
      ...this.#named(id, record),
      whole,
      operation,
      attributes,
      moves,
    });
    return true;
  }

  expire(id: ReservationId): boolean {
    const record = this.#inState(id, 'held');
    if (record === undefined) return false;
    const moves = this.#take(
      record,
      (units) => units,
      (row, units) => {
        row.reserved -= units;
        row.available += units;
      },
    );
    record.state = 'expired';
    this.#changes.push({ type: 'expired', ...this.#named(id, record), moves });
    return true;
  }

  fulfil(
    type: 'cancelled' | 'shipped',
    id: ReservationId,
    take: (units: number) => number = (units) => units,
    key = '',
  ): boolean {
    const record = this.#inState(id, 'committed');
    if (record === undefined) return false;
    const moves = this.#take(record, take, (row, units) => {
      row.allocated -= units;
      if (type === 'cancelled') row.available += units;
    });
    const closed = record.placements.every(({ units }) => units === 0);
    const operation = this.#settled(record, closed ? 'closed' : undefined, key);
    if (closed) record.closedBy = type === 'cancelled' ? 'cancel' : 'ship';
    const attributes = '';
    this.#changes.push({ type, ...this.#named(id, record), closed, operation, attributes, moves });
    return true;
  }

  #take(
    record: SimulatedReservation,
    take: (units: number) => number,
    effect: (row: SimulatedCell, units: number) => void,
  ) {
    const moves: { line: number; cell: number; quantity: number }[] = [];
    for (const placement of record.placements) {
      const quantity = Math.min(placement.units, take(placement.units));
      if (quantity === 0) continue;
      placement.units -= quantity;
      effect(this.#cell(placement.sku, placement.field), quantity);
      const cell = this.#touch(placement.sku, placement.field);
      moves.push({ line: placement.line, cell, quantity });
    }
    return moves;
  }

  #settled(
    record: SimulatedReservation,
    end: 'released' | 'closed' | undefined,
    key: string,
  ): Buffer {
    if (end !== undefined) record.state = end;
    if (key === '') return NO_OPERATION;
    const operation = fingerprintOf(key);
    record.operations.push(operation);
    return operation;
  }

  #named(id: ReservationId, record: SimulatedReservation) {
    record.version++;
    return { id, generation: this.#generation(), version: record.version };
  }

  #inState(id: ReservationId, state: SimulatedReservation['state']) {
    const record = this.reservations.get(id);
    return record?.state === state ? record : undefined;
  }

  #available({ sku, field }: Want): number {
    return this.cells.get(cellName(sku, field))?.available ?? 0;
  }

  #cell(sku: Sku, field: CellField): SimulatedCell {
    const name = cellName(sku, field);
    const known = this.cells.get(name);
    if (known !== undefined) return known;
    const cell = { sku, field, available: 0, reserved: 0, allocated: 0, version: 0 };
    this.cells.set(name, cell);
    return cell;
  }

  /** Index of the cell in the entry that is being made. */
  #touch(sku: Sku, field: CellField): number {
    const name = cellName(sku, field);
    const index = this.#touched.get(name) ?? this.#touched.size;
    this.#touched.set(name, index);
    this.#cell(sku, field);
    return index;
  }

  #finish(kind: Entry['kind'], key: EntryKey): Entry {
    const cells: CellResult[] = [];
    for (const name of this.#touched.keys()) {
      const cell = this.cells.get(name);
      if (cell === undefined) continue;
      cell.version++;
      cells.push({ ...cell });
    }
    const predecessor = this.last;
    const changes = this.#changes;
    this.last = key;
    this.#changes = [];
    this.#touched = new Map();
    return { kind, key, predecessor, timeMs: this.timeMs, cells, changes };
  }

  #next(): EntryKey {
    const { epoch, seq } = this.last;
    return { epoch, seq: seq + 1, nonce: nonceOf(epoch, seq + 1) };
  }

  #seconds(): number {
    return Math.floor(this.timeMs / 1000);
  }

  #generation(): number {
    return Math.floor(this.timeMs / DAY_MS);
  }
}

export function at(warehouse: string, pool?: string): CellField {
  return cellField(warehouse, pool);
}

function cellName(sku: string, field: string): string {
  return `${sku} ${field}`;
}

function fingerprintOf(text: string): Buffer {
  return createHash('sha256').update(text).digest().subarray(0, 8);
}

/** Another history at the same place would have another nonce; `salt` makes one. */
export function nonceOf(epoch: number, seq: number, salt = 0): Buffer {
  const nonce = Buffer.alloc(8);
  nonce.writeUInt32BE(salt, 0);
  nonce.writeUInt32BE((epoch * 1_000_003 + seq) >>> 0, 4);
  return nonce;
}
