// Whether the server has room for a request, decided from its head, and time: decided when it is its
// turn in line (runtime/line.ts), before anything in its body is looked at. The answer is made at start,
// because a refusal must be the cheapest answer there is; where even refusals would take the time that
// the others need, they are given a little later.

import type { Line } from '../runtime/line.ts';
import type { PreparedAnswer } from './answer.ts';
import { prepareProblem } from './answer.ts';
import { type Overloaded, runHandler } from './dispatch.ts';
import type { Exchange, ExchangeContext } from './exchange.ts';
import { outcomeProblem, retryAfter } from './outcome-problem.ts';
import { CROWD_MIN, Pace, type Traffic } from './pace.ts';
import type { HttpLimits } from './port.ts';
import type { CompiledRoute, RouteMatch } from './router.ts';
import { type LoopTime, Turns } from './turns.ts';

interface AdmissionOptions {
  readonly limits: Pick<HttpLimits, 'requestsMax' | 'queueWaitMsMax'>;
  readonly traffic: Traffic;
  readonly line: Line;
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
  readonly #line: Line;
  readonly #clock: () => LoopTime;
  /** Refused, and not yet told; the oldest first. */
  #held: Exchange[] = [];
  readonly #crowded: Overloaded;
  readonly #lateAnswer: PreparedAnswer;
  readonly #endTurn = (): void => {
    this.#release();
    const time = this.#clock();
    this.#turns.end(time);
    this.#pace.learn(time);
    // What is left has a turn of its own, though nothing may be read in it.
    if (this.#held.length > 0) this.#endTurnLater();
  };

  constructor({ limits, traffic, line, context }: AdmissionOptions, clock = loopTime) {
    const { requestsMax, queueWaitMsMax } = limits;
    const { problemBaseUrl } = context;
    const overloaded = (detail: string): PreparedAnswer =>
      prepareProblem(
        outcomeProblem('overloaded'),
        { detail: `${detail}; this one was not looked at, and nothing was done.` },
        { headers: retryAfter(RETRY_MS), problemBaseUrl },
      );
    const crowded = overloaded('Too many requests are under way');
    this.#requestsMax = requestsMax;
    this.#patientMax = Math.ceil(requestsMax * PATIENT_ROOM);
    this.#turns = new Turns({ waitMsMax: queueWaitMsMax, letInMin: CROWD_MIN });
    this.#pace = new Pace(traffic);
    this.#line = line;
    this.#clock = clock;
    this.#crowded = { answer: (exchange) => exchange.respondPrepared(crowded) };
    this.#lateAnswer = overloaded('More requests come than this engine can answer in time');
  }

  /**
   * Whether there is room for a request, told from its head. What tells people how the engine is
   * (`/metrics`, `/readyz`) always has.
   */
  crowdedOf(match: RouteMatch, inFlight: number): Overloaded | undefined {
    if (match.kind !== 'route' || match.route.isVital) return undefined;
    const most = match.route.isPatient ? this.#patientMax : this.#requestsMax;
    return inFlight > most ? this.#crowded : undefined;
  }

  /**
   * Handles a request that is there as a whole, when it is its turn in line, or refuses it then. What is
   * vital waits for nobody, and has few who ask.
   */
  take(route: CompiledRoute, exchange: Exchange): void {
    if (route.isVital) {
      runHandler(route.handle, exchange);
      return;
    }
    const nowMs = this.#line.nowMs();
    if (this.#line.isFree(nowMs)) this.#handle(route, exchange, nowMs);
    else this.#line.wait((laterMs) => this.#handle(route, exchange, laterMs));
  }

  #handle(route: CompiledRoute, exchange: Exchange, nowMs: number): void {
    if (exchange.aborted) return;
    if (this.letsIn(route, nowMs)) runHandler(route.handle, exchange);
    else this.refuse(exchange);
  }

  /** Whether there is time for it, now that it is its turn. */
  letsIn(route: Pick<CompiledRoute, 'isPatient'>, nowMs: number): boolean {
    if (this.#turns.isOver) {
      this.#turns.begin(this.#clock());
      if (this.#held.length === 0) {
        // A turn is of those who stand in line as it begins, or else of those who are read at once.
        if (this.#line.length > 0) this.#line.behind(this.#endTurn);
        else this.#endTurnLater();
      }
    }
    const patience = route.isPatient ? PATIENCE : 1;
    return this.#turns.letsIn(nowMs, this.#pace.expectedMs(), patience);
  }

  /** Answers 503, now or in a later turn. */
  refuse(exchange: Exchange): void {
    const isFull = this.#held.length >= this.#requestsMax * HELD_SHARE;
    if (isFull || (this.#held.length === 0 && this.#turns.refusesNow())) {
      exchange.respondPrepared(this.#lateAnswer);
    } else this.#held.push(exchange);
  }

  /** Behind all who are read until this turn of the event loop ends: it may take several to handle them. */
  #endTurnLater(): void {
    setImmediate(() => this.#line.behind(this.#endTurn));
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
