/** Shoppers who go on while a test plants drift and repairs it; every answer of theirs is judged. */
import type { TestEngine } from '../../../engine/testing/engine.ts';

export interface Traffic {
  /** Answers so far. */
  readonly answers: () => number;
  /** Ends the shoppers; names every answer that no shop should ever get. */
  stop(): Promise<{ readonly answers: number; readonly failures: readonly string[] }>;
}

const SHOPPERS = 2;
/** A shop may hear these of a reservation; anything else is a failure. */
const EXPECTED: ReadonlySet<number> = new Set([200, 201]);

export function startTraffic(engine: TestEngine, sku: string): Traffic {
  const failures: string[] = [];
  let answers = 0;
  let isOver = false;
  const ask = async (verb: string, body: unknown): Promise<Record<string, unknown>> => {
    const answer = await engine.call('POST', `/api/v1/inventory/${verb}`, body);
    answers += 1;
    if (!EXPECTED.has(answer.status)) {
      failures.push(`${verb}: ${answer.status} ${JSON.stringify(answer.body)}`);
    }
    return answer.body;
  };
  const shop = async (shopper: number): Promise<void> => {
    for (let cart = 0; !isOver; cart += 1) {
      const { reservation_id } = await ask('reserve', {
        items: [{ sku_id: sku, quantity: 1 + (cart % 2) }],
      });
      const verb = (cart + shopper) % 3 === 0 ? 'release' : 'commit';
      await ask(verb, { reservation_id });
      if (verb === 'commit' && cart % 5 === 0) await ask('cancel', { reservation_id });
    }
  };
  const done = Promise.allSettled(Array.from({ length: SHOPPERS }, (_, i) => shop(i)));
  return {
    answers: () => answers,
    async stop() {
      isOver = true;
      const broken = (await done).filter((each) => each.status === 'rejected');
      return { answers, failures: [...failures, ...broken.map((each) => String(each.reason))] };
    },
  };
}
