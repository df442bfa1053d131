/**
 * Folds a lane's log, entry after entry, into the cells and reservations that it makes, and checks
 * every rule that the log alone can show: the chain, lane time, arithmetic, one winner for each
 * reservation, one effect for each id, and that no cell ever promised more than it was granted.
 *
 * The fold is *complete* while it knows the log from its first entry. It begins incomplete when told
 * so (the beginning was trimmed), and becomes so at bytes that it cannot read; then it believes the
 * first balances of each cell, and says nothing about reservations whose beginning it did not see.
 */
import { UnreadableBytes } from './cursor.ts';
import type { CellAfter, Change, DecodedEntry, EntryId, RepairedChange } from './decode.ts';
import { decodeEntry } from './decode.ts';
import type { Effect } from './effects.ts';
import { effectsOf } from './effects.ts';
import type { FoldedReservation } from './reservation.ts';
import { advance } from './reservation.ts';
import type { Invariant, Violation } from './violation.ts';

export interface FoldedCell {
  readonly sku: string;
  readonly field: string;
  available: number;
  reserved: number;
  allocated: number;
  version: number;
  /** Units received and adjusted: what may be sold at all. */
  granted: number;
  shipped: number;
  /** Sums over the reservations of the fold, kept apart from the balances that entries state. */
  heldByReservations: number;
  allocatedByReservations: number;
  /** Differences that were told already, so that a standing one is told once. */
  told: { reserved: number; allocated: number; oversold: number };
}

export interface FoldOptions {
  /** False: the log does not begin with its first entry. */
  readonly complete?: boolean;
  readonly windowMs?: number;
  /** Violations kept; those past it are only counted. */
  readonly violationsMax?: number;
  /** Reservations kept; past it those that are over are forgotten before their window is. */
  readonly reservationsMax?: number;
}

const WINDOW_MS = 86_400_000;
const VIOLATIONS_MAX = 1000;

export class LogFold {
  readonly cells = new Map<string, FoldedCell>();
  /** The newest reservation under each id; terminal ones leave when the window is over. */
  readonly reservations = new Map<string, FoldedReservation>();
  readonly products = new Set<string>();
  readonly violations: Violation[] = [];
  /** When each stock operation was done, lane time. */
  readonly #operations = new Map<string, number>();
  /** Balances that jumped without a change, and what was told of it, until a repair undoes it. */
  readonly #jumps = new Map<string, { units: number; violations: Violation[] }>();
  readonly #windowMs: number;
  readonly #violationsMax: number;
  readonly #reservationsMax: number;
  #complete: boolean;
  #last: { readonly id: EntryId; readonly timeMs: number } | undefined;
  #entries = 0;
  #changes = 0;
  #violationCount = 0;

  constructor(options: FoldOptions = {}) {
    this.#complete = options.complete ?? true;
    this.#windowMs = options.windowMs ?? WINDOW_MS;
    this.#violationsMax = options.violationsMax ?? VIOLATIONS_MAX;
    this.#reservationsMax = options.reservationsMax ?? Number.POSITIVE_INFINITY;
  }

  get complete(): boolean {
    return this.#complete;
  }

  get position(): EntryId | undefined {
    return this.#last?.id;
  }

  get counts(): { entries: number; changes: number; violations: number } {
    return {
      entries: this.#entries,
      changes: this.#changes,
      violations: this.#violationCount,
    };
  }

  cell(sku: string, field: string): FoldedCell | undefined {
    return this.cells.get(`${sku} ${field}`);
  }

  /** Decodes and folds; bytes that cannot be read are a violation, and end the fold's completeness. */
  applyBytes(bytes: Uint8Array, what?: string): DecodedEntry | undefined {
    try {
      const entry = decodeEntry(bytes, what);
      this.apply(entry);
      return entry;
    } catch (error) {
      if (!(error instanceof UnreadableBytes)) throw error;
      this.#tell('entry', what ?? 'bytes in the log', error.message);
      this.#last = undefined;
      this.#forget();
      return undefined;
    }
  }

