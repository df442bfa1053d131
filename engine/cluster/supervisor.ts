/**
 * Keeps workers alive that share one port.
 *
 * A place is where one worker runs after another. Its states:
 *   starting   a process was started, and does not answer yet
 *   answering  it answers; when it is whole, it sells
 *   pausing    it died; the next one is started when the pause is over
 *   empty      nothing runs there and nothing will
 * The supervisor runs until `stop` is called or it gives up; from then on nothing is started, and
 * workers that drain are waited for, however long that takes.
 */
import cluster, { type Worker } from 'node:cluster';
import type { Logger } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { Gatherer } from './gatherer.ts';
import { Heartbeat, PACE, type Pace } from './heartbeat.ts';
import {
  type Answering,
  type Failure,
  type FromWorker,
  fromWorker,
  PLACEMENT_VARIABLE,
  type Placement,
  tell,
} from './messages.ts';
import { afterDeath, WELL_MS } from './restarts.ts';

export interface SupervisorOptions {
  readonly workers: number;
  /** What each worker runs: a script of Node with its arguments, and what its environment has more. */
  readonly script: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly isRedisAway: boolean;
  readonly log: Logger;
  /** Of this process; they are told with those of the workers. */
  readonly metrics: Metrics;
  /** How soon a worker that hangs is killed; PACE by default. */
  readonly pace?: Pace;
}

export interface Supervisor {
  /** When all workers answer, for the first time; rejects as `ended` does. */
  readonly ready: Promise<Answering>;
  /** When no worker is left, after `stop`; rejects with ClusterFailed when it cannot go on. */
  readonly ended: Promise<void>;
  /** Lets all workers drain; resolves when they have ended. */
  stop(): Promise<void>;
}

