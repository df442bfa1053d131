/**
 * A storm of retries: each reserve is sent one to five times under one Idempotency-Key, by whichever
 * callers are free, so that copies of it are under way at once. Of the copies one may say that it
 * made the hold (201), the others must show the same one (200).
 */
import { randomFrom } from '../../load/random.ts';
import type { Flow, FlowAnswer, FlowRequest, FlowSource, FlowTarget } from '../flow.ts';
import { postMaker, reservationIdIn } from './request.ts';
import { isOpen, isOverloaded } from './said.ts';
import { type SkuRange, skuDraw } from './zipf.ts';

export interface RetriesParams {
  readonly seed: string;
  readonly skus: SkuRange;
  readonly warehouse: string;
  readonly keys: string;
  /** Most copies of one request. */
  readonly copiesMax: number;
  /** Requests whose copies are being sent: the fewer, the more of them meet. */
  readonly openMax: number;
}

/** One key and its copies. */
interface Wish {
  readonly request: FlowRequest;
  unsent: number;
  underWay: number;
  sentTogether: boolean;
  created: number;
  unanswered: number;
  id: string | undefined;
  isWrong: boolean;
}

export function retriesFlow(params: RetriesParams, target: FlowTarget): FlowSource {
  const storm = new Storm(params, target);
  return { caller: () => new Caller(storm), tally: () => storm.sum() };
}

class Caller implements Flow {
  readonly #storm: Storm;
  #wish: Wish | undefined;

  constructor(storm: Storm) {
    this.#storm = storm;
  }

  next(answer: FlowAnswer | undefined): FlowRequest {
    if (answer !== undefined && this.#wish !== undefined) this.#storm.heard(this.#wish, answer);
    this.#wish = this.#storm.draw();
    return this.#wish.request;
  }
}

class Storm {
  readonly #params: RetriesParams;
  readonly #random: () => number;
  readonly #draw: () => string;
  readonly #make: ReturnType<typeof postMaker>;
  readonly #open: Wish[] = [];
  /** Of which all copies were sent, and some not answered. */
  readonly #ending = new Set<Wish>();
  readonly #tally = {
    keys: 0,
    held: 0,
    heldUnits: 0,
    replays: 0,
    together: 0,
    unknownUnits: 0,
    /** Copies that were refused because too many waited... */
    overloaded: 0,
    /** ...and keys of which all were: there is no hold, and nobody said that there is one. */
    refusedKeys: 0,
    violations: 0,
  };
  #made = 0;

  constructor(params: RetriesParams, target: FlowTarget) {
    this.#params = params;
    this.#random = randomFrom(`${params.seed}/retries`);
    this.#draw = skuDraw(params.skus, `${params.seed}/skus`);
    this.#make = postMaker(target, '/api/v1/inventory/reserve');
  }

  draw(): Wish {
    while (this.#open.length < this.#params.openMax) this.#open.push(this.#newWish());
    const at = Math.floor(this.#random() * this.#open.length);
    const wish = this.#open[at];
    if (wish === undefined) throw new Error('bug: no wish is open');
    wish.unsent--;
    wish.underWay++;
    if (wish.underWay > 1) wish.sentTogether = true;
    if (wish.unsent === 0) {
      this.#open.splice(at, 1);
      this.#ending.add(wish);
    }
    return wish;
  }

  heard(wish: Wish, answer: FlowAnswer): void {
    wish.underWay--;
    if (answer.status === 201 || answer.status === 200) {
      const id = reservationIdIn(answer.text());
      if (wish.id !== undefined && wish.id !== id) wish.isWrong = true;
      wish.id = id;
      if (answer.status === 201) wish.created++;
      else this.#tally.replays++;
    } else if (isOverloaded(answer)) this.#tally.overloaded++;
    else if (isOpen(answer)) wish.unanswered++;
    else throw new Error(`reserve: ${answer.status} ${answer.text()}`);
    if (wish.underWay === 0 && wish.unsent === 0) {
      this.#ending.delete(wish);
      this.#count(wish);
    }
  }

  /** With those whose copies were not all sent when the load ended. */
  sum(): Record<string, number> {
    const asked = [...this.#open, ...this.#ending].filter(
      ({ id, unanswered }) => id !== undefined || unanswered > 0,
    );
    for (const wish of asked) this.#count(wish);
    this.#open.length = 0;
    this.#ending.clear();
    return { ...this.#tally };
  }

  #count(wish: Wish): void {
    const tally = this.#tally;
    tally.keys++;
    if (wish.sentTogether) tally.together++;
    if (wish.id !== undefined) {
      tally.held++;
      tally.heldUnits++;
    } else if (wish.unanswered > 0) tally.unknownUnits++;
    else tally.refusedKeys++;
    // The answer that said so may be the one that did not come; without any, there is no hold.
    const isCreated =
      wish.created === 1 || (wish.created === 0 && (wish.unanswered > 0 || wish.id === undefined));
    if (wish.isWrong || !isCreated) tally.violations++;
  }

  #newWish(): Wish {
    const { warehouse, keys, copiesMax } = this.#params;
    const body = `[{"sku_id":"${this.#draw()}","warehouse_id":"${warehouse}","quantity":1}]`;
    const bytes = this.#make(body, `${keys}-${this.#made++}`);
    return {
      request: { bytes, label: 'reserve' },
      unsent: 1 + Math.floor(this.#random() * copiesMax),
      underWay: 0,
      sentTogether: false,
      created: 0,
      unanswered: 0,
      id: undefined,
      isWrong: false,
    };
  }
}
