/**
 * Shoppers: each reserves a cart; who gets it thinks, and commits, releases or forgets it. Whichever
 * caller is free sends what is due next, a commit before a new reserve, so that a few connections
 * carry any number of shoppers.
 *
 * A request without an answer, or with one that leaves open what was done, is sent again when it has
 * a key; what stays open in spite of that is counted in units, so that an audit knows how much it
 * cannot know.
 */
import { randomFrom } from '../../load/random.ts';
import { Fifo } from '../fifo.ts';
import type { Flow, FlowAnswer, FlowRequest, FlowSource, FlowTarget } from '../flow.ts';
import { type PostMaker, postMaker, reservationIdIn } from './request.ts';
import { againAt, isOpen, isOverloaded } from './said.ts';
import { type Wish, type WishParams, wishes } from './wishes.ts';

export interface CheckoutParams {
  readonly seed: string;
  readonly wishes: WishParams;
  /** Shoppers in all; absent: as many as the time allows. */
  readonly shoppers?: number;
  /** Each reserve has an Idempotency-Key of its own that begins so. Absent: the engine makes ids. */
  readonly keys?: string;
  /** Absent: the deployment's. */
  readonly ttlSeconds?: number;
  /** Parts of the holds that are committed and released; the others are left to expire. Default: 0. */
  readonly commitShare?: number;
  readonly releaseShare?: number;
  /** From hold to decision, in an open loop at the least until the next that is due. Default: 0. */
  readonly thinkMs?: number;
}

type Verb = 'reserve' | 'commit' | 'release';

interface Errand {
  readonly verb: Verb;
  readonly request: FlowRequest;
  readonly units: number;
  readonly lines: number;
  readonly isSafeToRepeat: boolean;
  triesLeft: number;
}

interface Settlement {
  readonly verb: 'commit' | 'release';
  readonly id: string;
  readonly units: number;
  readonly dueMs: number;
}

const TRIES_MAX = 10;

export async function checkoutFlow(
  params: CheckoutParams,
  target: FlowTarget,
): Promise<FlowSource> {
  const shop = new Shoppers(params, target, await wishes(params.wishes, params.seed));
  return { caller: () => new Caller(shop), tally: () => shop.tally };
}

class Caller implements Flow {
  readonly #shop: Shoppers;
  #errand: Errand | undefined;

  constructor(shop: Shoppers) {
    this.#shop = shop;
  }

  next(answer: FlowAnswer | undefined): FlowRequest | undefined {
    const errand = this.#errand;
    if (answer !== undefined && errand !== undefined && this.#shop.settle(errand, answer)) {
      return { ...errand.request, dueMs: againAt(answer) };
    }
    this.#errand = this.#shop.draw(answer?.atMs ?? 0);
    return this.#errand?.request;
  }
}

class Shoppers {
  readonly tally = {
    shoppers: 0,
    held: 0,
    heldUnits: 0,
    heldLines: 0,
    refused: 0,
    committedUnits: 0,
    releasedUnits: 0,
    /** Commits and releases that came too late: the hold had expired. */
    late: 0,
    lateUnits: 0,
    unknownUnits: 0,
    unknownCommitUnits: 0,
    /** Since the load began; 0: nobody was refused. */
    firstRefusedMs: 0,
    repeated: 0,
    /** Answers that said so. */
    overloaded: 0,
  };
  readonly #params: CheckoutParams;
  readonly #next: () => Wish;
  readonly #random: () => number;
  /** In the order in which they are due, because all think equally long. */
  readonly #later = new Fifo<Settlement>();
  readonly #make: Readonly<Record<Verb, PostMaker>>;

  constructor(params: CheckoutParams, target: FlowTarget, next: () => Wish) {
    this.#params = params;
    this.#next = next;
    this.#random = randomFrom(`${params.seed}/fates`);
    this.#make = {
      reserve: postMaker(target, '/api/v1/inventory/reserve'),
      commit: postMaker(target, '/api/v1/inventory/commit'),
      release: postMaker(target, '/api/v1/inventory/release'),
    };
  }

  draw(nowMs: number): Errand | undefined {
    const first = this.#later.peek();
    const isOver = this.tally.shoppers === this.#params.shoppers;
    if (first === undefined) return isOver ? undefined : this.#reserve();
    if (!isOver && first.dueMs > nowMs) return this.#reserve();
    this.#later.shift();
    return this.#settlement(first);
  }

  /** True: it is to be sent again. */
  settle(errand: Errand, answer: FlowAnswer): boolean {
    const { tally } = this;
    const isRefused = isOverloaded(answer);
    if (isRefused) tally.overloaded++;
    if (isRefused || isOpen(answer)) {
      if (errand.isSafeToRepeat && errand.triesLeft-- > 0) {
        tally.repeated++;
        return true;
      }
      // What was refused now may have been done by an earlier try that had no answer.
      if (isRefused && errand.triesLeft === TRIES_MAX) return false;
      tally[errand.verb === 'commit' ? 'unknownCommitUnits' : 'unknownUnits'] += errand.units;
    } else if (errand.verb === 'reserve') this.#reserved(errand, answer);
    else this.#settled(errand, answer.status);
    return false;
  }

  #reserve(): Errand {
    const { keys, ttlSeconds } = this.#params;
    const { items, units, lines } = this.#next();
    const key = keys === undefined ? undefined : `${keys}-${this.tally.shoppers}`;
    this.tally.shoppers++;
    const body =
      ttlSeconds === undefined ? items : `{"items":${items},"ttl_seconds":${ttlSeconds}}`;
    const request = { bytes: this.#make.reserve(body, key), label: 'reserve' };
    const isSafeToRepeat = key !== undefined;
    return { verb: 'reserve', request, units, lines, isSafeToRepeat, triesLeft: TRIES_MAX };
  }

  #settlement({ verb, id, units, dueMs }: Settlement): Errand {
    const bytes = this.#make[verb](`{"reservation_id":"${id}"}`);
    const request = { bytes, label: verb, dueMs };
    return { verb, request, units, lines: 0, isSafeToRepeat: true, triesLeft: TRIES_MAX };
  }

  #reserved({ units, lines }: Errand, answer: FlowAnswer): void {
    const { tally } = this;
    if (answer.status === 409) {
      if (tally.refused++ === 0) tally.firstRefusedMs = answer.atMs;
      return;
    }
    if (answer.status >= 300) throw new Error(`reserve: ${answer.status} ${answer.text()}`);
    tally.held++;
    tally.heldUnits += units;
    tally.heldLines += lines;
    const verb = this.#fate();
    if (verb === undefined) return;
    const dueMs = answer.atMs + (this.#params.thinkMs ?? 0);
    this.#later.push({ verb, id: reservationIdIn(answer.text()), units, dueMs });
  }

  #fate(): Settlement['verb'] | undefined {
    const { commitShare = 0, releaseShare = 0 } = this.#params;
    const draw = this.#random();
    if (draw < commitShare) return 'commit';
    return draw < commitShare + releaseShare ? 'release' : undefined;
  }

  #settled({ verb, units }: Errand, status: number): void {
    const { tally } = this;
    if (status >= 300) {
      tally.late++;
      tally.lateUnits += units;
    } else if (verb === 'commit') tally.committedUnits += units;
    else tally.releasedUnits += units;
  }
}
