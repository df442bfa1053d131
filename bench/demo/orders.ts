/**
 * Plays the real invoices: each step is sent at its time, and behind the step before it of the same order. What an
 * order lacked is lacked for good: a cart that was refused is neither paid nor cancelled.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReplayStep, SkuQuantity } from '../orders/replay-step.ts';
import { type Api, type ApiAnswer, type ApiCall, describeAnswer } from './api.ts';

export interface OrdersTally {
  /** Carts that there are to play. */
  readonly carts: number;
  /** Carts that were sent and answered: reserved or refused. */
  readonly replayed: number;
  readonly reserved: number;
  /** Not all of it was there. */
  readonly refused: number;
  readonly committed: number;
  readonly unitsCommitted: number;
  readonly released: number;
  readonly cancelled: number;
  /** Units of orders that the data does not hold, received back. */
  readonly returned: number;
  /** Write-offs and finds. */
  readonly corrected: number;
  /** Steps of carts that were refused. */
  readonly skipped: number;
  /** Steps with an answer that nobody expects; a correct engine gives none. */
  readonly failed: number;
  /** The first of them, in words. */
  readonly failures: readonly string[];
  /** Paid for, and not called off, the latest last. */
  readonly committedIds: readonly string[];
  /** When the step that was sent last took place, ms since 1970. */
  readonly invoicedAtMs: number | undefined;
}

export interface OrdersRun {
  /** Counts on while the orders are played. */
  readonly tally: OrdersTally;
  /** Resolves when every step is answered, or when the signal aborts. */
  readonly done: Promise<OrdersTally>;
}

type MutableTally = { -readonly [K in keyof OrdersTally]: OrdersTally[K] } & {
  failures: string[];
  committedIds: string[];
};

export const FAILURES_MAX = 20;

export interface OrdersOptions {
  readonly steps: readonly ReplayStep[];
  readonly durationMs: number;
  readonly api: Pick<Api, 'insist'>;
  readonly signal: AbortSignal;
}

export function playOrders({ steps, durationMs, api, signal }: OrdersOptions): OrdersRun {
  const tally = emptyTally(steps);
  const player = new Player(api, tally);
  const play = async (): Promise<OrdersTally> => {
    const startMs = performance.now();
    const behind = new Map<string, Promise<void>>();
    for (const [index, step] of steps.entries()) {
      // Evenly: the shop's nights, when nothing is sold, would be most of the show.
      const dueMs = startMs + (index / steps.length) * durationMs;
      await sleepUntil(dueMs, signal);
      if (signal.aborted) return tally;
      const order = 'reservationId' in step ? step.reservationId : step.operationKey;
      const before = behind.get(order) ?? Promise.resolve();
      behind.set(
        order,
        before.then(() => player.play(step, dueMs)),
      );
    }
    await Promise.all(behind.values());
    return tally;
  };
  return { tally, done: play() };
}

async function sleepUntil(atMs: number, signal: AbortSignal): Promise<void> {
  const leftMs = atMs - performance.now();
  // Rejects when the signal aborts, which the caller asks for itself.
  if (leftMs > 1) await sleep(leftMs, undefined, { signal }).catch(() => undefined);
}

class Player {
  readonly #api: Pick<Api, 'insist'>;
  readonly #tally: MutableTally;
  readonly #refused = new Set<string>();

  constructor(api: Pick<Api, 'insist'>, tally: MutableTally) {
    this.#api = api;
    this.#tally = tally;
  }

  async play(step: ReplayStep, dueAtMs: number): Promise<void> {
    this.#tally.invoicedAtMs = Math.max(this.#tally.invoicedAtMs ?? 0, step.atMs);
    if ('reservationId' in step && this.#refused.has(step.reservationId)) {
      this.#tally.skipped += 1;
      return;
    }
    const answer = await this.#api.insist({ ...callOfStep(step), dueAtMs });
    if (answer.status > 0 && answer.status < 300) this.#countDone(step);
    else this.#countRefusal(step, answer);
  }

  #countDone(step: ReplayStep): void {
    const tally = this.#tally;
    switch (step.kind) {
      case 'reserve':
        tally.replayed += 1;
        tally.reserved += 1;
        break;
      case 'commit':
        tally.committed += 1;
        tally.committedIds.push(step.reservationId);
        tally.unitsCommitted += step.lines.reduce((sum, { quantity }) => sum + quantity, 0);
        break;
      case 'release':
        tally.released += 1;
        break;
      case 'cancel':
        tally.cancelled += 1;
        tally.committedIds = tally.committedIds.filter((id) => id !== step.reservationId);
        break;
      case 'receive':
        tally.returned += 1;
        break;
      case 'adjust':
        tally.corrected += 1;
        break;
    }
  }

  #countRefusal(step: ReplayStep, answer: ApiAnswer): void {
    const tally = this.#tally;
    if (step.kind === 'reserve') {
      tally.replayed += 1;
      this.#refused.add(step.reservationId);
      if (answer.code === 'insufficient') {
        tally.refused += 1;
        return;
      }
    }
    tally.failed += 1;
    if (tally.failures.length < FAILURES_MAX) {
      tally.failures.push(`${step.kind} of invoice ${step.invoice}: ${describeAnswer(answer)}`);
    }
  }
}

/** The request that a step is. */
export function callOfStep(step: ReplayStep): ApiCall {
  const post = { method: 'POST', label: step.kind } as const;
  switch (step.kind) {
    case 'reserve': {
      const items = step.lines.map(({ skuId, quantity }) => ({
        sku_id: skuId,
        warehouse_id: step.warehouseIds,
        quantity,
      }));
      const body = {
        items,
        reservation_id: step.reservationId,
        order_id: step.orderId,
        ...(step.customerId === undefined ? {} : { customer_id: step.customerId }),
        channel: 'wholesale',
      };
      return { ...post, path: '/api/v1/inventory/reserve', body };
    }
    case 'commit': {
      const lines = step.isPartial ? { lines: linesOf(step.lines) } : {};
      const body = { reservation_id: step.reservationId, ...lines };
      return { ...post, path: '/api/v1/inventory/commit', body };
    }
    case 'release':
    case 'cancel': {
      const body = { reservation_id: step.reservationId, lines: linesOf(step.lines) };
      return { ...post, path: `/api/v1/inventory/${step.kind}`, body, key: step.operationKey };
    }
    case 'receive':
    case 'adjust': {
      const body = {
        sku_id: step.skuId,
        warehouse_id: step.warehouseId,
        quantity: step.quantity,
        reason: step.reason,
        reference: { type: 'invoice', id: step.invoice },
      };
      return { ...post, path: `/api/v1/stock/${step.kind}`, body, key: step.operationKey };
    }
  }
}

function linesOf(lines: readonly SkuQuantity[]): readonly { sku_id: string; quantity: number }[] {
  return lines.map(({ skuId, quantity }) => ({ sku_id: skuId, quantity }));
}

function emptyTally(steps: readonly ReplayStep[]): MutableTally {
  return {
    carts: steps.filter(({ kind }) => kind === 'reserve').length,
    replayed: 0,
    reserved: 0,
    refused: 0,
    committed: 0,
    unitsCommitted: 0,
    released: 0,
    cancelled: 0,
    returned: 0,
    corrected: 0,
    skipped: 0,
    failed: 0,
    failures: [],
    committedIds: [],
    invoicedAtMs: undefined,
  };
}
