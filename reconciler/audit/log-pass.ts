/**
 * The log against PostgreSQL: folds the entries up to the snapshot's position with the auditor's
 * own arithmetic, and walks the same entries through `entries` and `stock_movements`, so that a lost
 * row, a row too many and a wrong quantity are each found at the entry that they belong to. At the
 * end the fold's cells and reservations must be those of PostgreSQL.
 */
import { UnreadableBytes } from '../../engine/testing/auditor/cursor.ts';
import type { DecodedEntry } from '../../engine/testing/auditor/decode.ts';
import { decodeEntry } from '../../engine/testing/auditor/decode.ts';
import type { Effect } from '../../engine/testing/auditor/effects.ts';
import { effectsOf } from '../../engine/testing/auditor/effects.ts';
import { LogFold } from '../../engine/testing/auditor/fold.ts';
import { book, explainMovements, isSameEffect, showEffect } from './booked.ts';
import { describeReservation, digestOfReservation, isSameCell, showCell } from './compare.ts';
import type { Findings } from './difference.ts';
import type { Digests } from './digests.ts';
import { LedgerRepairs } from './ledger-repairs.ts';
import { inPieces } from './pieces.ts';
import type { Place } from './place.ts';
import { isSamePlace, reaches, showPlace } from './place.ts';
import { Pull } from './pull.ts';
import type { EntryRow, MovementRow, Snapshot } from './snapshot.ts';

/** One entry of the log. */
export interface LogItem {
  readonly bytes: Uint8Array;
  /** By which errors call it. */
  readonly name: string;
  /** The id under which it stands in a stream; Kafka's records have none. */
  readonly place?: Place;
  /** Where the source has decoded it already. */
  readonly entry?: DecodedEntry;
}

/** Thrown by a source whose log was trimmed while it was read: what follows cannot be judged. */
export class LogTrimmed extends Error {
  override readonly name = 'LogTrimmed';
}

export interface LogPass {
  readonly entries: number;
  readonly changes: number;
  /** The first entry that the log still has. */
  readonly from: Place | null;
  /** The fold knows the log from its very first entry to the snapshot's position. */
  readonly complete: boolean;
  /** Entries that only PostgreSQL remembers: the stream lost them with a tail that Redis lost. */
  readonly lostFromStream: number;
}

export interface LogPassDeps {
  readonly snapshot: Snapshot;
  readonly findings: Findings;
  /** Of the reservations that the records' pass read from PostgreSQL (`digestOfReservation`). */
  readonly stored: Digests;
  readonly limits: LogPassLimits;
}

export interface LogPassLimits {
  readonly violationsMax: number;
  /** Reservations that the fold keeps; past it, it goes on without those that are over. */
  readonly reservationsMax: number;
}

export async function auditLog(log: AsyncIterable<LogItem>, deps: LogPassDeps): Promise<LogPass> {
  let walk: Walk | undefined;
  let trimmed = false;
  try {
    for await (const item of log) {
      walk ??= new Walk(item, deps);
      if (!(await walk.step(item))) break;
    }
  } catch (error) {
    if (!(error instanceof LogTrimmed)) throw error;
    trimmed = true;
  }
  if (walk === undefined) return NO_LOG;
  return walk.finish(trimmed);
}

const NO_LOG: LogPass = {
  entries: 0,
  changes: 0,
  from: null,
  complete: false,
  lostFromStream: 0,
};

function tryDecode(item: LogItem): DecodedEntry | undefined {
  if (item.entry !== undefined) return item.entry;
  try {
    return decodeEntry(item.bytes, item.name);
  } catch (error) {
    if (error instanceof UnreadableBytes) return undefined;
    throw error;
  }
}

class Walk {
  readonly #snapshot: Snapshot;
  readonly #findings: Findings;
  readonly #stored: Digests;
  readonly #fold: LogFold;
  readonly #from: Place | null;
  readonly #entries: Pull<EntryRow>;
  readonly #movements: Pull<MovementRow>;
  readonly #ledgerRepairs = new LedgerRepairs();
  #lostFromStream = 0;

