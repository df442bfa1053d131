/**
 * The real orders at their times, faster: each step is due when it was, divided by the speed. The
 * steps of one order are one caller's, so they go one behind the other; whose cart was refused, its
 * commit, release and cancel are left out.
 */
import { callOfStep } from '../../demo/orders.ts';
import { hash32 } from '../../load/random.ts';
import { readRealOrders } from '../../orders/parse.ts';
import { buildReplay } from '../../orders/replay.ts';
import type { ReplayStep } from '../../orders/replay-step.ts';
import type { Flow, FlowAnswer, FlowRequest, FlowSource, FlowTarget } from '../flow.ts';
import { request } from './request.ts';
import { againAt, isOpen } from './said.ts';

export interface ReplayParams {
  /** How much of the real time passes in one second of the load. */
  readonly speed: number;
}

export async function replayFlow({ speed }: ReplayParams, target: FlowTarget): Promise<FlowSource> {
  const { steps } = buildReplay(await readRealOrders());
  const fromMs = steps[0]?.atMs ?? 0;
  const queues: Due[][] = Array.from({ length: target.callers }, () => []);
  for (const step of steps) {
    const order = 'reservationId' in step ? step.reservationId : step.operationKey;
    queues[hash32(order) % queues.length]?.push({ step, dueMs: (step.atMs - fromMs) / speed });
  }
  const sums = new Map<string, number>();
  const count = (name: string, value = 1): void => {
    sums.set(name, (sums.get(name) ?? 0) + value);
  };
  return {
    caller: (index) => new Caller(queues[index] ?? [], target, count),
    tally: () => Object.fromEntries(sums),
  };
}

interface Due {
  readonly step: ReplayStep;
  readonly dueMs: number;
}

/** Every step is to be done, on however busy a machine. */
const TRIES_MAX = 100;

class Caller implements Flow {
  readonly #steps: readonly Due[];
  readonly #target: FlowTarget;
  readonly #count: (name: string, value?: number) => void;
  readonly #refused = new Set<string>();
  #at = 0;
  #triesLeft = TRIES_MAX;

  constructor(
    steps: readonly Due[],
    target: FlowTarget,
    count: (name: string, value?: number) => void,
  ) {
    this.#steps = steps;
    this.#target = target;
    this.#count = count;
  }

  next(answer: FlowAnswer | undefined): FlowRequest | undefined {
    const last = this.#steps[this.#at];
    if (answer !== undefined && last !== undefined && this.#settle(last.step, answer)) {
      this.#at++;
      this.#triesLeft = TRIES_MAX;
    }
    const againMs = answer === undefined || this.#triesLeft === TRIES_MAX ? 0 : againAt(answer);
    for (; ; this.#at++) {
      const due = this.#steps[this.#at];
      if (due === undefined) return undefined;
      if (!this.#isVain(due.step)) {
        return { ...this.#request(due.step), dueMs: Math.max(due.dueMs, againMs) };
      }
      this.#count('skipped');
    }
  }

  #isVain(step: ReplayStep): boolean {
    return 'reservationId' in step && this.#refused.has(step.reservationId);
  }

  /** False: it is to be sent again. Each step has an id or a key of its own. */
  #settle(step: ReplayStep, answer: FlowAnswer): boolean {
    const { status } = answer;
    if (isOpen(answer) && this.#triesLeft-- > 0) return false;
    if (status >= 200 && status < 300) {
      this.#count(step.kind);
      this.#count(`${step.kind}Units`, unitsOf(step));
    } else if (step.kind === 'reserve' && status === 409) {
      this.#refused.add(step.reservationId);
      this.#count('refused');
    } else this.#count('failed');
    return true;
  }

  #request(step: ReplayStep): FlowRequest {
    const { method, path, body, key, label } = callOfStep(step);
    if (method === 'DELETE' || method === 'PATCH') throw new Error(`bug: ${method} of a step`);
    const header = key === undefined ? '' : `Idempotency-Key: ${key}\r\n`;
    const bytes = request(this.#target, method, path, JSON.stringify(body), header);
    return { bytes, label };
  }
}

function unitsOf(step: ReplayStep): number {
  if ('quantity' in step) return step.quantity;
  return step.lines.reduce((sum, { quantity }) => sum + quantity, 0);
}
