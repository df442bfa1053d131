/**
 * Finds workers that hang: a process that is stopped or turns in a loop keeps its share of new
 * connections, and answers none.
 *
 * Beats that were missed are counted, not time: after the supervisor itself or the whole machine has
 * stood still, a worker has missed one, not all of that time.
 */
export interface Pace {
  readonly everyMs: number;
  /** Beats in a row without a word; then it hangs. */
  readonly missedMax: number;
}

/** Ten seconds: far above a collection of garbage, or a turn of a worker that has to share its core. */
export const PACE: Pace = Object.freeze({ everyMs: 1_000, missedMax: 10 });

export interface HeartbeatOptions {
  readonly pace: Pace;
  /** The places whose workers answer, or did. */
  readonly places: () => readonly number[];
  readonly ask: (place: number) => void;
  readonly onHung: (place: number) => void;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #missed = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.beat(), this.#options.pace.everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The worker there said something; or there is another one now. */
  heard(place: number): void {
    this.#missed.delete(place);
  }

  beat(): void {
    const { pace, places, ask, onHung } = this.#options;
    for (const place of places()) {
      const missed = this.#missed.get(place) ?? 0;
      this.#missed.set(place, missed + 1);
      // Told once: it is killed, and what comes after it is another.
      if (missed === pace.missedMax) onHung(place);
      else ask(place);
    }
  }
}
