/**
 * What one engine knows to be sold out, so that a rejection costs Redis nothing. No I/O.
 *
 * In a sale nearly every request is a rejection, and the lane has said no to the same wish a moment
 * ago. What it said is believed for `ageMsMax`, counted from before its batch was sent: so a unit
 * that comes back is sold within that time, by any engine, and nobody has to tell anybody. An answer
 * from here renews nothing. Only a request whose id was just made is answered so: any other may be
 * the retry of a buyer who has the units, which only the lane knows.
 *
 * When half of the time is over one request is let through to ask the lane again, and the others are
 * answered as before. Else all who come between the end of the time and the lane's next answer would
 * ask: of a crowd of 256 that is a batch of 256, one request in twenty.
 */
import type { OperationResult, ReserveLine } from '../redis/operation.ts';

/** Wishes that are remembered; beyond them all are forgotten, which costs one question each. */
const WISHES_MAX = 10_000;

/** Part of `ageMsMax` that one who asks again is given before the next one may. */
const ASK_AGAIN = 0.5;

interface Known {
  /** What the lane said, with one shortage. */
  readonly answer: OperationResult;
  /** Units that such a line could have had. */
  readonly available: number;
  /** Monotonic, ms: not later than the batch was sent. */
  readonly askedAtMs: number;
  /** From when on one request is let through. */
  askAgainAtMs: number;
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

  /**
   * What the lane would say to who has the wish (`wishOf`) for `quantity` units, at the least, when
   * it is a no that is young enough. The same object for all, until the lane is heard again.
   */
  find(wish: string, quantity: number): OperationResult | undefined {
    if (this.#wishes.size === 0) return undefined;
    const known = this.#wishes.get(wish);
    if (known === undefined) return undefined;
    const { ageMsMax } = this.#options;
    const nowMs = this.nowMs();
    if (nowMs - known.askedAtMs >= ageMsMax) {
      this.#wishes.delete(wish);
      return undefined;
    }
    if (known.available >= quantity) return undefined;
    if (nowMs >= known.askAgainAtMs) {
      known.askAgainAtMs = nowMs + ageMsMax * ASK_AGAIN;
      return undefined;
    }
    this.#options.onAnswer?.();
    return known.answer;
  }

  /** The lane answered `insufficient` to a line that was asked for alone. */
  learn(wish: string, answer: OperationResult, askedAtMs: number): void {
    const { epoch } = answer.stamp;
    const { ageMsMax } = this.#options;
    if (epoch < this.#epoch || ageMsMax === 0) return;
    if (epoch > this.#epoch || this.#wishes.size >= WISHES_MAX) this.forget();
    this.#epoch = epoch;
    const before = this.#wishes.get(wish);
    if (before === undefined || before.askedAtMs <= askedAtMs) {
      const available = answer.shortages?.[0]?.available ?? 0;
      const askAgainAtMs = askedAtMs + ageMsMax * ASK_AGAIN;
      this.#wishes.set(wish, { answer, available, askedAtMs, askAgainAtMs });
    }
  }

  /** The lane said yes: there are units again. */
  unlearn(wish: string): void {
    if (this.#wishes.size > 0) this.#wishes.delete(wish);
  }

  /** The lane did not answer as one that is open: what it said before counts no more. */
  forget(): void {
    this.#wishes.clear();
  }
}

/** Under what the cache keeps what such a line was told. Ids have no line feed. */
export function wishOf({ sku, fields }: ReserveLine, split: boolean): string {
  const where = fields.length === 1 ? fields[0] : fields.join('\n');
  return split ? `${sku}\n${where}` : `${sku}\n${where}\n`;
}