  /** Goes on behind an entry that the log no longer has: incomplete, as after unreadable bytes. */
  resumeBehind(id: EntryId): void {
    this.#forget();
    if (this.#last !== undefined) this.#last = { id, timeMs: this.#last.timeMs };
  }

  apply(entry: DecodedEntry): void {
    this.#checkChain(entry);
    this.#checkForm(entry);
    if (this.#last !== undefined) this.#pruneAtMidnight(this.#last.timeMs, entry.timeMs);
    const effects = new Map<number, Effect>();
    const repair = entry.changes.find((change) => change.type === 'repaired');
    for (const change of entry.changes) {
      this.#changes += 1;
      // The rows that a repair writes put PostgreSQL's ledger right, not what the log adds up to.
      if (change.type !== 'repaired') effectsOf(change, effects);
      this.#applyChange(change, entry);
    }
    entry.cells.forEach((after, index) => {
      if (repair === undefined) this.#applyCell(after, effects.get(index), entry);
      else this.#repairCell(after, index, repair, entry);
    });
    if (this.reservations.size > this.#reservationsMax) this.#forgetEnded();
    this.#entries += 1;
    this.#last = { id: entry.id, timeMs: entry.timeMs };
  }

  #tell(invariant: Invariant, where: string, what: string): void {
    this.#violationCount += 1;
    if (this.violations.length < this.#violationsMax) {
      this.violations.push({ invariant, where, what });
    }
  }

  /** Nothing that follows can be judged by what was known before a hole in the log. */
  #forget(): void {
    this.#complete = false;
    this.cells.clear();
    this.reservations.clear();
  }

  /** Bounds the memory; when even the live ones are too many, the fold begins anew from here. */
  #forgetEnded(): void {
    for (const [id, { state }] of this.reservations) {
      if (state !== 'held' && state !== 'committed') this.reservations.delete(id);
    }
    // Half of the room must be free, or the next entries would each search it through.
    if (this.reservations.size > this.#reservationsMax / 2) this.#forget();
  }

  #checkChain(entry: DecodedEntry): void {
    const where = `entry ${nameOf(entry)}`;
    const { id, predecessor } = entry;
    const last = this.#last;
    if (last === undefined) {
      if (this.#complete && (predecessor.epoch !== 0 || predecessor.seq !== 0)) {
        this.#tell('chain', where, `the log begins with it, but it follows ${keyOf(predecessor)}`);
      }
    } else {
      if (keyOf(last.id) !== keyOf(predecessor)) {
        const what = `it follows ${keyOf(predecessor)}, but behind it stands ${keyOf(last.id)}`;
        this.#tell('chain', where, what);
      }
      if (entry.timeMs < last.timeMs) {
        this.#tell('time', where, `lane time went back by ${last.timeMs - entry.timeMs} ms`);
      }
    }
    const { epoch, seq } = predecessor;
    if (id.epoch < epoch) this.#tell('chain', where, `its epoch is below ${epoch}`);
    const expected = id.epoch === epoch ? seq + 1 : 1;
    if (id.seq !== expected) this.#tell('chain', where, `its seq should be ${expected}`);
    if ((id.seq === 1) !== (entry.kind === 'opened')) {
      this.#tell('chain', where, `an epoch begins with 'opened' alone, this is '${entry.kind}'`);
    }
  }

