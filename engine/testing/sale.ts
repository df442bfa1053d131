/** A sale for the fault tests: shoppers who buy until the SKU `HOT` is sold out. */
import type { TestEngine } from './engine.ts';
import { DECISION_MS_MAX } from './until.ts';

export interface Tally {
  readonly committed: Set<string>;
  /** Answers by their code, or by the status of the reservation. */
  readonly outcomes: Map<string, number>;
  /** Answers that decided nothing (503). */
  undecided: number;
  soldOut: boolean;
}

/** Buys until sold out; an answer that decides nothing is asked again with the same key. */
export async function shop(engine: TestEngine, shopper: number, tally: Tally): Promise<void> {
  for (let cart = 0; !tally.soldOut; cart++) {
    const key = `s${shopper}-${cart}`;
    const reserved = await insist(engine, tally, 'reserve', [{ sku_id: 'HOT', quantity: 1 }], key);
    if (reserved.code === 'insufficient') {
      tally.soldOut = true;
      return;
    }
    const id = String(reserved.reservation_id);
    const committed = await insist(engine, tally, 'commit', { reservation_id: id });
    if (committed.status === 'committed') tally.committed.add(id);
  }
}

async function insist(
  engine: TestEngine,
  tally: Tally,
  verb: string,
  body: unknown,
  key?: string,
): Promise<Record<string, unknown>> {
  const deadline = performance.now() + DECISION_MS_MAX;
  for (;;) {
    const headers = key === undefined ? {} : { 'idempotency-key': key };
    const answer = await engine.call('POST', `/api/v1/inventory/${verb}`, body, headers);
    const outcome = String(answer.body.code ?? answer.body.status);
    tally.outcomes.set(outcome, (tally.outcomes.get(outcome) ?? 0) + 1);
    if (answer.status < 500) return answer.body;
    tally.undecided++;
    if (performance.now() > deadline)
      throw new Error(`no decision: ${JSON.stringify(answer.body)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function newTally(): Tally {
  return { committed: new Set(), outcomes: new Map(), undecided: 0, soldOut: false };
}
