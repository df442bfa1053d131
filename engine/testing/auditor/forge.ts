/**
 * Tells a story in log entries, for the auditor's tests: each step adds a change, `write` makes an
 * honest entry of them, and a test may bend the entry before its bytes are made. The story keeps
 * what an honest lane would then stand at, so that tests can fill Redis and PostgreSQL from it.
 */
import type { CellAfter, Change, DecodedEntry, EntryId, Units } from './decode.ts';
import type { ClosedBy, HeldUnits, ReservationState } from './decode-record.ts';
import { forgeEntry } from './forge-bytes.ts';

export interface StoryCell {
  available: number;
  reserved: number;
  allocated: number;
  version: number;
}

export interface StoryHold {
  readonly id: string;
  readonly generation: number;
  state: ReservationState;
  version: number;
  deadlineS: number;
  readonly createdMs: number;
  readonly createdAt: EntryId;
  changedAt: EntryId;
  operations: string[];
  closedBy: ClosedBy | undefined;
  units: HeldUnits[];
}

export interface StoryOperation {
  readonly id: string;
  readonly kind: 'receive' | 'adjust';
  readonly day: number;
  readonly timeMs: number;
  readonly at: EntryId;
}

/** Units by cell, `TEA EU-1`: the line is the position in the list. */
export type Wanted = readonly (readonly [cell: string, units: number])[];

export const FINGERPRINT = '00000000000000ff';
const NEVER: EntryId = { epoch: 0, seq: 0, nonce: '0000000000000000' };
const NO_OPERATION = '0000000000000000';
/** 2026-11-21, noon: any day does, midnight does not. */
export const STORY_BEGINS_MS = Date.UTC(2026, 10, 21, 12);
const DAY_MS = 86_400_000;

export class Story {
  readonly cells = new Map<string, StoryCell>();
  readonly holds = new Map<string, StoryHold>();
  readonly operations: StoryOperation[] = [];
  readonly products = new Map<string, EntryId>();
  readonly written: Buffer[] = [];
  readonly entries: DecodedEntry[] = [];
  timeMs = STORY_BEGINS_MS;
  last = NEVER;
  #cells = new Map<string, number>();
  #changes: Change[] = [];

  get day(): number {
    return Math.floor(this.timeMs / DAY_MS);
  }

  get logs(): readonly Uint8Array[] {
    return this.written;
  }

  opened(epoch: number): this {
    return this.write((entry) => ({
      ...entry,
      kind: 'opened',
      id: { ...entry.id, epoch, seq: 1 },
    }));
  }

  tick(ms: number): this {
    this.timeMs += ms;
    return this.write((entry) => ({ ...entry, kind: 'tick' }));
  }

  /** Makes the entry of the steps since the last; `bend` may forge it. The story goes on honestly. */
  write(bend: (honest: DecodedEntry) => DecodedEntry = (honest) => honest): this {
    const cells = [...this.#cells.keys()].map((name): CellAfter => {
      const cell = this.#cell(name);
      cell.version += 1;
      return { ...splitName(name), ...cell };
    });
    const seq = this.last.seq + 1;
    const nonce = seq.toString(16).padStart(16, '7');
    const id = { epoch: this.last.epoch, seq, nonce };
    const { timeMs } = this;
    const honest = { kind: 'batch' as const, id, predecessor: this.last, timeMs };
    const entry = bend({ ...honest, cells, changes: this.#changes });
    this.last = entry.id;
    this.entries.push(entry);
    this.written.push(forgeEntry(entry));
    this.#cells = new Map();
    this.#changes = [];
    return this;
  }

  define(sku: string): this {
    this.products.set(sku, this.#next());
    this.#changes.push({ type: 'product_defined', sku });
    return this;
  }

  stock(id: string, wanted: Wanted, kind: 'receive' | 'adjust' = 'receive'): this {
    const deltas = wanted.map(([name, delta]) => {
      this.#cell(name).available += delta;
      return { cell: this.#index(name), delta };
    });
    const common = { id, generation: this.day, fingerprint: FINGERPRINT, attributes: '' };
    this.#changes.push({ type: 'stock_moved', ...common, kind, deltas });
    this.operations.push({ id, kind, day: this.day, timeMs: this.timeMs, at: this.#next() });
    return this;
  }

  reserve(id: string, wanted: Wanted, ttlS = 600): this {
    const deadlineS = Math.ceil(this.timeMs / 1000) + ttlS;
    const units = wanted.map(([name, count], line) => ({ line, ...splitName(name), units: count }));
    for (const [name, count] of wanted) this.#shift(name, 'available', 'reserved', count);
    const requested = new Map(wanted.map(([, count], line) => [line, count]));
    const at = this.#next();
    const hold: StoryHold = {
      id,
      generation: this.day,
      state: 'held',
      version: 1,
      deadlineS,
      units,
      createdMs: this.timeMs,
      createdAt: at,
      changedAt: at,
      operations: [],
      closedBy: undefined,
    };
    this.holds.set(id, hold);
    const common = { id, generation: this.day, fingerprint: FINGERPRINT, attributes: '' };
    const placements = this.#moves(hold);
    this.#changes.push({ type: 'reserved', ...common, deadlineS, requested, placements });
    return this;
  }

  /** Commits `keep` units of every line at most; the rest is freed. */
  commit(id: string, keep = Number.POSITIVE_INFINITY): this {
    const hold = this.#change(id);
    const moves = hold.units.map(({ line, sku, field, units }) => {
      const allocated = Math.min(keep, units);
      this.#shift(`${sku} ${field}`, 'reserved', 'allocated', allocated);
      this.#shift(`${sku} ${field}`, 'reserved', 'available', units - allocated);
      return { line, cell: this.#index(`${sku} ${field}`), allocated, freed: units - allocated };
    });
    hold.units = hold.units.map((held) => ({ ...held, units: Math.min(keep, held.units) }));
    hold.state = 'committed';
    const { generation, version } = hold;
    const common = { id, generation, version, commitFingerprint: 0, retaken: false };
    this.#changes.push({
      type: 'committed',
      ...common,
      fingerprint: FINGERPRINT,
      attributes: '',
      moves,
    });
    return this;
  }

  /** Takes the units of a hold that is gone again, and commits them. */
  retake(id: string, wanted: Wanted): this {
    for (const [name, count] of wanted) this.#shift(name, 'available', 'allocated', count);
    const at = this.#next();
    const units = wanted.map(([name, count], line) => ({ line, ...splitName(name), units: count }));
    const generation = this.holds.get(id)?.generation ?? this.day;
    const hold: StoryHold = {
      id,
      generation,
      state: 'committed',
      version: 1,
      deadlineS: 0,
      units,
      createdMs: this.timeMs,
      createdAt: at,
      changedAt: at,
      operations: [],
      closedBy: undefined,
    };
    this.holds.set(id, hold);
    const moves = this.#moves(hold).map(({ line, cell, units: allocated }) => {
      return { line, cell, allocated, freed: 0 };
    });
    const common = { id, generation, version: 1, commitFingerprint: 0, retaken: true };
    this.#changes.push({
      type: 'committed',
      ...common,
      fingerprint: FINGERPRINT,
      attributes: '',
      moves,
    });
    return this;
  }