  #checkForm(entry: DecodedEntry): void {
    const where = `entry ${nameOf(entry)}`;
    if (entry.kind !== 'batch' && entry.changes.length + entry.cells.length > 0) {
      this.#tell('entry', where, `'${entry.kind}' carries changes`);
    }
    const names = new Set(entry.cells.map((cell) => `${cell.sku} ${cell.field}`));
    if (names.size < entry.cells.length) this.#tell('entry', where, 'a cell stands in it twice');
  }

  #applyChange(change: Change, entry: DecodedEntry): void {
    if (change.type === 'product_defined') {
      this.products.add(change.sku);
      return;
    }
    const where = (): string => `entry ${nameOf(entry)}, ${change.id}`;
    if (change.type === 'stock_moved') {
      const doneMs = this.#operations.get(change.id);
      if (doneMs !== undefined && entry.timeMs - doneMs < this.#windowMs) {
        this.#tell('I3', where(), `the stock operation was done twice`);
      }
      this.#operations.set(change.id, entry.timeMs);
      return;
    }
    const before = this.reservations.get(change.id);
    const rules = { windowMs: this.#windowMs, complete: this.#complete };
    const { after, faults } = advance(before, change, entry, rules);
    for (const fault of faults) this.#tell(fault.invariant, where(), fault.what);
    // A reservation that is replaced outside of the window keeps its allocated units in the sums:
    // they are still in the building, under an id that the log has since used again.
    const kept = before?.state === 'committed' && after !== undefined && isNewer(after, before);
    if (!kept) this.#sum(before, -1);
    this.#sum(after, 1);
    if (after !== undefined) this.reservations.set(change.id, after);
  }

  #sum(reservation: FoldedReservation | undefined, sign: 1 | -1): void {
    if (reservation === undefined) return;
    for (const { sku, field, units } of reservation.units) {
      const cell = this.#cellOf(sku, field);
      if (reservation.state === 'held') cell.heldByReservations += sign * units;
      if (reservation.state === 'committed') cell.allocatedByReservations += sign * units;
    }
  }

  #cellOf(sku: string, field: string): FoldedCell {
    const known = this.cell(sku, field);
    if (known !== undefined) return known;
    const cell: FoldedCell = {
      sku,
      field,
      available: 0,
      reserved: 0,
      allocated: 0,
      version: 0,
      granted: 0,
      shipped: 0,
      heldByReservations: 0,
      allocatedByReservations: 0,
      told: {
        reserved: 0,
        allocated: 0,
        oversold: 0,
      },
    };
    this.cells.set(`${sku} ${field}`, cell);
    return cell;
  }

  #applyCell(after: CellAfter, effect: Effect | undefined, entry: DecodedEntry): void {
    const where = `entry ${nameOf(entry)}, cell ${after.sku} ${after.field}`;
    const cell = this.#cellOf(after.sku, after.field);
    const seen = this.#complete || cell.version > 0;
    if (seen && after.version !== cell.version + 1) {
      this.#tell('I4', where, `version ${after.version} follows on ${cell.version}`);
    }
    for (const balance of ['available', 'reserved', 'allocated'] as const) {
      const expected = cell[balance] + (effect?.[balance] ?? 0);
      if (seen && after[balance] !== expected) {
        const what = `${balance} is ${after[balance]}, but the changes make ${expected}`;
        this.#tell('I4', where, what);
        this.#noteJump(cell, balance, after[balance] - expected);
      }
      if (after[balance] < 0) this.#tell('I1', where, `${balance} is ${after[balance]}`);
      cell[balance] = after[balance];
    }
    cell.version = after.version;
    cell.granted += effect?.granted ?? 0;
    cell.shipped += effect?.shipped ?? 0;
    if (this.#complete) this.#checkSums(cell, where);
  }

  /**
   * A repair states what is right: what the log made before (only a store was wrong), or that and
   * exactly what the repair says it was off. Then the jumps that it undoes are history, and no
   * longer told.
   */
  #repairCell(after: CellAfter, index: number, repair: RepairedChange, entry: DecodedEntry): void {
    const where = `entry ${nameOf(entry)}, cell ${after.sku} ${after.field}`;
    const cell = this.#cellOf(after.sku, after.field);
    const seen = this.#complete || cell.version > 0;
    if (seen && after.version <= cell.version) {
      this.#tell('I4', where, `a repair makes version ${after.version} out of ${cell.version}`);
    }
    const off = repair.corrections.find((correction) => correction.cell === index);
    for (const balance of ['available', 'reserved', 'allocated'] as const) {
      const moved = after[balance] - cell[balance];
      if (seen && moved !== 0 && moved !== (off?.[balance] ?? 0)) {
        this.#tell('I4', where, `a repair moves ${balance} by ${moved}, and says otherwise`);
      }
      if (after[balance] < 0) this.#tell('I1', where, `${balance} is ${after[balance]}`);
      if (moved !== 0) this.#forgiveJump(cell, balance, moved);
      cell[balance] = after[balance];
    }
    cell.version = after.version;
    if (this.#complete) this.#checkSums(cell, where);
  }

  #noteJump(cell: FoldedCell, balance: string, units: number): void {
    const name = `${cell.sku} ${cell.field} ${balance}`;
    const jump = this.#jumps.get(name) ?? { units: 0, violations: [] };
    this.#jumps.set(name, jump);
    jump.units += units;
    const told = this.violations.at(-1);
    if (told !== undefined) jump.violations.push(told);
  }

  #forgiveJump(cell: FoldedCell, balance: string, repairedUnits: number): void {
    const name = `${cell.sku} ${cell.field} ${balance}`;
    const jump = this.#jumps.get(name);
    if (jump === undefined || jump.units + repairedUnits !== 0) return;
    this.#jumps.delete(name);
    for (const violation of jump.violations) {
      const at = this.violations.indexOf(violation);
      if (at < 0) continue;
      this.violations.splice(at, 1);
      this.#violationCount -= 1;
    }
  }

  #checkSums(cell: FoldedCell, where: string): void {
    const { heldByReservations: held, allocatedByReservations: allocated, told } = cell;
    if (cell.reserved - held !== told.reserved) {
      this.#tell('I4', where, `${cell.reserved} units are reserved, its holds have ${held}`);
      told.reserved = cell.reserved - held;
    }
    if (cell.allocated - allocated !== told.allocated) {
      const what = `${cell.allocated} units are allocated, its reservations have ${allocated}`;
      this.#tell('I4', where, what);
      told.allocated = cell.allocated - allocated;
    }
    const oversold = held + allocated + cell.shipped - cell.granted;
    if (oversold > Math.max(0, told.oversold)) {
      const sum = `${allocated} committed + ${held} held + ${cell.shipped} shipped`;
      this.#tell('I1', where, `${sum} is ${oversold} more than the ${cell.granted} granted`);
    }
    told.oversold = oversold;
  }

  /** Once a day of lane time, ids whose window is over are forgotten, so that memory is bounded. */
  #pruneAtMidnight(beforeMs: number, nowMs: number): void {
    if (Math.floor(beforeMs / WINDOW_MS) === Math.floor(nowMs / WINDOW_MS)) return;
    for (const [id, reservation] of this.reservations) {
      const live = reservation.state === 'held' || reservation.state === 'committed';
      if (!live && nowMs - reservation.createdMs > 2 * this.#windowMs) this.reservations.delete(id);
    }
    for (const [id, doneMs] of this.#operations) {
      if (nowMs - doneMs > this.#windowMs) this.#operations.delete(id);
    }
  }
}

/** Folds a whole log at once. */
export function foldLog(entries: Iterable<Uint8Array>, options?: FoldOptions): LogFold {
  const fold = new LogFold(options);
  for (const bytes of entries) fold.applyBytes(bytes);
  return fold;
}

function isNewer(after: FoldedReservation, before: FoldedReservation): boolean {
  return after.createdEpoch !== before.createdEpoch || after.createdSeq !== before.createdSeq;
}

function nameOf(entry: DecodedEntry): string {
  return `${entry.id.epoch}-${entry.id.seq}`;
}

function keyOf(id: EntryId): string {
  return `${id.epoch}-${id.seq} (${id.nonce})`;
}