  constructor(first: LogItem, { snapshot, findings, stored, limits }: LogPassDeps) {
    this.#snapshot = snapshot;
    this.#findings = findings;
    this.#stored = stored;
    const begin = tryDecode(first);
    this.#fold = new LogFold({ ...limits, complete: begin?.predecessor.epoch === 0 });
    this.#from = begin?.id ?? null;
    const from = this.#from ?? { epoch: 0, seq: 0 };
    this.#entries = new Pull(snapshot.entries(from));
    this.#movements = new Pull(snapshot.movements(from));
  }

  /** False when the entry stands behind the snapshot's position: the walk is over. */
  async step(item: LogItem): Promise<boolean> {
    const entry = tryDecode(item);
    if (entry === undefined) {
      this.#fold.applyBytes(item.bytes, item.name);
      return true;
    }
    if (!reaches(this.#snapshot.position, entry.id)) return false;
    if (item.place !== undefined && !isSamePlace(item.place, entry.id)) {
      const where = `entry ${showPlace(entry.id)}`;
      const explanation = `it stands in the stream as ${showPlace(item.place)}`;
      this.#findings.add({ invariant: 'chain', where, explanation });
    }
    if (item.place !== undefined && entry.kind === 'opened') await this.#passLostTail(entry);
    this.#fold.apply(entry);
    await this.#matchEntry(entry);
    await this.#matchMovements(entry);
    return true;
  }

  /**
   * Redis lost the tail of the stream and was recovered from PostgreSQL, which had it: then the
   * epoch begins behind an entry that only PostgreSQL has. Kafka's log loses nothing of the kind.
   */
  async #passLostTail(opened: DecodedEntry): Promise<void> {
    const { predecessor } = opened;
    const reached = this.#fold.position;
    if (reached === undefined || isSamePlace(reached, predecessor)) return;
    const rows = await this.#entries.peekWhile((row) => reaches(predecessor, row));
    const last = rows.at(-1);
    if (last === undefined || !isSamePlace(last, predecessor)) return;
    if (last.nonce.toString('hex') !== predecessor.nonce) return;
    this.#lostFromStream += rows.length;
    for (const _ of rows) this.#entries.take();
    this.#fold.resumeBehind(predecessor);
  }

  /** `trimmed`: the log broke off, so that nothing can be said about what it does not have. */
  async finish(trimmed: boolean): Promise<LogPass> {
    const next = trimmed ? undefined : await this.#entries.peek();
    if (next !== undefined) {
      const reached = this.#fold.position;
      const log = reached === undefined ? 'nothing' : `ends at ${showPlace(reached)}`;
      const postgres = `at ${showPlace(this.#snapshot.position)}`;
      const explanation = 'PostgreSQL applied entries behind the end of the log';
      const where = `entry ${showPlace(next)}`;
      this.#findings.add({ invariant: 'I5', where, postgres, log, explanation });
    }
    for (const { invariant, where, what } of this.#fold.violations) {
      this.#findings.add({ invariant, where, log: what, explanation: 'the log itself is wrong' });
    }
    for (const found of this.#ledgerRepairs.standing()) this.#findings.add(found);
    await this.#compareCells();
    await this.#compareReservations();
    await this.#entries.close();
    await this.#movements.close();
    const { entries, changes } = this.#fold.counts;
    const reached = this.#fold.position;
    const complete =
      this.#fold.complete && reached !== undefined && isSamePlace(reached, this.#snapshot.position);
    return { entries, changes, from: this.#from, complete, lostFromStream: this.#lostFromStream };
  }

  async #matchEntry(entry: DecodedEntry): Promise<void> {
    const where = `entry ${showPlace(entry.id)}`;
    let row = await this.#entries.peek();
    while (row !== undefined && !reaches(row, entry.id)) {
      this.#phantomEntry(row);
      this.#entries.take();
      row = await this.#entries.peek();
    }
    if (row === undefined || !isSamePlace(row, entry.id)) {
      const explanation = 'PostgreSQL stands behind this entry but never applied it';
      this.#findings.add({
        invariant: 'I4',
        where,
        postgres: 'nothing',
        log: entry.kind,
        explanation,
      });
      return;
    }
    this.#entries.take();
    const nonce = row.nonce.toString('hex');
    if (nonce === entry.id.nonce) return;
    const explanation = 'PostgreSQL applied another entry of the same place: a fork';
    this.#findings.add({
      invariant: 'chain',
      where,
      postgres: nonce,
      log: entry.id.nonce,
      explanation,
    });
  }

  #phantomEntry(row: EntryRow): void {
    const where = `entry ${showPlace(row)}`;
    const explanation = 'PostgreSQL applied an entry that the log does not have';
    this.#findings.add({
      invariant: 'I5',
      where,
      postgres: 'applied',
      log: 'nothing',
      explanation,
    });
  }

  /** The movements of the entry, summed by cell, must be what its changes do. */
  async #matchMovements(entry: DecodedEntry): Promise<void> {
    const booked = new Map<string, Effect>();
    for (;;) {
      const row = await this.#movements.peek();
      // Movements of a place that the log does not have are told with their entry.
      if (row === undefined || !reaches(entry.id, row)) break;
      if (isSamePlace(row, entry.id)) book(booked, row);
      this.#movements.take();
    }
    const effects = new Map<number, Effect>();
    for (const change of entry.changes) effectsOf(change, effects);
    const due = new Map<string, Effect>();
    for (const [index, effect] of effects) {
      const cell = entry.cells[index];
      if (cell !== undefined) due.set(`${cell.sku} ${cell.field}`, effect);
    }
    for (const name of new Set([...due.keys(), ...booked.keys()])) {
      if (isSameEffect(booked.get(name), due.get(name))) continue;
      const [postgres, log] = [showEffect(booked.get(name)), showEffect(due.get(name))];
      const where = `entry ${showPlace(entry.id)}, cell ${name}`;
      const explanation = explainMovements(booked.get(name), due.get(name));
      this.#ledgerRepairs.note(name, booked.get(name), due.get(name), {
        invariant: due.has(name) ? 'I4' : 'I5',
        where,
        postgres,
        log,
        explanation,
      });
    }
    const repair = entry.changes.find((change) => change.type === 'repaired');
    if (repair !== undefined) this.#ledgerRepairs.repair(repair.cause, due);
  }

  async #compareCells(): Promise<void> {
    if (this.#fold.cells.size === 0) return;
    const seen = new Set<string>();
    for await (const cells of this.#snapshot.cells()) {
      for (const cell of cells) {
        const name = `${cell.sku} ${cell.field}`;
        const folded = this.#fold.cells.get(name);
        if (folded !== undefined) seen.add(name);
        if (folded === undefined && !this.#fold.complete) continue;
        if (isSameCell(cell, folded)) continue;
        this.#mustBeEqual(`cell ${name}`, showCell(cell), showCell(folded));
      }
    }
    for (const [name, folded] of this.#fold.cells) {
      if (!seen.has(name)) this.#mustBeEqual(`cell ${name}`, 'nothing', showCell(folded));
    }
  }

  /** Those that are not as the records' pass saw them, each by its id. */
  async #compareReservations(): Promise<void> {
    const { reservations } = this.#fold;
    const doubtful: string[] = [];
    for (const [id, folded] of reservations) {
      if (!this.#stored.has(digestOfReservation(folded))) doubtful.push(id);
    }
    for (const ids of inPieces(doubtful, LOOKUP_MAX)) {
      const stored = await this.#snapshot.reservations(ids);
      for (const id of ids) {
        const [postgres, log] = [stored.get(id)?.[0], reservations.get(id)];
        this.#mustBeEqual(
          `reservation ${id}`,
          describeReservation(postgres),
          describeReservation(log),
        );
      }
    }
  }

  #mustBeEqual(where: string, postgres: string, log: string): void {
    if (postgres === log) return;
    const invariant = log === 'nothing' ? 'I5' : 'I4';
    const explanation = 'PostgreSQL is not what the log adds up to';
    this.#findings.add({ invariant, where, postgres, log, explanation });
  }
}

const LOOKUP_MAX = 1000;
