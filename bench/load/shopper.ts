/**
 * How one shopper acts: a pure state machine. It is told each answer and says what to send next, and when;
 * whoever drives it owns the clock and the network.
 *
 * Phases:
 * - `reserving`, `committing`, `releasing`: a step is under way; `outstanding` of its requests are not answered
 *   yet. The step is decided when all are: a shopper with two tabs open looks at both.
 * - `gone`: nothing will be sent any more, nothing is outstanding, and `outcome` says how it ended.
 * Thinking and coming back are no phases: the next step's request just lies in the future.
 */
import type { Ending, ShopperPlan } from './shoppers.ts';

export type StepKind = 'reserve' | 'commit' | 'release';

interface RequestBase {
  readonly shopperId: string;
  /** When to send it, since the sale's start: the intended time for an open loop's latency. */
  readonly atMs: number;
  /** The same for a step's duplicates and retries. */
  readonly idempotencyKey: string;
  readonly sentAs: 'first' | 'duplicate' | 'retry';
}

export type ShopperRequest =
  | (RequestBase & { readonly kind: 'reserve'; readonly quantity: number })
  | (RequestBase & { readonly kind: 'commit' | 'release'; readonly reservationId: string });

export type ShopperAnswer =
  /** 201, or 200 for a repeat. */
  | { readonly kind: 'reserved'; readonly reservationId: string }
  | { readonly kind: 'sold_out' }
  | { readonly kind: 'committed' }
  | { readonly kind: 'released' }
  /** The hold is no longer there: expired, or lost with a final no. */
  | { readonly kind: 'lost' }
  /** No answer, or one that says that it may or may not have happened (503, timeout): ask again. */
  | { readonly kind: 'unknown' }
  /** Anything else. A sale has none, so it is worth printing. */
  | { readonly kind: 'refused'; readonly code: string };

export type Outcome =
  | 'bought'
  | 'sold_out'
  | 'abandoned'
  | 'released'
  | 'lost'
  /** Asked TRIES_MAX times without an answer to rely on: it may have bought. */
  | 'unresolved'
  | 'refused';

export interface ShopperState {
  readonly phase: 'reserving' | 'committing' | 'releasing' | 'gone';
  /** From 1; each visit has keys of its own. */
  readonly visit: number;
  readonly ending: Ending;
  readonly quantity: number;
  readonly tries: number;
  readonly outstanding: number;
  /** A duplicate that is sent once the first answer is there. */
  readonly duplicateDue: boolean;
  /** Answers of the present step. */
  readonly answers: readonly ShopperAnswer[];
  readonly reservationId: string | undefined;
  readonly outcome: Outcome | undefined;
  /** What no correct engine can have answered, in words. */
  readonly violations: readonly string[];
}

export interface ShopperStep {
  readonly state: ShopperState;
  readonly requests: readonly ShopperRequest[];
}

/** A shopper presses the button so often when nothing comes. */
export const TRIES_MAX = 6;
const RETRY_AFTER_MS = 200;

export function startShopper(plan: ShopperPlan): ShopperStep {
  return visit(plan, plan.arriveAtMs, {
    number: 1,
    ending: plan.ending,
    quantity: plan.quantity,
    violations: [],
  });
}

/** One answer has come, `nowMs` after the sale's start. */
export function onAnswer(
  plan: ShopperPlan,
  state: ShopperState,
  answer: ShopperAnswer,
  nowMs: number,
): ShopperStep {
  if (state.phase === 'gone' || state.outstanding === 0) {
    throw new Error(
      `${plan.shopperId} gets an answer (${answer.kind}) but has nothing outstanding`,
    );
  }
  const next: ShopperState = {
    ...state,
    outstanding: state.outstanding - 1,
    answers: [...state.answers, answer],
  };
  if (next.duplicateDue) {
    const request = requestOf(plan, next, nowMs, 'duplicate');
    return {
      state: { ...next, duplicateDue: false, outstanding: next.outstanding + 1 },
      requests: [request],
    };
  }
  return next.outstanding > 0 ? { state: next, requests: [] } : decide(plan, next, nowMs);
}

/** All answers of the step are there: what they mean together, and what the shopper does then. */
function decide(plan: ShopperPlan, before: ShopperState, nowMs: number): ShopperStep {
  const violations = [...before.violations, ...contradictions(plan, before)];
  const state: ShopperState = { ...before, violations };
  const answer = strongest(state.answers);
  switch (answer.kind) {
    case 'reserved':
      return state.phase === 'reserving'
        ? hold(plan, { ...state, reservationId: answer.reservationId }, nowMs)
        : leave(state, 'refused');
    case 'committed':
      return leave(state, state.phase === 'committing' ? 'bought' : 'refused');
    case 'released':
      if (state.phase !== 'releasing') return leave(state, 'refused');
      if (state.ending !== 'change') return leave(state, 'released');
      return visit(plan, nowMs + plan.thinkMs, {
        number: state.visit + 1,
        ending: 'commit',
        quantity: state.quantity === 1 ? 2 : 1,
        violations,
      });
    case 'unknown':
      return retry(plan, state, nowMs);
    case 'sold_out':
      return state.phase === 'reserving' ? comeBack(plan, state, nowMs) : leave(state, 'refused');
    case 'lost':
      return leave(state, 'lost');
    case 'refused':
      break;
  }
  return leave(state, 'refused');
}

