/**
 * Checkout pairs: each caller reserves one unit, and when it has the answer commits the hold, or
 * releases it; then the next. The latency of a pair is from the sending of its reserve to the answer
 * of its settlement.
 */
import { LatencyBook } from '../../load/latency.ts';
import { randomFrom } from '../../load/random.ts';
import type { Flow, FlowAnswer, FlowRequest, FlowSource, FlowTarget } from '../flow.ts';
import { type PostMaker, postMaker, reservationIdIn } from './request.ts';
import { isOverloaded } from './said.ts';

export interface PairParams {
  readonly seed: string;
  /** In turns. */
  readonly skus: readonly string[];
  readonly warehouse: string;
  /** Part of the holds that are committed; the others are released. */
  readonly commitShare: number;
}

type Verb = 'commit' | 'release';

export function pairFlow(params: PairParams, target: FlowTarget): FlowSource {
  const pairs = new Pairs(params, target);
  return { caller: () => new Caller(pairs), tally: () => pairs.result() };
}

class Caller implements Flow {
  readonly #pairs: Pairs;
  #verb: Verb | undefined;
  #beganMs = 0;

  constructor(pairs: Pairs) {
    this.#pairs = pairs;
  }

  next(answer: FlowAnswer | undefined): FlowRequest | undefined {
    if (answer === undefined) return this.#pairs.reserve();
    if (this.#verb === undefined) {
      const settlement = this.#pairs.reserved(answer);
      if (settlement !== undefined) {
        this.#verb = settlement.verb;
        return settlement.request;
      }
    } else this.#pairs.settled(this.#verb, answer, this.#beganMs);
    this.#verb = undefined;
    this.#beganMs = answer.atMs;
    return this.#pairs.reserve();
  }
}

class Pairs {
  readonly #params: PairParams;
  readonly #reserves: readonly Buffer[];
  readonly #make: Readonly<Record<Verb, PostMaker>>;
  readonly #random: () => number;
  readonly #latencies = new LatencyBook();
  readonly #tally = { held: 0, refused: 0, unknown: 0, committed: 0, released: 0, unsettled: 0 };
  #next = 0;

  constructor(params: PairParams, target: FlowTarget) {
    const make = postMaker(target, '/api/v1/inventory/reserve');
    const { skus, warehouse } = params;
    if (skus.length === 0) throw new Error('a pair needs a SKU');
    this.#params = params;
    this.#reserves = skus.map((sku) =>
      make(`[{"sku_id":"${sku}","warehouse_id":"${warehouse}","quantity":1}]`),
    );
    this.#make = {
      commit: postMaker(target, '/api/v1/inventory/commit'),
      release: postMaker(target, '/api/v1/inventory/release'),
    };
    this.#random = randomFrom(`${params.seed}/pairs`);
  }

  reserve(): FlowRequest {
    const bytes = this.#reserves[this.#next++ % this.#reserves.length];
    if (bytes === undefined) throw new RangeError('no reserve');
    return { bytes, label: 'reserve' };
  }

  /** Undefined: there is nothing to settle. */
  reserved(answer: FlowAnswer): { readonly verb: Verb; readonly request: FlowRequest } | undefined {
    if (answer.status !== 201) {
      // A server that is full says so, and nothing was done; after anything else nobody knows.
      this.#tally[answer.status === 409 || isOverloaded(answer) ? 'refused' : 'unknown']++;
      return undefined;
    }
    this.#tally.held++;
    const verb = this.#random() < this.#params.commitShare ? 'commit' : 'release';
    const bytes = this.#make[verb](`{"reservation_id":"${reservationIdIn(answer.text())}"}`);
    return { verb, request: { bytes, label: verb } };
  }

  settled(verb: Verb, answer: FlowAnswer, beganMs: number): void {
    if (answer.status !== 200) {
      this.#tally.unsettled++;
      return;
    }
    this.#tally[verb === 'commit' ? 'committed' : 'released']++;
    this.#latencies.record('pair', answer.atMs - beganMs);
  }

  /** Latencies in ms; of one stream, because they cannot be summed. */
  result(): Readonly<Record<string, number>> {
    const { p50Ms, p99Ms, p999Ms, maxMs } = this.#latencies.summary('pair');
    return { ...this.#tally, p50Ms, p99Ms, p999Ms, maxMs };
  }
}
