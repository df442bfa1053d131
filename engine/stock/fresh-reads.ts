/**
 * Asks the lane for balances, and gives up early on a Redis that hangs.
 *
 * A Redis that was stopped (SIGSTOP, a paused VM, a cut cable) keeps its connection and says nothing,
 * so a command ends only with its timeout of seconds. A page that shows stock has another source, so
 * the first reads wait `waitMs` only, and the next ones, until Redis is heard of again, not at all:
 * one at a time still asks.
 */
import type { Sku } from '../domain/ids.ts';
import type { AvailabilityResult, Lane, LaneRefusal } from '../redis/lane-port.ts';

/** Above a slow reply of a busy Redis (tens of ms), below the patience of a shopper. */
export const FRESH_WAIT_MS = 1_000;

export class FreshReads {
  readonly #lane: Pick<Lane, 'availability'>;
  readonly #waitMs: number;
  /** The last one who asked waited in vain, and no answer came since. */
  #isSilent = false;
  /** Calls without an answer yet, late ones among them. */
  #asking = 0;

  constructor(lane: Pick<Lane, 'availability'>, waitMs = FRESH_WAIT_MS) {
    this.#lane = lane;
    this.#waitMs = waitMs;
  }

  async read(skus: readonly Sku[]): Promise<AvailabilityResult | LaneRefusal> {
    if (this.#isSilent && this.#asking > 0) return SILENT;
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<LaneRefusal>((resolve) => {
      timer = setTimeout(() => {
        this.#isSilent = true;
        resolve(SILENT);
      }, this.#waitMs);
    });
    try {
      return await Promise.race([this.#ask(skus), silence]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #ask(skus: readonly Sku[]): Promise<AvailabilityResult | LaneRefusal> {
    this.#asking += 1;
    try {
      const answer = await this.#lane.availability(skus);
      // A command that timed out, or lost its connection, says nothing of Redis.
      if (answer.outcome !== 'store_unavailable') this.#isSilent = false;
      return answer;
    } finally {
      this.#asking -= 1;
    }
  }
}

const SILENT: LaneRefusal = Object.freeze({
  outcome: 'store_unavailable',
  detail: 'Redis did not answer in time.',
  retryAfterMs: 1_000,
});
