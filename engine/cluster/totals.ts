/**
 * The numbers of all workers, past and present. What a worker counted stays in the sum when it has
 * died, because a sum that falls looks to Prometheus like a restart, and all of it like an increase.
 * What it counted after it was asked last is lost with it, unless it ended in order.
 */
import { addUp, countsOf, labelled, type MetricsSnapshot } from '../runtime/metrics-sum.ts';

export class Totals {
  /** Of workers that have ended. */
  #past: MetricsSnapshot = [];
  /** By place: what the worker there said last. */
  readonly #last = new Map<number, MetricsSnapshot>();

  heard(place: number, snapshot: MetricsSnapshot): void {
    this.#last.set(place, snapshot);
  }

  /** The worker there has ended. */
  ended(place: number): void {
    const last = this.#last.get(place);
    if (last === undefined) return;
    this.#last.delete(place);
    this.#past = addUp([this.#past, countsOf(last)]);
  }

  /** `answered`: the places whose worker was just heard; of the others only what adds up is still true. */
  sum(answered: ReadonlySet<number>): MetricsSnapshot {
    const present = [...this.#last]
      .sort(([a], [b]) => a - b)
      .map(([place, snapshot]) =>
        labelled(answered.has(place) ? snapshot : countsOf(snapshot), String(place)),
      );
    return addUp([...present, this.#past]);
  }
}
