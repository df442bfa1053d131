/**
 * The event loop of an engine under a crowd, in a time of its own: the door (Admission), the line and the
 * lane's batcher are the real ones, the costs of what they do are given.
 *
 * A turn handles what had come when it began, in that order: requests, replies of the lane, and logs
 * that have a commit. Each connection asks again as soon as it was answered and its client has had the
 * time to: at many times the capacity that is what an open loop comes to, and the worst crowd.
 */
import { SCRIPT_WORK_MAX } from '../../domain/script-limits.ts';
import { createBatcher } from '../../redis/batcher.ts';
import { Line } from '../../runtime/line.ts';
import { createRandom, type Random } from '../../testing/simulation/random.ts';
import { Admission } from '../admission.ts';
import { Exchange } from '../exchange.ts';
import { LOUD_CONTEXT } from './loud-context.ts';

export interface BusyLoop {
  readonly seed: number;
  readonly connections: number;
  readonly seconds: number;
  /** The bound for the whole wait. */
  readonly waitMsMax: number;
  /** CPU, us: of a request that is let in, until it waits for the lane (its head too), and of its answer. */
  readonly readUs: number;
  readonly answerUs: number;
  /** Of a refusal: what its head takes, and its answer. */
  readonly headUs: number;
  readonly refuseUs: number;
  /** Of the generator, between an answer and its next request; one after the other. */
  readonly clientUs: number;
  /** Time by the clock for each of CPU: drawn from these every STRETCH_MS, as on shared cores. */
  readonly stretches: readonly [number, ...number[]];
  /** The loop stands still for so long, eight times a second. */
  readonly stallMs: number;
  /** Of the lane, for an operation. */
  readonly laneUs: number;
  /** Every other request of a connection is a commit, which is patient and then waits for the log. */
  readonly isPairs?: boolean;
}

/** Of the time behind the first second, in which rates are learnt. */
interface BusyLoopResult {
  readonly acceptedPerS: number;
  readonly refusedPerS: number;
  readonly patientRefused: number;
  /** From the sending of those who were let in to their answer, ms, in order; patient ones apart. */
  readonly waitsMs: readonly number[];
  readonly patientWaitsMs: readonly number[];
  /** From the sending to a refusal, ms, in order. */
  readonly refusalsMs: readonly number[];
}

const STRETCH_MS = 100;
const STALLS_PER_S = 8;
const LEARNING_MS = 1_000;
const WIRE_MS = 1;
const LOG_MS = 30;
const BATCH = { itemsMax: 512, weightMax: SCRIPT_WORK_MAX };
/** Of epoll, which gives no more at once. */
const READY_MAX = 1_024;

const HEAD = {
  ...{ method: 'POST', path: '/api/v1/buy', query: '', requestId: '', params: [] },
  ...{ headerValues: [], route: { pattern: '', paramNames: [], headerNames: [] } },
};

interface Asked {
  readonly sentMs: number;
  readonly isPatient: boolean;
}

interface Arrival {
  readonly atMs: number;
  readonly handle: () => Promise<void> | void;
}

/** Answered by the door alone. */
class Refusable extends Exchange {
  readonly #refused: () => void;

  constructor(refused: () => void) {
    super(LOUD_CONTEXT, HEAD);
    this.#refused = refused;
  }

  protected override write(): void {
    this.#refused();
  }
}

export function runBusyLoop(loop: BusyLoop): Promise<BusyLoopResult> {
  return new Model(loop).run();
}

class Model {
  readonly #loop: BusyLoop;
  readonly #random: Random;
  /** What is to come, the soonest first. */
  readonly #arrivals: Arrival[] = [];
  readonly #traffic = { waiting: 0, decided: 0 };
  readonly #line = new Line({ nowMs: () => this.#nowMs, cpuMs: () => this.#cpuMs });
  readonly #admission: Admission;
  readonly #batcher;
  readonly #waitsMs: number[] = [];
  readonly #patientWaitsMs: number[] = [];
  readonly #refusalsMs: number[] = [];
  #nowMs = 0;
  #cpuMs = 0;
  #idleMs = 0;
  #stretch = 1;
  #stretchEndsMs = 0;
  #stallsAtMs = 0;
  #clientFreeMs = 0;
  #laneFreeMs = 0;
  /** Refused, and not told yet. */
  #held = 0;
  #patientRefused = 0;

