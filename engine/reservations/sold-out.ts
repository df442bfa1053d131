/**
 * What one engine knows to be sold out, so that a rejection costs Redis nothing. No I/O.
 *
 * In a sale nearly every request is a rejection, and the lane has said no to the same wish a moment
 * ago. What it said is believed for `ageMsMax`, counted from before its batch was sent: so a unit
 * that comes back is sold within that time, by any engine, and nobody has to tell anybody. An answer
 * from here renews nothing. Only a request whose id was just made is answered so: any other may be
 * the retry of a buyer who has the units, which only the lane knows.
 */
import type { LaneStamp, ReserveLine } from '../redis/operation.ts';

/** Wishes that are remembered; beyond them all are forgotten, which costs one question each. */
const WISHES_MAX = 10_000;

export interface SoldOut {
  readonly stamp: LaneStamp;
  /** Units that such a line could have had. */
  readonly available: number;
}

interface Known extends SoldOut {
  /** Monotonic, ms: not later than the batch was sent. */
  readonly askedAtMs: number;
}

export interface SoldOutOptions {
  /** 0: nothing is remembered. */
  readonly ageMsMax: number;
  /** Monotonic, ms. */
  readonly now: () => number;
  /** An answer was given from here. */
  readonly onAnswer?: () => void;
}

export class SoldOutCache {
  readonly #options: SoldOutOptions;
  readonly #wishes = new Map<string, Known>();
  #epoch = 0;

  constructor(options: SoldOutOptions) {
    this.#options = options;
  }

  /** When a question is asked, for `learn`. */
  nowMs(): number {
    return this.#options.now();
  }

  /** What the lane would say to the wish, when it is a no that is young enough. */
  find(line: ReserveLine, split: boolean, partial: boolean): SoldOut | undefined {
    if (this.#wishes.size === 0) return undefined;
    const wish = wishOf(line, split);
    const known = this.#wishes.get(wish);
    if (known === undefined) return undefined;
    if (this.nowMs() - known.askedAtMs >= this.#options.ageMsMax) {
      this.#wishes.delete(wish);
      return undefined;
    }
    // A partial reserve takes what there is.
    if (known.available >= (partial ? 1 : line.quantity)) return undefined;
    this.#options.onAnswer?.();
    return known;
  }

  /** The lane said no to a line that was asked for alone. */
  learn(line: ReserveLine, split: boolean, soldOut: SoldOut, askedAtMs: number): void {
    const { epoch } = soldOut.stamp;
    if (epoch < this.#epoch || this.#options.ageMsMax === 0) return;
    if (epoch > this.#epoch || this.#wishes.size >= WISHES_MAX) this.forget();
    this.#epoch = epoch;
    const wish = wishOf(line, split);
    const before = this.#wishes.get(wish);
    if (before === undefined || before.askedAtMs <= askedAtMs) {
      const { stamp, available } = soldOut;
      this.#wishes.set(wish, { stamp, available, askedAtMs });
    }
  }

  /** The lane said yes: there are units again. */
  unlearn(line: ReserveLine, split: boolean): void {
    if (this.#wishes.size > 0) this.#wishes.delete(wishOf(line, split));
  }

  /** The lane did not answer as one that is open: what it said before counts no more. */
  forget(): void {
    this.#wishes.clear();
  }
}

/** Ids have no line feed. */
function wishOf({ sku, fields }: ReserveLine, split: boolean): string {
  const where = fields.length === 1 ? fields[0] : fields.join('\n');
  return split ? `${sku}\n${where}` : `${sku}\n${where}\n`;
}
