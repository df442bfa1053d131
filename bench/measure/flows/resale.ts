/**
 * How long after its deadline a unit is sold again: each caller has a SKU of one unit, holds it for
 * a second, forgets it, and from the deadline on asks for it every few milliseconds until it has it
 * again. What is found is what a shopper finds: sweep, the memory of "sold out" and the wait
 * between two tries included.
 */
import { LatencyBook } from '../../load/latency.ts';
import type { Flow, FlowAnswer, FlowRequest, FlowSource, FlowTarget } from '../flow.ts';
import { postMaker } from './request.ts';
import { isOpen, isOverloaded } from './said.ts';

export interface ResaleParams {
  /** Caller n has the SKU `<prefix>n`, of which there is one unit. */
  readonly prefix: string;
  readonly warehouse: string;
  readonly everyMs: number;
  /** It is asked for from so long before its deadline on, so that the engine believes it sold out. */
  readonly beforeMs?: number;
}

const TTL_S = 1;
const LAG = 'lag';

export function resaleFlow(params: ResaleParams, target: FlowTarget): FlowSource {
  const { prefix, warehouse, everyMs, beforeMs = 0 } = params;
  const make = postMaker(target, '/api/v1/inventory/reserve');
  const lags = new LatencyBook();
  const tally = { held: 0, heldUnits: 0, resold: 0, early: 0, unknownUnits: 0 };
  const caller = (index: number): Flow => {
    const items = `[{"sku_id":"${prefix}${index}","warehouse_id":"${warehouse}","quantity":1}]`;
    const bytes = make(`{"items":${items},"ttl_seconds":${TTL_S}}`);
    let expiresAtMs: number | undefined;
    return {
      next(answer) {
        if (answer === undefined) return { bytes, label: 'first hold' };
        if (answer.status !== 201) {
          // It may have made a hold, which ends by itself and is counted by the engine alone.
          if (isOpen(answer) && !isOverloaded(answer)) tally.unknownUnits++;
          return { bytes, label: 'again', dueMs: answer.atMs + everyMs };
        }
        const nowMs = Date.now();
        tally.held++;
        tally.heldUnits++;
        if (expiresAtMs !== undefined) {
          // Its answer's way is part of it. The deadline's clock may be ours less a millisecond.
          lags.record(LAG, Math.max(0, nowMs - expiresAtMs));
          tally.resold++;
          if (nowMs < expiresAtMs) tally.early++;
        }
        expiresAtMs = deadlineIn(answer);
        return askFrom(bytes, answer, expiresAtMs - beforeMs - nowMs);
      },
    };
  };
  return {
    caller,
    tally: () => {
      const { p50Ms, p99Ms, maxMs } = lags.summary(LAG);
      return { ...tally, resaleP50Ms: p50Ms, resaleP99Ms: p99Ms, resaleMaxMs: maxMs };
    },
  };
}

function askFrom(bytes: Buffer, { atMs }: FlowAnswer, inMs: number): FlowRequest {
  return { bytes, label: 'again', dueMs: atMs + Math.max(0, inMs) };
}

function deadlineIn(answer: FlowAnswer): number {
  const [, text = ''] = /"expires_at":"([^"]+)"/.exec(answer.text()) ?? [];
  const deadlineMs = Date.parse(text);
  if (Number.isNaN(deadlineMs)) throw new Error(`a hold without a deadline: ${answer.text()}`);
  return deadlineMs;
}
