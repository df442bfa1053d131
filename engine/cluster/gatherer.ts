/** Asks the workers for their numbers, and gives the sum to the one that was scraped. */
import type { Worker } from 'node:cluster';
import type { Logger } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { addUp, labelled, type MetricsSnapshot, renderSnapshot } from '../runtime/metrics-sum.ts';
import { type FromWorker, tell } from './messages.ts';
import { Totals } from './totals.ts';

/** A worker that does not tell its numbers in time is left out of them, but for what it counted. */
const NUMBERS_MS_MAX = 1_000;

export interface GathererOptions {
  readonly log: Logger;
  /** Of the supervisor; they are told with those of the workers. */
  readonly metrics: Pick<Metrics, 'snapshot'>;
  readonly workers: () => readonly { readonly number: number; readonly worker: Worker }[];
}

export class Gatherer {
  readonly #options: GathererOptions;
  readonly #totals = new Totals();
  readonly #asked = new Map<number, () => void>();
  #questions = 0;
  #gathering: Promise<string> | undefined;

  constructor(options: GathererOptions) {
    this.#options = options;
  }

  heard(place: number, { question, snapshot }: FromWorker & { readonly kind: 'numbers' }): void {
    this.#totals.heard(place, snapshot);
    if (question !== undefined) this.#asked.get(question)?.();
  }

  ended(place: number): void {
    this.#totals.ended(place);
  }

  /** One look serves all who ask while it is under way. */
  async answer(worker: Worker, question: number): Promise<void> {
    this.#gathering ??= this.#gather().finally(() => {
      this.#gathering = undefined;
    });
    try {
      tell(worker, { kind: 'all', question, text: await this.#gathering });
    } catch (error) {
      this.#options.log.error({ err: error }, 'the numbers of the workers');
    }
  }

  async #gather(): Promise<string> {
    const { metrics, workers } = this.#options;
    const [own, ...answered] = await Promise.all<[Promise<MetricsSnapshot>, ...Answered[]]>([
      metrics.snapshot(),
      ...workers().map(({ number, worker }) => this.#ask(number, worker)),
    ]);
    const places = new Set(answered.filter((number) => number !== undefined));
    return renderSnapshot(addUp([this.#totals.sum(places), labelled(own, 'supervisor')]));
  }

  #ask(number: number, worker: Worker): Answered {
    if (!worker.isConnected()) return Promise.resolve(undefined);
    this.#questions += 1;
    const question = this.#questions;
    return new Promise<number | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), NUMBERS_MS_MAX);
      this.#asked.set(question, () => {
        clearTimeout(timer);
        resolve(number);
      });
      tell(worker, { kind: 'ask', question });
    }).finally(() => this.#asked.delete(question));
  }
}

/** The place whose worker answered; undefined when it did not in time. */
type Answered = Promise<number | undefined>;
