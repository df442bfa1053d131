/**
 * Drives a crowd of shoppers: sends each request at its time, tells the shopper the answer, and counts. Open
 * loop: nobody waits for anybody else's answer. The network is the caller's `send`.
 */
import type { Outcome, ShopperAnswer, ShopperRequest, ShopperState } from './shopper.ts';
import { onAnswer, startShopper } from './shopper.ts';
import type { ShopperPlan } from './shoppers.ts';

export interface SaleTally {
  readonly requests: Readonly<Record<ShopperRequest['kind'], number>>;
  /** Of the requests. */
  readonly duplicates: number;
  readonly retries: number;
  readonly answers: Readonly<Record<ShopperAnswer['kind'], number>>;
  /** Shoppers who are through, by how it ended. */
  readonly outcomes: Readonly<Record<Outcome, number>>;
  /** Units that shoppers were told are theirs. */
  readonly unitsBought: number;
  /** Codes of `refused` answers. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly violations: readonly string[];
}

export interface SaleRun {
  /** Counts on while the sale runs: read it for a live display. */
  readonly tally: SaleTally;
  /** The tally, once every shopper is through, or at once when the signal aborts. */
  readonly done: Promise<SaleTally>;
}

/** Time as the driver sees it; a test brings its own. */
export interface SaleClock {
  readonly nowMs: () => number;
  /** Runs something later, and gives what takes that back. */
  readonly after: (delayMs: number, run: () => void) => () => void;
}

const REAL_CLOCK: SaleClock = {
  nowMs: () => performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

export interface SaleRunOptions {
  readonly plans: readonly ShopperPlan[];
  /**
   * Sends one request and says what the answer means. `dueAtMs` is when it should have been sent, on the clock
   * (the real one is performance.now()). It must not reject: a lost connection is an `unknown`.
   */
  readonly send: (request: ShopperRequest, dueAtMs: number) => Promise<ShopperAnswer>;
  /** Ends the sale early: nothing is sent any more. */
  readonly signal?: AbortSignal;
  readonly clock?: SaleClock;
}

export function runSale({ plans, send, signal, clock = REAL_CLOCK }: SaleRunOptions): SaleRun {
  const tally = emptyTally();
  const startMs = clock.nowMs();
  const scheduled = new Set<() => void>();
  let left = plans.length;

  const done = new Promise<SaleTally>((resolve, reject) => {
    const stop = (): void => {
      for (const unschedule of scheduled) unschedule();
      scheduled.clear();
      resolve(tally);
    };

    const schedule = (request: ShopperRequest, receive: (answer: ShopperAnswer) => void): void => {
      const dueAtMs = startMs + request.atMs;
      const unschedule = clock.after(dueAtMs - clock.nowMs(), () => {
        scheduled.delete(unschedule);
        countRequest(tally, request);
        send(request, dueAtMs).then(receive).catch(reject);
      });
      scheduled.add(unschedule);
    };

    const attend = (plan: ShopperPlan): void => {
      let { state, requests } = startShopper(plan);
      const receive = (answer: ShopperAnswer): void => {
        if (signal?.aborted) return;
        ({ state, requests } = onAnswer(plan, state, answer, clock.nowMs() - startMs));
        countAnswer(tally, answer);
        for (const request of requests) schedule(request, receive);
        if (state.phase !== 'gone') return;
        countOutcome(tally, state);
        left -= 1;
        if (left === 0) stop();
      };
      for (const request of requests) schedule(request, receive);
    };

    signal?.addEventListener('abort', stop, { once: true });
    if (left === 0 || signal?.aborted) stop();
    else for (const plan of plans) attend(plan);
  });
  return { tally, done };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends number ? number : MutablePart<T[K]> };
type MutablePart<T> = T extends readonly (infer Item)[]
  ? Item[]
  : { -readonly [K in keyof T]: T[K] };

function emptyTally(): Mutable<SaleTally> {
  return {
    requests: { reserve: 0, commit: 0, release: 0 },
    duplicates: 0,
    retries: 0,
    answers: {
      reserved: 0,
      sold_out: 0,
      committed: 0,
      released: 0,
      lost: 0,
      unknown: 0,
      refused: 0,
    },
    outcomes: {
      bought: 0,
      sold_out: 0,
      abandoned: 0,
      released: 0,
      lost: 0,
      unresolved: 0,
      refused: 0,
    },
    unitsBought: 0,
    refusals: {},
    violations: [],
  };
}

function countRequest(tally: Mutable<SaleTally>, request: ShopperRequest): void {
  tally.requests[request.kind] += 1;
  if (request.sentAs === 'duplicate') tally.duplicates += 1;
  if (request.sentAs === 'retry') tally.retries += 1;
}

function countAnswer(tally: Mutable<SaleTally>, answer: ShopperAnswer): void {
  tally.answers[answer.kind] += 1;
  if (answer.kind === 'refused') {
    tally.refusals[answer.code] = (tally.refusals[answer.code] ?? 0) + 1;
  }
}

function countOutcome(tally: Mutable<SaleTally>, state: ShopperState): void {
  if (state.outcome === undefined) return;
  tally.outcomes[state.outcome] += 1;
  if (state.outcome === 'bought') tally.unitsBought += state.quantity;
  tally.violations.push(...state.violations);
}
