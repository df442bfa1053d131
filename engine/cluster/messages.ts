/** What a supervisor and its workers say to each other, over the IPC channel of node:cluster. */
import type { Worker } from 'node:cluster';
import type { MetricsSnapshot } from '../runtime/metrics-sum.ts';

/** Why a worker cannot go on, told by the worker itself. */
export interface Failure {
  /** All that a person needs. */
  readonly message: string;
  /** What the process would have ended with if it were alone. */
  readonly exitCode: number;
  /** No time mends it, so that to start it again helps only when somebody mends it. */
  readonly isFinal: boolean;
  /** Of the system error that made listening fail. */
  readonly listenCode?: string | undefined;
}

/** A worker that answers; it is whole when its Redis has answered, too. */
export interface Answering {
  readonly url: string;
  readonly isWhole: boolean;
}

/** How a worker is started: in its environment, because its first steps need it. */
export interface Placement {
  /** From 1; the next process in this place has the same one. */
  readonly number: number;
  /** Redis was away when the supervisor looked. */
  readonly isRedisAway: boolean;
}

export const PLACEMENT_VARIABLE = 'HOLDFAST_WORKER';

export type FromWorker =
  | ({ readonly kind: 'answering' } & Answering)
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** Its numbers: as asked for, or unasked, when it ends. */
  | { readonly kind: 'numbers'; readonly question?: number; readonly snapshot: MetricsSnapshot }
  | { readonly kind: 'alive' }
  /** Somebody asked it for the numbers of all. */
  | { readonly kind: 'ask_all'; readonly question: number };

export type FromSupervisor =
  /** Whether it hangs: any word is an answer. */
  | { readonly kind: 'beat' }
  | { readonly kind: 'ask'; readonly question: number }
  | { readonly kind: 'all'; readonly question: number; readonly text: string };

const FROM_WORKER: ReadonlySet<unknown> = new Set<FromWorker['kind']>([
  'answering',
  'failed',
  'numbers',
  'alive',
  'ask_all',
]);
const FROM_SUPERVISOR: ReadonlySet<unknown> = new Set<FromSupervisor['kind']>([
  'beat',
  'ask',
  'all',
]);

/** Both ends are of one build, so the kind alone is looked at. */
export function fromWorker(message: unknown): FromWorker | undefined {
  return FROM_WORKER.has(kindOf(message)) ? (message as FromWorker) : undefined;
}

export function fromSupervisor(message: unknown): FromSupervisor | undefined {
  return FROM_SUPERVISOR.has(kindOf(message)) ? (message as FromSupervisor) : undefined;
}

function kindOf(message: unknown): unknown {
  return typeof message === 'object' && message !== null && 'kind' in message && message.kind;
}

/** A worker that is gone hears nothing, and its end is told by itself. */
export function tell(worker: Worker, message: FromSupervisor): void {
  if (worker.isConnected()) worker.send(message, undefined, undefined, () => undefined);
}