function hold(plan: ShopperPlan, state: ShopperState, nowMs: number): ShopperStep {
  if (state.ending === 'abandon') return leave(state, 'abandoned');
  const phase = state.ending === 'commit' ? 'committing' : 'releasing';
  return begin(plan, { ...state, phase }, nowMs + plan.thinkMs);
}

/** Who comes back wants one unit, and takes it. */
function comeBack(plan: ShopperPlan, state: ShopperState, nowMs: number): ShopperStep {
  const atMs = nowMs + (plan.comeBack?.everyMs ?? 0);
  if (plan.comeBack === undefined || atMs > plan.comeBack.untilMs) return leave(state, 'sold_out');
  return visit(plan, atMs, {
    number: state.visit + 1,
    ending: 'commit',
    quantity: 1,
    violations: state.violations,
  });
}

function retry(plan: ShopperPlan, state: ShopperState, nowMs: number): ShopperStep {
  if (state.tries === TRIES_MAX) return leave(state, 'unresolved');
  const request = requestOf(plan, state, nowMs + RETRY_AFTER_MS * 2 ** (state.tries - 1), 'retry');
  return {
    state: { ...state, tries: state.tries + 1, outstanding: 1, answers: [] },
    requests: [request],
  };
}

function leave(state: ShopperState, outcome: Outcome): ShopperStep {
  return { state: { ...state, phase: 'gone', outcome }, requests: [] };
}

interface Visit {
  readonly number: number;
  readonly ending: Ending;
  readonly quantity: number;
  readonly violations: readonly string[];
}

function visit(plan: ShopperPlan, atMs: number, next: Visit): ShopperStep {
  return begin(
    plan,
    {
      phase: 'reserving',
      visit: next.number,
      ending: next.ending,
      quantity: next.quantity,
      tries: 1,
      outstanding: 0,
      duplicateDue: false,
      answers: [],
      reservationId: undefined,
      outcome: undefined,
      violations: next.violations,
    },
    atMs,
  );
}

/** Begins the step of the state's phase, with the shopper's duplicate. */
function begin(plan: ShopperPlan, state: ShopperState, atMs: number): ShopperStep {
  const requests = [requestOf(plan, state, atMs, 'first')];
  if (plan.duplicates === 'concurrent') requests.push(requestOf(plan, state, atMs, 'duplicate'));
  return {
    state: {
      ...state,
      tries: 1,
      outstanding: requests.length,
      duplicateDue: plan.duplicates === 'after',
      answers: [],
    },
    requests,
  };
}

function requestOf(
  plan: ShopperPlan,
  state: ShopperState,
  atMs: number,
  sentAs: ShopperRequest['sentAs'],
): ShopperRequest {
  const { shopperId } = plan;
  const key = (kind: StepKind): string => `${shopperId}:${state.visit}:${kind}`;
  if (state.phase === 'reserving') {
    const idempotencyKey = key('reserve');
    return { kind: 'reserve', shopperId, atMs, idempotencyKey, sentAs, quantity: state.quantity };
  }
  const { reservationId } = state;
  if (reservationId === undefined) throw new Error(`${shopperId} settles without a reservation`);
  const kind = state.phase === 'committing' ? 'commit' : 'release';
  return { kind, shopperId, atMs, idempotencyKey: key(kind), sentAs, reservationId };
}

/** A yes counts before a doubt, a doubt before a no: the doubt may be the yes. */
function strongest(answers: readonly ShopperAnswer[]): ShopperAnswer {
  const order: readonly ShopperAnswer['kind'][] = [
    'reserved',
    'committed',
    'released',
    'unknown',
    'lost',
    'sold_out',
    'refused',
  ];
  const sorted = answers.toSorted(
    (left, right) => order.indexOf(left.kind) - order.indexOf(right.kind),
  );
  return sorted[0] ?? { kind: 'unknown' };
}

/**
 * I3 and I7 as a shopper sees them: one key makes one reservation, and what was committed was not lost. (Sold out
 * and reserved may stand together: a rejection is not remembered, and units come back between two requests.)
 */
function contradictions(plan: ShopperPlan, state: ShopperState): readonly string[] {
  const { answers } = state;
  const who = `${plan.shopperId}, visit ${state.visit}`;
  const found: string[] = [];
  const ids = new Set(
    answers.flatMap((each) => (each.kind === 'reserved' ? each.reservationId : [])),
  );
  if (ids.size > 1)
    found.push(`${who}: one key made ${ids.size} reservations: ${[...ids].join(', ')}`);
  const kinds = new Set(answers.map((each) => each.kind));
  if (kinds.has('committed') && kinds.has('lost')) {
    found.push(`${who}: ${state.reservationId} was answered as committed and as lost`);
  }
  return found;
}