/** No worker can be kept alive; the message is all that a person needs. */
export class ClusterFailed extends Error {
  override readonly name = 'ClusterFailed';
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

export function startSupervisor(options: SupervisorOptions): Supervisor {
  return new WorkerSupervisor(options);
}

interface Place {
  readonly number: number;
  state: 'starting' | 'answering' | 'pausing' | 'empty';
  worker: Worker | undefined;
  isWhole: boolean;
  answeringSinceMs: number;
  deathsInARow: number;
  starts: number;
  hangs: number;
  failure: Failure | undefined;
  pause: NodeJS.Timeout | undefined;
}

class WorkerSupervisor implements Supervisor {
  readonly ready: Promise<Answering>;
  readonly ended: Promise<void>;
  readonly #options: SupervisorOptions;
  readonly #places: readonly Place[];
  readonly #gatherer: Gatherer;
  readonly #heartbeat: Heartbeat;
  #deathsInSilence = 0;
  #isStopping = false;
  #failure: Failure | undefined;
  #onReady: (answering: Answering) => void = () => undefined;
  #onEnded: () => void = () => undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#places = Array.from({ length: options.workers }, (_, at) => placeOf(at + 1));
    this.#gatherer = new Gatherer({
      ...options,
      workers: () =>
        this.#places.flatMap(({ number, worker }) =>
          worker === undefined ? [] : [{ number, worker }],
        ),
    });
    const allAnswer = new Promise<Answering>((resolve) => {
      this.#onReady = resolve;
    });
    this.ended = new Promise<void>((resolve) => {
      this.#onEnded = resolve;
    }).then(() => {
      if (this.#failure !== undefined) throw new ClusterFailed(this.#failure);
    });
    this.ready = Promise.race([allAnswer, this.ended.then(() => allAnswer)]);
    // Whoever waits for one of the two is told; the other must not count as unhandled.
    for (const each of [this.ended, this.ready]) each.catch(() => undefined);
    registerPlaces(options.metrics, this.#places);
    cluster.setupPrimary({
      exec: options.script,
      args: [...options.args],
      // JSON would make nulls of NaN and of infinity, which are values of metrics.
      serialization: 'advanced',
    });
    for (const place of this.#places) this.#start(place);
    this.#heartbeat = this.#startHeartbeat(options.pace ?? PACE);
  }

  /** Also while workers drain: one that hangs would never end. */
  #startHeartbeat(pace: Pace): Heartbeat {
    const at = (number: number): Place | undefined => this.#places[number - 1];
    const answering = () => this.#places.filter(({ state }) => state === 'answering');
    const heartbeat = new Heartbeat({
      pace,
      places: () => answering().map(({ number }) => number),
      ask: (number) => {
        const worker = at(number)?.worker;
        if (worker !== undefined) tell(worker, { kind: 'beat' });
      },
      onHung: (number) => this.#killHung(at(number), pace),
    });
    heartbeat.start();
    return heartbeat;
  }

  #killHung(place: Place | undefined, { everyMs, missedMax }: Pace): void {
    if (place?.worker === undefined) return;
    place.hangs += 1;
    const { pid } = place.worker.process;
    const silent_ms = everyMs * missedMax;
    this.#options.log.error(
      { worker: place.number, worker_pid: pid, silent_ms },
      'a worker hangs: it is killed',
    );
    place.worker.process.kill('SIGKILL');
  }

  stop(): Promise<void> {
    this.#isStopping = true;
    for (const place of this.#places) {
      clearTimeout(place.pause);
      if (place.worker === undefined) place.state = 'empty';
      else place.worker.process.kill('SIGTERM');
    }
    this.#endIfEmpty();
    return this.ended;
  }

  #start(place: Place): void {
    const { env, isRedisAway, log } = this.#options;
    const placement: Placement = { number: place.number, isRedisAway };
    const worker = cluster.fork({ ...env, [PLACEMENT_VARIABLE]: JSON.stringify(placement) });
    place.state = 'starting';
    place.worker = worker;
    place.starts += 1;
    place.failure = undefined;
    log.info({ worker: place.number, worker_pid: worker.process.pid }, 'a worker starts');
    worker.on('message', (message) => this.#hear(place, worker, fromWorker(message)));
    worker.on('error', (error: Error) => {
      log.warn({ err: error, worker: place.number }, 'worker');
      // A process that never began has no other end.
      if (worker.process.pid === undefined) this.#died(place, worker, error.message);
    });
    worker.on('exit', (code: number | null, signal: string | null) => {
      const how = signal === null ? `code ${code}` : `signal ${signal}`;
      // What it said last may still be in the channel, which ends by itself.
      if (worker.isConnected()) worker.once('disconnect', () => this.#died(place, worker, how));
      else this.#died(place, worker, how);
    });
  }

  #hear(place: Place, worker: Worker, message: FromWorker | undefined): void {
    this.#heartbeat.heard(place.number);
    switch (message?.kind) {
      case 'answering':
        this.#answers(place, message);
        break;
      case 'failed':
        place.failure = message.failure;
        break;
      case 'numbers':
        this.#gatherer.heard(place.number, message);
        break;
      case 'ask_all':
        void this.#gatherer.answer(worker, message.question);
        break;
      case 'alive':
      case undefined:
    }
  }

  #answers(place: Place, { url, isWhole }: Answering): void {
    if (place.state === 'starting') place.answeringSinceMs = performance.now();
    place.state = 'answering';
    place.isWhole = isWhole;
    this.#deathsInSilence = 0;
    const answering = this.#places.filter(({ state }) => state === 'answering');
    if (answering.length < this.#places.length) return;
    this.#onReady({ url, isWhole: answering.every((each) => each.isWhole) });
  }

  #died(place: Place, worker: Worker, how: string): void {
    if (place.worker !== worker) return;
    this.#heartbeat.heard(place.number);
    this.#gatherer.ended(place.number);
    const wasWell =
      place.state === 'answering' && performance.now() - place.answeringSinceMs >= WELL_MS;
    place.deathsInARow = wasWell ? 1 : place.deathsInARow + 1;
    place.worker = undefined;
    place.isWhole = false;
    place.state = 'empty';
    if (this.#isStopping) {
      this.#endIfEmpty();
      return;
    }
    this.#deathsInSilence += 1;
    this.#restartOrGiveUp(place, how, worker.process.pid);
  }

  #restartOrGiveUp(place: Place, how: string, pid: number | undefined): void {
    const others = this.#places.filter(({ state }) => state === 'answering');
    const decision = afterDeath({
      deathsInARow: place.deathsInARow,
      deathsInSilence: this.#deathsInSilence,
      places: this.#places.length,
      isFinal: place.failure?.isFinal ?? false,
      othersAnswering: others.length,
      othersWhole: others.filter(({ isWhole }) => isWhole).length,
    });
    if (decision.kind === 'give_up') {
      this.#failure = place.failure ?? noUse(this.#deathsInSilence, how);
      void this.stop().catch(() => undefined);
      return;
    }
    const { log } = this.#options;
    log.error(
      {
        ...{ worker: place.number, worker_pid: pid, reason: place.failure?.message },
        ...{ deaths_in_a_row: place.deathsInARow, restart_in_ms: decision.pauseMs },
      },
      `a worker ended: ${how}`,
    );
    place.state = 'pausing';
    place.pause = setTimeout(() => this.#start(place), decision.pauseMs);
  }

  #endIfEmpty(): void {
    if (!this.#places.every(({ state }) => state === 'empty')) return;
    this.#heartbeat.stop();
    this.#onEnded();
  }
}

function placeOf(number: number): Place {
  return {
    ...{ number, state: 'empty', worker: undefined, isWhole: false, answeringSinceMs: 0 },
    ...{ deathsInARow: 0, starts: 0, hangs: 0, failure: undefined, pause: undefined },
  };
}

function registerPlaces({ gauge }: Metrics, places: readonly Place[]): void {
  const each = (value: (place: Place) => number) => () =>
    places.map((place) => ({ labels: { worker: String(place.number) }, value: value(place) }));
  const up = each(({ state }) => (state === 'answering' ? 1 : 0));
  gauge('holdfast_worker_up', 'Whether a worker answers there.', ['worker'], up);
  const starts = each((place) => place.starts);
  gauge('holdfast_worker_starts', 'Workers that were started there.', ['worker'], starts);
  const hangs = each((place) => place.hangs);
  gauge('holdfast_worker_hangs', 'Workers that were killed there for hanging.', ['worker'], hangs);
}

function noUse(deaths: number, how: string): Failure {
  const message = `No worker comes to answer: ${deaths} in a row have ended, the last with ${how}`;
  return { message: `${message}; the log says more`, exitCode: 1, isFinal: false };
}
