/** Stock that comes in while others buy: one line, under a key of its own, sent again until it is in. */
import type { Flow, FlowAnswer, FlowRequest, FlowSource, FlowTarget } from '../flow.ts';
import { postMaker } from './request.ts';
import { againAt } from './said.ts';
import { type SkuRange, skuDraw } from './zipf.ts';

export interface ReceivesParams {
  readonly seed: string;
  readonly skus: SkuRange;
  readonly warehouse: string;
  readonly units: number;
  readonly keys: string;
}

export function receivesFlow(params: ReceivesParams, target: FlowTarget): FlowSource {
  const { seed, skus, warehouse, units, keys } = params;
  const make = postMaker(target, '/api/v1/stock/receive');
  const draw = skuDraw(skus, `${seed}/receives`);
  const tally = { receivedUnits: 0, unknownReceivedUnits: 0 };
  let n = 0;
  const ask = (): FlowRequest => {
    const body = `{"sku_id":"${draw()}","warehouse_id":"${warehouse}","quantity":${units}}`;
    return { bytes: make(body, `${keys}-${n++}`), label: 'receive' };
  };
  const caller = (): Flow => {
    let asked: FlowRequest | undefined;
    let triesLeft = TRIES_MAX;
    return {
      next(answer: FlowAnswer | undefined) {
        if (answer !== undefined && asked !== undefined) {
          if (answer.status >= 200 && answer.status < 300) tally.receivedUnits += units;
          else if (triesLeft-- > 0) return { ...asked, dueMs: againAt(answer) };
          else tally.unknownReceivedUnits += units;
        }
        asked = ask();
        triesLeft = TRIES_MAX;
        return asked;
      },
    };
  };
  return { caller, tally: () => tally };
}

const TRIES_MAX = 10;