  constructor(loop: BusyLoop) {
    this.#loop = loop;
    this.#random = createRandom(loop.seed);
    this.#admission = new Admission(
      {
        limits: { requestsMax: 1e9, queueWaitMsMax: loop.waitMsMax },
        traffic: this.#traffic,
        line: this.#line,
        context: LOUD_CONTEXT,
      },
      () => ({ nowMs: this.#nowMs, idleMs: this.#idleMs }),
    );
    this.#batcher = createBatcher<Asked>(
      { ...BATCH, waitMs: loop.waitMsMax },
      { send: (items) => this.#send(items), hasRoom: () => false, expired: () => undefined },
      () => this.#nowMs,
      (flush, ms) => this.#comes({ atMs: this.#nowMs + ms, handle: flush }),
    );
  }

  async run(): Promise<BusyLoopResult> {
    const { connections, seconds } = this.#loop;
    for (let i = 0; i < connections; i++) this.#ask(false);
    const endMs = LEARNING_MS + seconds * 1_000;
    while (this.#nowMs < endMs) await this.#turn();
    for (const list of [this.#waitsMs, this.#patientWaitsMs, this.#refusalsMs]) {
      list.sort((a, b) => a - b);
    }
    return {
      acceptedPerS: (this.#waitsMs.length + this.#patientWaitsMs.length) / seconds,
      refusedPerS: this.#refusalsMs.length / seconds,
      patientRefused: this.#patientRefused,
      ...{ waitsMs: this.#waitsMs, patientWaitsMs: this.#patientWaitsMs },
      refusalsMs: this.#refusalsMs,
    };
  }

  async #turn(): Promise<void> {
    const soonestMs = this.#arrivals[0]?.atMs ?? Number.NaN;
    // Who is still to be refused, or waits in line, keeps the loop awake.
    if (this.#held + this.#line.length === 0 && soonestMs > this.#nowMs) {
      this.#idleMs += soonestMs - this.#nowMs;
      this.#nowMs = soonestMs;
    }
    let count = 0;
    while (count < READY_MAX && (this.#arrivals[count]?.atMs ?? Infinity) <= this.#nowMs) count++;
    for (const { handle } of this.#arrivals.splice(0, count)) await handle();
    // The end of the turn: who waits in line is served, held refusals are told, batches go out.
    await new Promise((resolve) => setImmediate(resolve));
    if (count === 0) this.#work(1);
  }

  #ask(isPatient: boolean): void {
    this.#clientFreeMs = Math.max(this.#clientFreeMs, this.#nowMs) + this.#loop.clientUs / 1_000;
    const asked: Asked = { sentMs: this.#clientFreeMs, isPatient };
    this.#comes({ atMs: this.#clientFreeMs, handle: () => this.#read(asked) });
  }

  #read(asked: Asked): void {
    this.#work(this.#loop.headUs);
    this.#line.run(() => this.#enter(asked));
  }

  #enter(asked: Asked): void {
    if (!this.#admission.letsIn(asked, this.#nowMs)) {
      this.#held++;
      const told = (): void => {
        this.#held--;
        this.#refuse(asked);
      };
      this.#admission.refuse(new Refusable(told));
      return;
    }
    this.#work(this.#loop.readUs - this.#loop.headUs);
    const manner = { isConfirmed: false, isPatient: asked.isPatient };
    if (this.#batcher.push(asked, 1, manner) === 'admitted') this.#traffic.waiting++;
    else this.#refuse(asked);
  }

  #refuse({ sentMs, isPatient }: Asked): void {
    this.#work(this.#loop.refuseUs);
    if (this.#isCounted) {
      this.#refusalsMs.push(this.#nowMs - sentMs);
      if (isPatient) this.#patientRefused++;
    }
    this.#ask(isPatient);
  }

  #send(items: readonly Asked[]): Promise<void> {
    this.#laneFreeMs =
      Math.max(this.#laneFreeMs, this.#nowMs + WIRE_MS / 2) +
      (items.length * this.#loop.laneUs) / 1_000;
    const atMs = this.#laneFreeMs + WIRE_MS / 2;
    return new Promise((landed) => {
      const handle = async (): Promise<void> => {
        for (const item of items) this.#line.run(() => this.#decided(item));
        landed();
        // The batcher hears of it before anything else happens.
        await Promise.resolve();
      };
      this.#comes({ atMs, handle });
    });
  }

  #decided(asked: Asked): void {
    this.#traffic.waiting--;
    this.#traffic.decided++;
    if (!asked.isPatient) {
      this.#answer(asked);
      return;
    }
    const atMs = this.#nowMs + LOG_MS * (0.5 + this.#random.next());
    this.#comes({ atMs, handle: () => this.#line.run(() => this.#answer(asked)) });
  }

  #answer({ sentMs, isPatient }: Asked): void {
    this.#work(this.#loop.answerUs);
    const waits = isPatient ? this.#patientWaitsMs : this.#waitsMs;
    if (this.#isCounted) waits.push(this.#nowMs - sentMs);
    this.#ask(this.#loop.isPairs === true && !isPatient);
  }

  get #isCounted(): boolean {
    return this.#nowMs > LEARNING_MS;
  }

  #comes(arrival: Arrival): void {
    let at = this.#arrivals.length;
    while (at > 0 && (this.#arrivals[at - 1]?.atMs ?? 0) > arrival.atMs) at--;
    this.#arrivals.splice(at, 0, arrival);
  }

  #work(us: number): void {
    const { stretches, stallMs } = this.#loop;
    while (this.#nowMs >= this.#stretchEndsMs) {
      this.#stretch = this.#random.pick(stretches);
      this.#stretchEndsMs += STRETCH_MS;
    }
    this.#cpuMs += us / 1_000;
    this.#nowMs += (us / 1_000) * this.#stretch;
    if (this.#nowMs < this.#stallsAtMs) return;
    if (this.#stallsAtMs > 0) this.#nowMs += stallMs;
    this.#stallsAtMs = this.#nowMs - (Math.log(1 - this.#random.next()) * 1_000) / STALLS_PER_S;
  }
}
