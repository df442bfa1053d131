/**
 * The log, read on its own: it is one chain, it never sells more than it was given, each reservation
 * has one life in it, and where it ends the stores stand.
 */
import type { Change, DecodedEntry, EntryId } from '../auditor/decode.ts';
import { type FinalState, showEntry as show } from './final-state.ts';
import type { FaultViolation } from './verdict.ts';

interface Cell {
  received: number;
  held: number;
  allocated: number;
}

/** What the log makes of one id. */
interface Life {
  state: string;
  /** Units by SKU, held or allocated. */
  readonly units: Map<string, number>;
}

export function checkLog(state: FinalState): FaultViolation[] {
  if (state.log === undefined) return [];
  const walk = new LogWalk(state.isLogWhole ? new Set() : state.postgres.entries);
  for (const entry of state.log) walk.step(entry);
  return [...walk.violations, ...walk.compare(state)];
}

class LogWalk {
  readonly violations: FaultViolation[] = [];
  /** Entries that the log may lack. */
  readonly #mayLack: ReadonlySet<string>;
  /** Something is lacking: what was made of ids and cells so far says nothing any more. */
  #isPartial = false;
  readonly #cells = new Map<string, Cell>();
  readonly #lives = new Map<string, Life>();
  #last: EntryId | undefined;
  #lastMs = 0;

  constructor(mayLack: ReadonlySet<string>) {
    this.#mayLack = mayLack;
  }

  step(entry: DecodedEntry): void {
    const where = `entry ${entry.id.epoch}-${entry.id.seq}`;
    const { predecessor } = entry;
    const last = this.#last;
    const follows = show(predecessor);
    const isFirst = predecessor.epoch === 0;
    const isNext = last === undefined ? isFirst : show(last) === follows;
    if (!isNext && this.#mayLack.has(follows) && (!last || this.#mayLack.has(show(last)))) {
      this.#isPartial = true;
    } else if (!isNext) {
      const before = last === undefined ? 'nothing' : show(last);
      this.#tell('chain', where, `follows ${follows}, but ${before} stands before it`);
    }
    if (entry.timeMs < this.#lastMs) this.#tell('time', where, 'lane time goes back');
    this.#last = entry.id;
    this.#lastMs = entry.timeMs;
    if (this.#isPartial) return;
    for (const change of entry.changes) this.#change(change, entry, where);
    for (const [sku, cell] of this.#touched(entry)) this.#checkCell(sku, cell, where);
  }

  /** Only what this run's stores were asked about. */
  compare(state: FinalState): FaultViolation[] {
    const violations: FaultViolation[] = [];
    const { epoch, seq } = state.position;
    if (this.#last !== undefined && (this.#last.epoch !== epoch || this.#last.seq !== seq)) {
      const what = `the log ends at ${show(this.#last)}, the stores stand at ${epoch}-${seq}`;
      violations.push({ invariant: 'I8', where: 'log', what });
    }
    if (this.#isPartial) return violations;
    const newest = new Map(state.postgres.reservations.map((row) => [row.id, row.status]));
    for (const [id, status] of newest) {
      const life = this.#lives.get(id)?.state ?? 'nothing';
      if (life === status) continue;
      const what = `is ${life} in the log and ${status} in PostgreSQL`;
      violations.push({ invariant: life === 'nothing' ? 'I5' : 'I4', where: id, what });
    }
    for (const [sku, stored] of state.postgres.cells) {
      const cell = this.#cells.get(sku);
      if (cell?.held === stored.reserved && cell.allocated === stored.allocated) continue;
      const what = `PostgreSQL has ${stored.reserved} reserved and ${stored.allocated} allocated, the log makes ${cell?.held} and ${cell?.allocated}`;
      violations.push({ invariant: 'I4', where: `cell of ${sku}`, what });
    }
    return violations;
  }

  #change(change: Change, entry: DecodedEntry, where: string): void {
    switch (change.type) {
      case 'product_defined':
        return;
      case 'stock_moved':
        for (const { cell, delta } of change.deltas)
          this.#cell(skuAt(entry, cell)).received += delta;
        return;
      case 'reserved': {
        const before = this.#lives.get(change.id);
        if (before !== undefined) this.#tell('I3', where, `${change.id} is reserved again`);
        const units = new Map<string, number>();
        for (const { cell, units: placed } of change.placements) {
          add(units, skuAt(entry, cell), placed);
        }
        this.#lives.set(change.id, { state: 'held', units });
        this.#sum(units, 'held', 1);
        return;
      }
      case 'extended':
        return;
      case 'repaired':
        // Nobody repairs while a fault runs: what needs it is a violation, not a cure.
        this.#tell('I4', where, `${change.id} was repaired: ${change.cause}`);
        return;
      default:
        this.#settle(change, entry, where);
    }
  }

  #settle(
    change: Extract<
      Change,
      { type: 'committed' | 'released' | 'expired' | 'cancelled' | 'shipped' }
    >,
    entry: DecodedEntry,
    where: string,
  ): void {
    const life = this.#lives.get(change.id);
    if (life === undefined) {
      this.#tell('I5', where, `${change.id} is ${change.type} but was never reserved`);
      return;
    }
    const isRetaken = change.type === 'committed' && change.retaken;
    const must = change.type === 'cancelled' || change.type === 'shipped' ? 'committed' : 'held';
    if (life.state !== must && !isRetaken) {
      this.#tell('I7', where, `${change.id} is ${life.state} and then ${change.type}`);
    }
    if (life.state === 'held') this.#sum(life.units, 'held', -1);
    if (life.state === 'committed') this.#sum(life.units, 'allocated', -1);
    if (change.type === 'committed') {
      life.units.clear();
      for (const { cell, allocated } of change.moves)
        add(life.units, skuAt(entry, cell), allocated);
      life.state = 'committed';
      this.#sum(life.units, 'allocated', 1);
      return;
    }
    for (const { cell, units } of change.moves) add(life.units, skuAt(entry, cell), -units);
    const hasEnded = change.type === 'expired' || change.ends;
    if (!hasEnded) this.#sum(life.units, must === 'held' ? 'held' : 'allocated', 1);
    else life.state = must === 'committed' ? 'closed' : change.type;
  }

  #checkCell(sku: string, { received, held, allocated }: Cell, where: string): void {
    if (held + allocated <= received) return;
    const what = `${held} held and ${allocated} committed of ${received} units of ${sku}`;
    this.#tell('I1', where, what);
  }

  #touched(entry: DecodedEntry): [string, Cell][] {
    return [...new Set(entry.cells.map(({ sku }) => sku))].map((sku) => [sku, this.#cell(sku)]);
  }

  #cell(sku: string): Cell {
    const known = this.#cells.get(sku);
    if (known !== undefined) return known;
    const cell = { received: 0, held: 0, allocated: 0 };
    this.#cells.set(sku, cell);
    return cell;
  }

  #sum(units: ReadonlyMap<string, number>, balance: 'held' | 'allocated', sign: 1 | -1): void {
    for (const [sku, count] of units) this.#cell(sku)[balance] += sign * count;
  }

  #tell(invariant: FaultViolation['invariant'], where: string, what: string): void {
    this.violations.push({ invariant, where, what });
  }
}

function skuAt(entry: DecodedEntry, cell: number): string {
  return entry.cells[cell]?.sku ?? '';
}

function add(units: Map<string, number>, sku: string, count: number): void {
  units.set(sku, (units.get(sku) ?? 0) + count);
}