  release(id: string): this {
    return this.#end(id, 'released');
  }

  ship(id: string): this {
    return this.#end(id, 'shipped');
  }

  cancel(id: string): this {
    return this.#end(id, 'cancelled');
  }

  /** One unit of the first line, under an operation key. */
  shipOne(id: string, operation: string): this {
    const hold = this.#change(id);
    const [first] = hold.units;
    if (first === undefined) throw new Error(`${id} has no units`);
    this.#shift(`${first.sku} ${first.field}`, 'allocated', undefined, 1);
    const cell = this.#index(`${first.sku} ${first.field}`);
    hold.units = hold.units
      .map((held) => (held === first ? { ...held, units: held.units - 1 } : held))
      .filter((held) => held.units > 0);
    hold.operations.push(operation);
    const ends = hold.units.length === 0;
    if (ends) {
      hold.state = 'closed';
      hold.closedBy = 'ship';
    }
    const { generation, version } = hold;
    const moves = [{ line: first.line, cell, units: 1 }];
    const settled = { id, generation, version, ends, operation, attributes: '', moves };
    this.#changes.push({ type: 'shipped', ...settled });
    return this;
  }

  expire(id: string): this {
    const hold = this.#change(id);
    const moves = this.#moves(hold);
    this.#free(hold, 'reserved', 'available');
    hold.state = 'expired';
    const { generation, version } = hold;
    this.#changes.push({ type: 'expired', id, generation, version, moves });
    return this;
  }

  extend(id: string, ttlS: number): this {
    const hold = this.#change(id);
    hold.deadlineS = Math.ceil(this.timeMs / 1000) + ttlS;
    const { generation, version, deadlineS } = hold;
    this.#changes.push({ type: 'extended', id, generation, version, deadlineS });
    return this;
  }

  #end(id: string, type: 'released' | 'shipped' | 'cancelled'): this {
    const hold = this.#change(id);
    const moves = this.#moves(hold);
    if (type === 'released') this.#free(hold, 'reserved', 'available');
    else this.#free(hold, 'allocated', type === 'cancelled' ? 'available' : undefined);
    hold.state = type === 'released' ? 'released' : 'closed';
    if (type !== 'released') hold.closedBy = type === 'shipped' ? 'ship' : 'cancel';
    const { generation, version } = hold;
    const settled = { id, generation, version, ends: true, operation: NO_OPERATION };
    this.#changes.push({ type, ...settled, attributes: '', moves });
    return this;
  }

  /** The place of the entry that `write` will make. */
  #next(): EntryId {
    return { ...this.last, seq: this.last.seq + 1 };
  }

  #change(id: string): StoryHold {
    const hold = this.holds.get(id);
    if (hold === undefined) throw new Error(`the story knows no ${id}`);
    hold.version += 1;
    hold.changedAt = this.#next();
    return hold;
  }

  #moves(hold: StoryHold): Units[] {
    return hold.units.map(({ line, sku, field, units }) => {
      return { line, cell: this.#index(`${sku} ${field}`), units };
    });
  }

  #free(hold: StoryHold, from: 'reserved' | 'allocated', to: 'available' | undefined): void {
    for (const { sku, field, units } of hold.units) this.#shift(`${sku} ${field}`, from, to, units);
    hold.units = [];
  }

  #shift(
    name: string,
    from: 'available' | 'reserved' | 'allocated',
    to: 'available' | 'reserved' | 'allocated' | undefined,
    units: number,
  ): void {
    const cell = this.#cell(name);
    cell[from] -= units;
    if (to !== undefined) cell[to] += units;
  }

  #cell(name: string): StoryCell {
    const known = this.cells.get(name) ?? { available: 0, reserved: 0, allocated: 0, version: 0 };
    this.cells.set(name, known);
    return known;
  }

  #index(name: string): number {
    const known = this.#cells.get(name);
    if (known !== undefined) return known;
    this.#cells.set(name, this.#cells.size);
    return this.#cells.size - 1;
  }
}

export function splitName(name: string): { sku: string; field: string } {
  const [sku = '', field = ''] = name.split(' ');
  return { sku, field };
}
