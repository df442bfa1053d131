/**
 * Asks the lane for balances: one script for all who ask meanwhile, and early patience's end with a
 * Redis that hangs.
 *
 * States: idle; gathering (questions wait for the end of this turn of the event loop); asking (one
 * script is under way, who comes now waits for the next one). A question never joins a script that
 * was sent before it came: what it is told was true when it was asked, or later. A SKU that several ask
 * for is read and shown once. Where the SKUs of a question have more cells than one script may read, the
 * lane asks several, one after the other (redis/availability-read.ts): "script" stands for them here.
 *
 * A Redis that was stopped (SIGSTOP, a paused VM, a cut cable) keeps its connection and says nothing,
 * so a command ends only with its timeout of seconds. A page that shows stock has another source, so
 * the first questions wait `waitMs` only, and the next ones, until Redis is heard of again, not at
 * all: one at a time still asks.
 */
import type { Sku } from '../domain/ids.ts';
import type { AvailabilityResult, Lane, LaneRefusal } from '../redis/lane-port.ts';
import { isRefusal } from '../redis/lane-port.ts';
import type { SkuReading, SkuView } from '../redis/operation.ts';
import type { Line } from '../runtime/line.ts';

/** Above a slow reply of a busy Redis (tens of ms), below the patience of a shopper. */
export const FRESH_WAIT_MS = 1_000;

/** Of a script, unless one question wants more: what it costs by itself is little in each by then. */
export const SCRIPT_SKUS_MAX = 128;
/** Cells are what a script takes its time for: about a microsecond each. */
export const SCRIPT_CELLS_MAX = 512;
/** Who is answered in one turn of the event loop, however few SKUs they want. */
const SCRIPT_QUESTIONS_MAX = 512;
/** From one script to the next while several ask at a time; who asks alone does not wait. */
const GATHER_MS = 2;
/** Of a SKU, until the first reply has shown it. */
const CELLS_AT_FIRST = 50;
/** How fast a script dares more SKUs again: it learns at once that they have many cells. */
const CELLS_KEPT = 0.9;

export interface FreshReadsOptions<Shown> {
  readonly lane: Pick<Lane, 'availability'>;
  /** In which those are answered who asked. */
  readonly line: Line;
  /** What is said of a SKU. */
  readonly show: (reading: SkuReading) => Shown;
  readonly waitMs?: number;
  /** Monotonic, ms. */
  readonly now?: () => number;
}

/** One for each SKU, in their order. */
export type FreshAnswer<Shown> = readonly Shown[] | LaneRefusal;

interface Question<Shown> {
  readonly skus: readonly Sku[];
  readonly askedAtMs: number;
  readonly done: (answer: FreshAnswer<Shown>) => void;
  readonly fail: (error: unknown) => void;
}

/** A SKU in a script. */
interface Place<Shown> {
  reading: SkuReading | undefined;
  shown: Shown | undefined;
}

export class FreshReads<Shown> {
  readonly #lane: Pick<Lane, 'availability'>;
  readonly #show: (reading: SkuReading) => Shown;
  readonly #line: Line;
  readonly #waitMs: number;
  readonly #now: () => number;
  #waiting: Question<Shown>[] = [];
  #isScheduled = false;
  /** A script has no answer yet, or a late one is still out. */
  #isAsking = false;
  /** The last script was for several questions. */
  #isCrowded = false;
  /** When it was sent. */
  #askedAtMs = 0;
  /** The last who asked waited in vain, and no answer came since. */
  #isSilent = false;
  /** Of a SKU: what the last replies had, and rather too many. */
  #cellsEach = CELLS_AT_FIRST;

  constructor({ lane, line, show, waitMs, now }: FreshReadsOptions<Shown>) {
    this.#lane = lane;
    this.#line = line;
    this.#show = show;
    this.#waitMs = waitMs ?? FRESH_WAIT_MS;
    this.#now = now ?? (() => performance.now());
  }

