/**
 * The worker's end of the channel. A worker drains when its supervisor says so (SIGTERM), when an
 * operator does (the same), and when the supervisor is gone: nobody would restart it or tell it to
 * end, and it would keep the port. Ctrl-C in a terminal reaches it as well as its supervisor, which
 * says what it means.
 */
import cluster from 'node:cluster';
import type { Metrics } from '../runtime/metrics.ts';
import {
  type Answering,
  type Failure,
  type FromSupervisor,
  type FromWorker,
  fromSupervisor,
  PLACEMENT_VARIABLE,
  type Placement,
} from './messages.ts';

/** The supervisor itself waits a second for each worker's numbers. */
const ANSWER_MS_MAX = 3_000;
/** For an orphan that does not come to its end by itself. */
const ORPHAN_MS_MAX = 30_000;

export interface ClusterWorker extends Placement {
  /** Aborted when it is to drain and end. */
  readonly signal: AbortSignal;
  answering(what: Answering): void;
  /** The supervisor says it, once for all; false when there is none any more. */
  failed(failure: Failure): boolean;
  /** The same metrics, rendered as those of all workers. */
  shared(metrics: Metrics): Metrics;
  /** Leaves the last numbers behind; then nothing keeps this process alive on the channel's account. */
  leave(): Promise<void>;
}

/** Undefined where no supervisor of ours started this process. */
export function joinCluster(env: NodeJS.ProcessEnv = process.env): ClusterWorker | undefined {
  const placement = env[PLACEMENT_VARIABLE];
  if (cluster.worker === undefined || placement === undefined) return undefined;
  return new Link(JSON.parse(placement) as Placement);
}

class Link implements ClusterWorker {
  readonly number: number;
  readonly isRedisAway: boolean;
  readonly #draining = new AbortController();
  readonly #asking = new Map<number, (text: string) => void>();
  #questions = 0;
  /** Settled when what was said last is on its way. */
  #said = Promise.resolve();
  #metrics: Metrics | undefined;

  constructor({ number, isRedisAway }: Placement) {
    this.number = number;
    this.isRedisAway = isRedisAway;
    process.on('SIGTERM', () => this.#draining.abort());
    process.on('SIGINT', () => undefined);
    process.on('message', (message) => this.#hear(fromSupervisor(message)));
    // Ahead of the listener of node:cluster, which would end the process on the spot.
    process.prependOnceListener('disconnect', () => this.#orphaned());
  }

  get signal(): AbortSignal {
    return this.#draining.signal;
  }

  answering(what: Answering): void {
    void this.#tell({ kind: 'answering', ...what });
  }

  failed(failure: Failure): boolean {
    if (!process.connected) return false;
    this.#said = this.#tell({ kind: 'failed', failure });
    return true;
  }

  shared(metrics: Metrics): Metrics {
    this.#metrics = metrics;
    return { ...metrics, render: () => this.#askAll() };
  }

  async leave(): Promise<void> {
    await this.#said;
    if (this.#metrics !== undefined) {
      // The stores that gauges ask are closed by now.
      await this.#tell({ kind: 'numbers', snapshot: await this.#metrics.snapshot('counts') });
    }
    if (process.connected) process.disconnect();
  }

  #orphaned(): void {
    if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
    this.#draining.abort();
    setTimeout(() => process.exit(1), ORPHAN_MS_MAX).unref();
  }

  /** Resolves when it is written, or cannot be. */
  #tell(message: FromWorker): Promise<void> {
    return new Promise((resolve) => {
      if (!process.connected || process.send === undefined) resolve();
      else process.send(message, undefined, undefined, () => resolve());
    });
  }

  #hear(message: FromSupervisor | undefined): void {
    if (message?.kind === 'beat') void this.#tell({ kind: 'alive' });
    if (message?.kind === 'all') this.#asking.get(message.question)?.(message.text);
    if (message?.kind !== 'ask' || this.#metrics === undefined) return;
    const { question } = message;
    this.#metrics.snapshot().then(
      (snapshot) => this.#tell({ kind: 'numbers', question, snapshot }),
      () => undefined,
    );
  }

  async #askAll(): Promise<string> {
    this.#questions += 1;
    const question = this.#questions;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        const fail = (): void => reject(new Error('the supervisor does not tell the numbers'));
        timer = setTimeout(fail, ANSWER_MS_MAX);
        this.#asking.set(question, resolve);
        void this.#tell({ kind: 'ask_all', question });
      });
    } finally {
      clearTimeout(timer);
      this.#asking.delete(question);
    }
  }
}
