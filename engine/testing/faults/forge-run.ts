/**
 * A run told by hand for the checker's own tests: clients, a log, Redis and PostgreSQL that agree,
 * which a test then bends in one place.
 */
import type { Change, DecodedEntry } from '../auditor/decode.ts';
import { WAREHOUSE } from './client.ts';
import {
  type FinalState,
  type StoredCell,
  type StoredReservation,
  showEntry,
} from './final-state.ts';
import type { Attempt, Invocation, Result } from './history.ts';

export const SKU = 'TEA';
const EPOCH = 4_294_967_297;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
export type BentReservation = Mutable<Omit<StoredReservation, 'lines'>> & {
  lines: Mutable<StoredReservation['lines'][number]>[];
};

/** The parts of a run, each of which may be bent. */
export interface ForgedRun {
  attempts: Mutable<Attempt>[];
  log: Mutable<DecodedEntry>[];
  redisCell: Mutable<Omit<StoredCell, 'suspect'>>;
  postgresCell: Mutable<StoredCell>;
  records: Map<string, string>;
  reservations: BentReservation[];
  received: number;
  isLogWhole: boolean;
  /** Entries, by seq, that the log lost and PostgreSQL has. */
  lacking: Set<number>;
}

/** Tells the story; every step is one entry of the log and one answered attempt. */
export class Forge {
  readonly run: ForgedRun;
  #clock = 0;
  #seq = 0;

  constructor(units: number) {
    const cell = { available: units, reserved: 0, allocated: 0, version: 1 };
    this.run = {
      attempts: [],
      log: [],
      redisCell: { ...cell },
      postgresCell: { ...cell, suspect: null },
      records: new Map(),
      reservations: [],
      received: units,
      isLogWhole: true,
      lacking: new Set(),
    };
    this.#entry('opened', []);
    this.heard({ verb: 'receive', intent: 'stock', lines: [{ sku: SKU, quantity: units }] }, OK());
    this.#write({
      type: 'stock_moved',
      id: 'op_1',
      generation: 1,
      kind: 'receive',
      fingerprint: '',
      attributes: '',
      deltas: [{ cell: 0, delta: units }],
    });
  }

  /** What a client heard, without anything that was done. */
  heard(invocation: Omit<Invocation, 'client'>, result: Result | undefined): void {
    this.run.attempts.push({
      client: 'shop',
      ...invocation,
      n: this.run.attempts.length,
      invokedMs: this.#clock++,
      endedMs: result === undefined ? undefined : this.#clock++,
      result,
    });
  }

  reserve(intent: string, quantity = 1, level = 'memory'): this {
    const id = `c.${intent}`;
    this.heard(this.wish(intent, quantity), OK(level, 'held'));
    return this.#placed(id, intent, quantity);
  }

  /** The request of a reserve, for attempts that a test tells itself. */
  wish(intent: string, quantity = 1): Omit<Invocation, 'client'> {
    const lines = [{ sku: SKU, quantity }];
    return { verb: 'reserve', intent, id: `c.${intent}`, lines };
  }

  #placed(id: string, intent: string, quantity: number): this {
    this.run.reservations.push({
      id,
      createdEpoch: EPOCH,
      createdSeq: this.#seq + 1,
      status: 'held',
      orderId: intent,
      lines: [{ sku: SKU, requested: quantity, reserved: quantity, allocated: 0 }],
    });
    this.run.records.set(id, 'held');
    this.#move(-quantity, quantity, 0);
    return this.#write({
      type: 'reserved',
      id,
      generation: 1,
      fingerprint: '',
      deadlineS: 1,
      attributes: '',
      requested: new Map([[0, quantity]]),
      placements: [{ line: 0, cell: 0, units: quantity }],
    });
  }

  commit(intent: string, level = 'logged'): this {
    const id = `c.${intent}`;
    this.heard({ verb: 'commit', intent, id }, OK(level, 'committed'));
    const row = this.#row(id);
    const units = row.lines[0]?.reserved ?? 0;
    this.#settle(row, 'committed');
    this.#move(0, -units, units);
    return this.#write({
      type: 'committed',
      id,
      generation: 1,
      version: 2,
      commitFingerprint: 0,
      retaken: false,
      fingerprint: '',
      attributes: '',
      moves: [{ line: 0, cell: 0, allocated: units, freed: 0 }],
    });
  }

  release(intent: string): this {
    const id = `c.${intent}`;
    this.heard({ verb: 'release', intent, id }, OK('memory', 'released'));
    const row = this.#row(id);
    const units = row.lines[0]?.reserved ?? 0;
    this.#settle(row, 'released');
    this.#move(units, -units, 0);
    return this.#write({
      type: 'released',
      id,
      generation: 1,
      version: 2,
      ends: true,
      operation: '',
      attributes: '',
      moves: [{ line: 0, cell: 0, units }],
    });
  }

  state(): FinalState {
    const { redisCell, postgresCell, records, reservations, received, log, lacking } = this.run;
    return {
      readAtMs: this.#clock,
      position: { epoch: EPOCH, seq: this.#seq },
      redis: { cells: new Map([[SKU, redisCell]]), records },
      postgres: {
        cells: new Map([[SKU, postgresCell]]),
        reservations,
        received: new Map([[SKU, received]]),
        entries: new Set(log.map(({ id }) => showEntry(id))),
      },
      log: log.filter(({ id }) => !lacking.has(id.seq)),
      isLogWhole: this.run.isLogWhole,
    };
  }

  #row(id: string): BentReservation {
    const row = this.run.reservations.find((each) => each.id === id);
    if (row === undefined) throw new Error(`the story has no ${id}`);
    return row;
  }

  #settle(row: BentReservation, status: string): void {
    row.status = status;
    this.run.records.set(row.id, status);
    for (const line of row.lines) {
      if (status === 'committed') line.allocated = line.reserved;
      line.reserved = 0;
    }
  }

  #move(available: number, reserved: number, allocated: number): void {
    for (const cell of [this.run.redisCell, this.run.postgresCell]) {
      cell.available += available;
      cell.reserved += reserved;
      cell.allocated += allocated;
      cell.version += 1;
    }
  }

  #write(change: Change): this {
    this.#entry('batch', [change]);
    return this;
  }

  #entry(kind: DecodedEntry['kind'], changes: Change[]): void {
    const last = this.run.log.at(-1)?.id ?? { epoch: 0, seq: 0, nonce: '00' };
    this.#seq += 1;
    const { redisCell } = this.run;
    this.run.log.push({
      kind,
      id: { epoch: EPOCH, seq: this.#seq, nonce: `0${this.#seq}` },
      predecessor: last,
      timeMs: this.#clock,
      cells: kind === 'batch' ? [{ sku: SKU, field: WAREHOUSE, ...redisCell }] : [],
      changes,
    });
  }
}

export function OK(level = 'persisted', code = 'done'): Result {
  return { outcome: 'ok', status: 200, code, level };
}

export function refused(code: string): Result {
  return { outcome: 'refused', status: 409, code };
}

export const UNKNOWN: Result = { outcome: 'unknown', status: 503, code: 'store_unavailable' };
export const FAILED: Result = { outcome: 'failed', status: 503, code: 'fenced' };
