/**
 * `GET /api/v1/inventory/{sku_id}/availability` and `POST /api/v1/inventory/availability`.
 *
 * An answer from PostgreSQL is a 200 whose body says `stale: true`, and whose `Age` header (RFC 9111
 * section 5.1) says by how much. `Warning: 110` would say the same, but RFC 9111 made it obsolete.
 */
import type { Sku } from '../../domain/ids.ts';
import { asSku } from '../../domain/ids.ts';
import type {
  Availability,
  AvailabilityAnswer,
  SkuAvailability,
} from '../../stock/availability.ts';
import type { AnswerHeaders } from '../answer.ts';
import { AnswerHead, jsonHead } from '../answer.ts';
import type { Exchange, Handler } from '../exchange.ts';
import { parseJsonBody } from '../json.ts';
import { outcomeProblem, retryAfter } from '../outcome-problem.ts';
import { PROBLEM_GUIDE } from '../problem-guide.ts';
import { availabilityRequest, compileBody } from '../schema.ts';
import { answerFaults, readPathId } from './request.ts';

export function skuAvailabilityHandler(availability: Availability): Handler {
  const textOf = createTextOf();
  return (exchange) => {
    const sku = readPathId(exchange, 'sku_id');
    if (sku === undefined) return;
    ask(exchange, [asSku(sku)], availability, (answer) => {
      const [found] = answer.known;
      if (found !== undefined) exchange.respondWith(headOf(answer), textOf(found));
      else presentUnknown(exchange, sku, answer);
    });
  };
}

export function availabilityHandler(availability: Availability): Handler {
  const check = compileBody(availabilityRequest);
  return (exchange) => {
    const value = parseJsonBody(exchange);
    if (value === undefined) return;
    const checked = check(value);
    if ('faults' in checked) {
      answerFaults(exchange, checked.faults);
      return;
    }
    const skus = [...new Set(checked.body.sku_ids.map((id) => asSku(String(id))))];
    ask(exchange, skus, availability, (answer) => {
      const body = { ...staleOf(answer), skus: answer.known, unknown: answer.unknown };
      exchange.respondWith(headOf(answer), JSON.stringify(body));
    });
  };
}

/** Calls `present` with the answer, unless the stores gave none: then the exchange was answered. */
function ask(
  exchange: Exchange,
  skus: readonly Sku[],
  availability: Availability,
  present: (answer: AvailabilityAnswer) => void,
): void {
  availability.read(
    skus,
    (answer) => {
      if (!('outcome' in answer)) return present(answer);
      const { outcome, detail, retryAfterMs } = answer;
      exchange.problem(outcomeProblem(outcome), { detail }, retryAfter(retryAfterMs));
    },
    (error) => exchange.fail(error),
  );
}

function presentUnknown(exchange: Exchange, sku: string, answer: AvailabilityAnswer): void {
  const extensions = { sku_id: sku, ...staleOf(answer) };
  const details = { detail: PROBLEM_GUIDE.unknown_sku, extensions };
  exchange.problem(outcomeProblem('unknown_sku'), details, ageOf(answer));
}

/** All who asked for a SKU at one time are told the same object: its text is made once. */
function createTextOf(): (found: SkuAvailability) => string {
  const texts = new WeakMap<SkuAvailability, string>();
  return (found) => {
    const known = texts.get(found);
    if (known !== undefined) return known;
    const text = JSON.stringify(found);
    texts.set(found, text);
    return text;
  };
}

function staleOf({ staleMs }: AvailabilityAnswer): { readonly stale?: true } {
  return staleMs === undefined ? {} : { stale: true };
}

function headOf(answer: AvailabilityAnswer): AnswerHead {
  const age = ageOf(answer);
  if (age === undefined) return jsonHead(200);
  return new AnswerHead(200, { 'content-type': 'application/json', ...age });
}

/** Whole seconds; none for what comes from Redis, which is of this moment. */
function ageOf({ staleMs }: AvailabilityAnswer): AnswerHeaders | undefined {
  return staleMs === undefined ? undefined : { age: String(Math.floor(staleMs / 1_000)) };
}
