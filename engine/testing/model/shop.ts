/**
 * An independent model of one shop: what an engine must answer, and what then stands where. It is
 * written from the design's words, knows no bytes, no lanes and no stores, and shares no code with
 * the engine. Where the design leaves a choice (which warehouse serves a line that names none), the
 * model takes the engine's choice and checks that it was allowed.
 *
 * Time is coarse. Holds live k * 1000 + 500 seconds and time jumps by whole thousands, so that a
 * deadline is never near now, however long the test itself takes.
 */
import type { HeldUnits } from './ask.ts';

export interface Balance {
  available: number;
  reserved: number;
  allocated: number;
}

export type State = 'held' | 'committed' | 'released' | 'expired' | 'closed';

export interface Booking {
  readonly id: string;
  /** What a repeat must repeat. */
  readonly body: string;
  state: State;
  readonly createdS: number;
  deadlineS: number;
  units: HeldUnits[];
  /** The lines that the commit named, as text; undefined before. */
  committedAs: string | undefined;
  closedBy: 'cancel' | 'ship' | undefined;
  /** What was asked under each key of a partial settlement. */
  readonly settled: Map<string, string>;
  /** Day under which the record is remembered; after the next one it is only in the archive. */
  day: number;
  /** Of the lane when the hold was made; a commit may name it to take a lost hold again. */
  readonly epoch: number;
}

/** The engine did what the model does not allow. */
export class Disagreement extends Error {
  override readonly name = 'Disagreement';
}

export const DAY_S = 86_400;
/** No extension moves a deadline further than this from the reserve. */
export const HOLD_AGE_MAX_S = 5_500;

export class Shop {
  readonly warehouses: ReadonlySet<string>;
  readonly skus: ReadonlySet<string>;
  readonly balances = new Map<string, Balance>();
  readonly bookings = new Map<string, Booking>();
  readonly operations = new Map<string, { readonly body: string; readonly day: number }>();
  /** The reservation that each Idempotency-Key stands for, once an engine has told. */
  readonly keys = new Map<string, string>();
  /** Holds that were acknowledged at `memory` and went with a tail that Redis lost. */
  readonly lost = new Map<string, Booking>();
  /** The lane's, now. */
  epoch = 0;
  nowS: number;

  constructor(skus: Iterable<string>, warehouses: Iterable<string>, nowS: number) {
    this.skus = new Set(skus);
    this.warehouses = new Set(warehouses);
    this.nowS = nowS;
  }

  clone(): Shop {
    const copy = new Shop(this.skus, this.warehouses, this.nowS);
    copy.adopt(this);
    return copy;
  }

  /** Becomes as the other shop is; what changes in one is then not seen in the other. */
  adopt(other: Shop): void {
    refill(this.balances, other.balances, (balance) => ({ ...balance }));
    refill(this.bookings, other.bookings, copyBooking);
    refill(this.lost, other.lost, copyBooking);
    refill(this.operations, other.operations, (done) => done);
    refill(this.keys, other.keys, (id) => id);
    this.nowS = other.nowS;
    this.epoch = other.epoch;
  }

  get day(): number {
    return Math.floor(this.nowS / DAY_S);
  }

  /** A record of today or yesterday is known to a retry. */
  remembers(day: number): boolean {
    return this.day - day <= 1;
  }

  balance(sku: string, warehouse: string): Balance | undefined {
    return this.balances.get(`${sku}@${warehouse}`);
  }

  /** Units move between two balances of a cell; undefined: in from, or out of, the building. */
  move(
    cell: { readonly sku: string; readonly warehouse: string },
    from: keyof Balance | undefined,
    to: keyof Balance | undefined,
    units: number,
  ): void {
    const balance = this.balance(cell.sku, cell.warehouse);
    if (balance === undefined) throw new Disagreement(`${cell.sku}@${cell.warehouse} has no stock`);
    if (from !== undefined) balance[from] -= units;
    if (to !== undefined) balance[to] += units;
    if (Math.min(balance.available, balance.reserved, balance.allocated) < 0) {
      throw new Disagreement(`${cell.sku}@${cell.warehouse} would go below zero`);
    }
  }

  /** Lane time moves on, and the sweeper has been everywhere. */
  pass(seconds: number): void {
    this.nowS += seconds;
    for (const booking of this.bookings.values()) {
      if (booking.state !== 'held' || booking.deadlineS > this.nowS) continue;
      for (const held of booking.units) this.move(held, 'reserved', 'available', held.units);
      booking.state = 'expired';
      booking.units = [];
    }
  }
}

function refill<Value>(
  map: Map<string, Value>,
  from: ReadonlyMap<string, Value>,
  copy: (value: Value) => Value,
): void {
  const entries = [...from].map(([key, value]): [string, Value] => [key, copy(value)]);
  map.clear();
  for (const [key, value] of entries) map.set(key, value);
}

function copyBooking(booking: Booking): Booking {
  const units = booking.units.map((held) => ({ ...held }));
  return { ...booking, units, settled: new Map(booking.settled) };
}