  /**
   * Calls `done` once, in a later turn unless Redis is known to be silent. `skus` without repeats.
   * What fails, and what `done` throws, goes to `fail`.
   */
  read(
    skus: readonly Sku[],
    done: (answer: FreshAnswer<Shown>) => void,
    fail: (error: unknown) => void,
  ): void {
    const question = { skus, askedAtMs: this.#now(), done, fail };
    if (this.#isSilent && (this.#isAsking || this.#waiting.length > 0)) {
      give(question, SILENT);
      return;
    }
    this.#waiting.push(question);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isAsking || this.#waiting.length === 0) return;
    this.#isScheduled = true;
    const ask = (): void => {
      this.#isScheduled = false;
      this.#askNext();
    };
    const pauseMs = this.#isCrowded ? this.#askedAtMs + GATHER_MS - this.#now() : 0;
    if (pauseMs > 0) setTimeout(ask, pauseMs);
    else setImmediate(ask);
  }

  #askNext(): void {
    const [first] = this.#waiting;
    if (first === undefined || this.#isAsking) return;
    const places = new Map<Sku, Place<Shown>>();
    const questions = this.#waiting.splice(0, this.#fill(places));
    this.#isAsking = true;
    this.#isCrowded = questions.length > 1;
    this.#askedAtMs = this.#now();
    let isOver = false;
    const end = (how: () => void): void => {
      if (!isOver) {
        isOver = true;
        how();
      }
    };
    const patienceMs = first.askedAtMs + this.#waitMs - this.#askedAtMs;
    const timer = setTimeout(() => {
      // An engine that stalled reads first what came meanwhile: it was not Redis that was silent.
      setImmediate(end, () => this.#fallSilent(questions));
    }, patienceMs);
    const hear = (tell: () => void): void => {
      clearTimeout(timer);
      this.#isAsking = false;
      end(tell);
      this.#schedule();
    };
    this.#lane.availability([...places.keys()]).then(
      (answer) => {
        // A command that timed out, or lost its connection, says nothing of Redis.
        if (answer.outcome !== 'store_unavailable') this.#isSilent = false;
        hear(() => this.#tell(questions, places, answer));
      },
      (error: unknown) =>
        hear(() => {
          for (const { fail } of questions) fail(error);
        }),
    );
  }

  /** How many of the questions go into the next script; their SKUs are in `places` then. */
  #fill(places: Map<Sku, Place<Shown>>): number {
    const skusMax = Math.min(SCRIPT_SKUS_MAX, SCRIPT_CELLS_MAX / Math.max(1, this.#cellsEach));
    let count = 0;
    for (const { skus } of this.#waiting) {
      if (count === SCRIPT_QUESTIONS_MAX) break;
      if (count > 0 && places.size + skus.length > skusMax) break;
      for (const sku of skus) {
        if (!places.has(sku)) places.set(sku, { reading: undefined, shown: undefined });
      }
      count += 1;
    }
    return count;
  }

  #tell(
    questions: readonly Question<Shown>[],
    places: ReadonlyMap<Sku, Place<Shown>>,
    answer: AvailabilityResult | LaneRefusal,
  ): void {
    if (isRefusal(answer)) {
      for (const question of questions) give(question, answer);
      return;
    }
    this.#learn(answer.skus);
    for (const reading of answer.skus) {
      const place = places.get(reading.sku);
      if (place !== undefined) place.reading = reading;
    }
    const shown = (sku: Sku): Shown => {
      const place = places.get(sku);
      if (place?.reading === undefined) throw new Error(`bug: the lane said nothing of ${sku}`);
      place.shown ??= this.#show(place.reading);
      return place.shown;
    };
    for (const question of questions) {
      this.#line.run(() => {
        try {
          question.done(question.skus.map(shown));
        } catch (error) {
          question.fail(error);
        }
      });
    }
  }

  #learn(views: readonly SkuView[]): void {
    if (views.length === 0) return;
    const cells = views.reduce((sum, view) => sum + view.cells.length, 0);
    this.#cellsEach = Math.max(cells / views.length, this.#cellsEach * CELLS_KEPT);
  }

  /** Those who wait for the next script would wait for this one first. */
  #fallSilent(questions: readonly Question<Shown>[]): void {
    this.#isSilent = true;
    const all = questions.concat(this.#waiting);
    this.#waiting = [];
    for (const question of all) give(question, SILENT);
  }
}

function give<Shown>({ done, fail }: Question<Shown>, answer: FreshAnswer<Shown>): void {
  try {
    done(answer);
  } catch (error) {
    fail(error);
  }
}

const SILENT: LaneRefusal = Object.freeze({
  outcome: 'store_unavailable',
  detail: 'Redis did not answer in time.',
  retryAfterMs: 1_000,
});
