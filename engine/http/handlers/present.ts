/** Answers of the reservation services as HTTP. */
import type { OutcomeName } from '../../domain/outcome.ts';
import { OUTCOMES } from '../../domain/outcome.ts';
import type { Decided, Refused, ReservationAnswer } from '../../reservations/answer.ts';
import type { CartLine } from '../../reservations/cart.ts';
import type { AnswerHeaders } from '../answer.ts';
import { AnswerHead, jsonHead, problemHead } from '../answer.ts';
import type { Exchange } from '../exchange.ts';
import { outcomeProblem } from '../outcome-problem.ts';
import { appliedPreference } from '../preferences.ts';
import type { ProblemError } from '../problem.ts';
import { PROBLEM_GUIDE } from '../problem-guide.ts';
import { createInsufficientBodies, createInsufficientWriter } from './insufficient-json.ts';
import type { ReservationWriter } from './reservation-json.ts';
import { createReservationBodies, createReservationWriter } from './reservation-json.ts';
import { createUndecidedPresenter } from './undecided.ts';

/** The cart of a reserve, for answers that speak of its lines. */
export interface AskedCart {
  readonly lines: readonly CartLine[];
  readonly partial: boolean;
  /** JSON pointer of the items in the body: '' for the array form. */
  readonly itemsPointer: string;
}

export interface Presented {
  /** Name of the operation in the metrics. */
  readonly operation: string;
  readonly isLevelPreferred: boolean;
  readonly cart?: AskedCart;
}

/** Never throws: what fails is handed to `exchange.fail`, because it may run in a lane's reply. */
export type Presenter = (exchange: Exchange, answer: ReservationAnswer, asked: Presented) => void;

const JSON_HEADERS: AnswerHeaders = Object.freeze({ 'content-type': 'application/json' });

export interface PresenterOptions {
  readonly problemBaseUrl: string;
  readonly countOutcome: (operation: string, outcome: OutcomeName) => void;
}

export function createPresenter(options: PresenterOptions): Presenter {
  const write = createReservationWriter();
  const bodyOf = createReservationBodies();
  const writeInsufficient = createInsufficientWriter(options.problemBaseUrl);
  const insufficientBody = createInsufficientBodies(options.problemBaseUrl);
  const presentUndecided = createUndecidedPresenter(options.problemBaseUrl);

  const presentDecided = (exchange: Exchange, answer: Decided, asked: Presented): void => {
    const { id, outcome, record, stamp, level } = answer;
    const { status } = OUTCOMES[outcome];
    if (status < 300 && record !== undefined) {
      const lines = outcome === 'created' && asked.cart?.partial ? asked.cart.lines : undefined;
      const head = headOf(answer, asked);
      if (lines === undefined) exchange.respondStamped(head, bodyOf(record, stamp, level), id);
      else exchange.respondWith(head, write(id, record, stamp, level, lines));
    } else if (outcome === 'insufficient' && asked.cart !== undefined) {
      presentInsufficient(exchange, answer, asked.cart.lines);
    } else {
      presentRejection(exchange, answer, asked, write);
    }
  };

  const presentInsufficient = (
    exchange: Exchange,
    { id, known, shortages = [] }: Decided,
    lines: readonly CartLine[],
  ): void => {
    const head = problemHead(OUTCOMES.insufficient.status);
    const [line] = lines;
    if (known !== undefined && line !== undefined) {
      exchange.respondStamped(head, insufficientBody(known, line, shortages), id);
    } else {
      exchange.respondWith(head, writeInsufficient(exchange.requestId, id, lines, shortages));
    }
  };

  return (exchange, answer, asked) => {
    try {
      options.countOutcome(asked.operation, answer.outcome);
      if (answer.kind === 'decided') presentDecided(exchange, answer, asked);
      else if (answer.kind === 'undecided') presentUndecided(exchange, answer);
      else presentRefused(exchange, answer);
    } catch (error) {
      exchange.fail(error);
    }
  };
}

/** Of a success: what it was not asked to say it does not say. */
function headOf({ outcome, replayed, level }: Decided, asked: Presented): AnswerHead {
  const { status } = OUTCOMES[outcome];
  if (!replayed && !asked.isLevelPreferred) return jsonHead(status);
  return new AnswerHead(status, {
    ...JSON_HEADERS,
    ...(replayed ? { 'idempotent-replayed': 'true' } : {}),
    ...(asked.isLevelPreferred ? { 'preference-applied': appliedPreference(level) } : {}),
  });
}

/** The lane said no. Where it showed the reservation, the client sees it as it is. */
function presentRejection(
  exchange: Exchange,
  answer: Decided,
  asked: Presented,
  write: ReservationWriter,
): void {
  const { id, outcome, record, stamp, level } = answer;
  const errors = asked.cart === undefined ? [] : lineErrors(answer, asked.cart);
  exchange.problem(outcomeProblem(outcome), {
    detail: PROBLEM_GUIDE[outcome],
    ...(errors.length === 0 ? {} : { errors }),
    extensions: {
      reservation_id: id,
      ...(record === undefined
        ? {}
        : { reservation: JSON.parse(write(id, record, stamp, level)) as unknown }),
    },
  });
}

const LINE_FAULTS: Partial<
  Record<OutcomeName, { readonly field: string; readonly say: (line: CartLine) => string }>
> = {
  unknown_sku: { field: 'sku_id', say: ({ sku }) => `${sku} is no SKU that is known` },
  unknown_warehouse: {
    field: 'warehouse_id',
    say: ({ fields }) => `${fields.join(', ')} names no warehouse that is known`,
  },
};

function lineErrors(answer: Decided, cart: AskedCart): ProblemError[] {
  const fault = LINE_FAULTS[answer.outcome];
  if (fault === undefined) return [];
  return (answer.shortages ?? []).flatMap(({ line }) => {
    const asked = cart.lines[line];
    if (asked === undefined) return [];
    const pointer = `${cart.itemsPointer}/${asked.item}/${fault.field}`;
    return [{ pointer, message: fault.say(asked) }];
  });
}

function presentRefused(exchange: Exchange, { outcome, detail, pointer }: Refused): void {
  const errors = pointer === undefined ? {} : { errors: [{ pointer, message: detail }] };
  exchange.problem(outcomeProblem(outcome), { detail, ...errors });
}
