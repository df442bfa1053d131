// Whether the server has time for a request: decided from its head, before any of its body is read.
// Its answer is made at start, because a refusal must be the cheapest answer there is; where even
// refusals would take the time that the others need, they are given a little later.

import type { PreparedAnswer } from './answer.ts';
import { prepareProblem } from './answer.ts';
import type { Exchange, ExchangeContext } from './exchange.ts';
import { outcomeProblem, retryAfter } from './outcome-problem.ts';
import { CROWD_MIN, Pace, type Traffic } from './pace.ts';
import type { HttpLimits } from './port.ts';
import type { RouteMatch } from './router.ts';
import { type LoopTime, Turns } from './turns.ts';

/** There is no time for a request. */
export interface Overloaded {
  /** Answers it 503, now or in a later turn. */
  readonly answer: (exchange: Exchange) => void;
}

interface AdmissionOptions {
  readonly limits: Pick<HttpLimits, 'requestsMax' | 'queueWaitMsMax'>;
  readonly traffic: Traffic;
  readonly context: Pick<ExchangeContext, 'problemBaseUrl'>;
}

const RETRY_MS = 1_000;
/** Times the bound: for what ends a reservation or moves stock, as the lane has it. */
const PATIENCE = 10;
/** Of `requestsMax`: the rest is for who was let in. */
const HELD_SHARE = 0.5;
/** Times `requestsMax`: while the log is away, it is commits that wait, and fill it. */
const PATIENT_ROOM = 1.25;

export class Admission {
  readonly #requestsMax: number;
  readonly #patientMax: number;
  readonly #turns: Turns;
  readonly #pace: Pace;
  readonly #clock: () => LoopTime;
  /** Refused, and not yet told; the oldest first. */
  #held: Exchange[] = [];
  readonly #crowded: Overloaded;
  readonly #late: Overloaded;
  readonly #lateAnswer: PreparedAnswer;
  readonly #endTurn = (): void => {
    this.#release();
    const time = this.#clock();
    this.#turns.end(time);
    this.#pace.learn(time);
    // What is left has a turn of its own, though nothing may be read in it.
    if (this.#held.length > 0) setImmediate(this.#endTurn);
  };

  constructor({ limits, traffic, context }: AdmissionOptions, clock = loopTime) {
    const { requestsMax, queueWaitMsMax } = limits;
    const { problemBaseUrl } = context;
    const overloaded = (detail: string): PreparedAnswer =>
      prepareProblem(
        outcomeProblem('overloaded'),
        { detail: `${detail}; this one was not read, and nothing was done.` },
        { headers: retryAfter(RETRY_MS), problemBaseUrl },
      );
    const crowded = overloaded('Too many requests are under way');
    this.#requestsMax = requestsMax;
    this.#patientMax = Math.ceil(requestsMax * PATIENT_ROOM);
    this.#turns = new Turns({ waitMsMax: queueWaitMsMax, letInMin: CROWD_MIN });
    this.#pace = new Pace(traffic);
    this.#clock = clock;
    this.#crowded = { answer: (exchange) => exchange.respondPrepared(crowded) };
    this.#late = { answer: (exchange) => this.#refuse(exchange) };
    this.#lateAnswer = overloaded('More requests come than this engine can answer in time');
  }

  /**
   * Undefined when the request may come in. What tells people how the engine is (`/metrics`,
   * `/readyz`) always may.
   */
  refusalOf(match: RouteMatch, inFlight: number, nowMs: number): Overloaded | undefined {
    if (match.kind !== 'route' || match.route.isVital) return undefined;
    const { isPatient } = match.route;
    if (inFlight > (isPatient ? this.#patientMax : this.#requestsMax)) return this.#crowded;
    if (this.#turns.isOver) {
      this.#turns.begin(this.#clock());
      if (this.#held.length === 0) setImmediate(this.#endTurn);
    }
    const patience = isPatient ? PATIENCE : 1;
    const isLetIn = this.#turns.letsIn(nowMs, this.#pace.expectedMs(), patience);
    return isLetIn ? undefined : this.#late;
  }

  #refuse(exchange: Exchange): void {
    const isFull = this.#held.length >= this.#requestsMax * HELD_SHARE;
    if (isFull || (this.#held.length === 0 && this.#turns.refusesNow())) {
      exchange.respondPrepared(this.#lateAnswer);
    } else this.#held.push(exchange);
  }

  #release(): void {
    let count = 0;
    while (count < this.#held.length && this.#turns.refusesNow()) count += 1;
    if (count === 0) return;
    for (const exchange of this.#held.splice(0, count)) exchange.respondPrepared(this.#lateAnswer);
  }
}

function loopTime(): LoopTime {
  return { nowMs: performance.now(), idleMs: performance.nodeTiming.idleTime };
}
