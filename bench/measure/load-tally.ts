/** What the answers to a load were, by label: latencies, statuses, how many in each second. */
import { LatencyBook, type LatencySummary } from '../load/latency.ts';

export interface LabelResult {
  readonly answers: number;
  /** With `timeout`, where there were any. */
  readonly byStatus: Readonly<Record<string, number>>;
  readonly latency: LatencySummary;
  /** Of answers below 300 alone: an overload refuses the rest at once. */
  readonly accepted: LatencySummary;
  /** Of the same, from the sending: without the wait for a free connection. */
  readonly acceptedSinceSent: LatencySummary;
  /** By status: answers in each second since the load began. */
  readonly perSecond: Readonly<Record<string, readonly number[]>>;
  /** By status, from 400 up: the first such answer. */
  readonly firstRefusals: Readonly<Record<string, string>>;
}

/** Requests that were due and were never sent. */
export const UNSENT = 'unsent';
const TIMEOUT = 'timeout';
/** Each has a histogram of about 100 KB. */
const LABELS_MAX = 64;
const REFUSAL_CHARACTERS_MAX = 500;

interface Status {
  count: number;
  readonly perSecond: number[];
  readonly first: string | undefined;
}

/** Of one answer, or of the wait for it. */
export interface AnswerTimes {
  readonly sinceDueMs: number;
  readonly sinceSentMs: number;
  /** Since the load began. */
  readonly atMs: number;
}

interface LabelTally {
  answers: number;
  readonly byStatus: Map<number, Status>;
}

export class LoadTally {
  readonly #latencies = new LatencyBook();
  readonly #accepted = new LatencyBook();
  readonly #acceptedSinceSent = new LatencyBook();
  readonly #labels = new Map<string, LabelTally>();
  readonly #latenciesFromMs: number;
  #answers = 0;
  #timeouts = 0;

  /** Of what was due earlier since the load began, all but the latency counts: generator and engine warm up. */
  constructor(latenciesFromMs = 0) {
    this.#latenciesFromMs = latenciesFromMs;
  }

  get answers(): number {
    return this.#answers;
  }

  get timeouts(): number {
    return this.#timeouts;
  }

  /** `textOf` gives the answer; asked only for what is kept. Status 0: there was none in time. */
  count(
    label: string,
    status: number,
    { sinceDueMs, sinceSentMs, atMs }: AnswerTimes,
    textOf: () => string,
  ): void {
    const tally = this.#labels.get(label) ?? this.#addLabel(label);
    let entry = tally.byStatus.get(status);
    if (entry === undefined) {
      const first = status >= 400 ? textOf().slice(0, REFUSAL_CHARACTERS_MAX) : undefined;
      entry = { count: 0, perSecond: [], first };
      tally.byStatus.set(status, entry);
    }
    entry.count++;
    const second = Math.floor(atMs / 1_000);
    // Filled from the front: an array with holes would be a slow one.
    while (entry.perSecond.length <= second) entry.perSecond.push(0);
    entry.perSecond[second] = (entry.perSecond[second] ?? 0) + 1;
    if (status === 0) this.#timeouts++;
    else {
      tally.answers++;
      this.#answers++;
    }
    if (atMs - sinceDueMs < this.#latenciesFromMs) return;
    this.#latencies.record(label, sinceDueMs);
    if (status >= 200 && status < 300) {
      this.#accepted.record(label, sinceDueMs);
      this.#acceptedSinceSent.record(label, sinceSentMs);
    }
  }

  /** They have waited so long: a percentile without them would be of the lucky ones. */
  countUnsent(waitedMs: number, count: number): void {
    this.#latencies.record(UNSENT, waitedMs, count);
  }

  /** Of all, also of what was not answered: each counts as long as it has waited. */
  latency(): LatencySummary {
    return this.#latencies.summary();
  }

  byStatus(): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const { byStatus } of this.#labels.values()) {
      for (const [status, { count }] of byStatus) {
        const name = nameOf(status);
        sums[name] = (sums[name] ?? 0) + count;
      }
    }
    return sums;
  }

  byLabel(): Record<string, LabelResult> {
    return Object.fromEntries(
      [...this.#labels].map(([label, { answers, byStatus }]) => {
        const statuses = [...byStatus].map(([status, entry]) => [nameOf(status), entry] as const);
        const result: LabelResult = {
          answers,
          byStatus: Object.fromEntries(statuses.map(([name, { count }]) => [name, count])),
          latency: this.#latencies.summary(label),
          accepted: this.#accepted.summary(label),
          acceptedSinceSent: this.#acceptedSinceSent.summary(label),
          perSecond: Object.fromEntries(statuses.map(([name, each]) => [name, each.perSecond])),
          firstRefusals: Object.fromEntries(
            statuses.flatMap(([name, { first }]) => (first === undefined ? [] : [[name, first]])),
          ),
        };
        return [label, result];
      }),
    );
  }

  #addLabel(label: string): LabelTally {
    if (this.#labels.size >= LABELS_MAX)
      throw new Error(`more than ${LABELS_MAX} labels: ${label}`);
    const tally = { answers: 0, byStatus: new Map<number, Status>() };
    this.#labels.set(label, tally);
    return tally;
  }
}

function nameOf(status: number): string {
  return status === 0 ? TIMEOUT : String(status);
}
