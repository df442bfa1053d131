/**
 * `GET /api/v1/inventory/{sku_id}/availability` and `POST /api/v1/inventory/availability`.
 *
 * An answer from PostgreSQL is a 200 whose body says `stale: true`, and whose `Age` header (RFC 9111
 * section 5.1) says by how much. `Warning: 110` would say the same, but RFC 9111 made it obsolete.
 */
import type { Sku } from '../../domain/ids.ts';
import { asSku } from '../../domain/ids.ts';
import type { Availability, AvailabilityAnswer } from '../../stock/availability.ts';
import type { AnswerHeaders } from '../answer.ts';
import type { Exchange, Handler } from '../exchange.ts';
import { parseJsonBody } from '../json.ts';
import { PROBLEM_GUIDE } from '../problem-guide.ts';
import { availabilityRequest, compileBody } from '../schema.ts';
import { outcomeProblem, retryAfter } from './outcome-problem.ts';
import { answerFaults, readPathId } from './request.ts';

export function skuAvailabilityHandler(availability: Availability): Handler {
  return async (exchange) => {
    const sku = readPathId(exchange, 'sku_id');
    if (sku === undefined) return;
    const answer = await ask(exchange, [asSku(sku)], availability);
    if (answer === undefined) return;
    const [found] = answer.known;
    if (found !== undefined) {
      exchange.respondJson(200, found, ageOf(answer));
      return;
    }
    const stale = answer.staleMs === undefined ? {} : { stale: true };
    exchange.problem(
      outcomeProblem('unknown_sku'),
      { detail: PROBLEM_GUIDE.unknown_sku, extensions: { sku_id: sku, ...stale } },
      ageOf(answer),
    );
  };
}

export function availabilityHandler(availability: Availability): Handler {
  const check = compileBody(availabilityRequest);
  return async (exchange) => {
    const value = parseJsonBody(exchange);
    if (value === undefined) return;
    const checked = check(value);
    if ('faults' in checked) {
      answerFaults(exchange, checked.faults);
      return;
    }
    const skus = [...new Set(checked.body.sku_ids.map((id) => asSku(String(id))))];
    const answer = await ask(exchange, skus, availability);
    if (answer === undefined) return;
    const stale = answer.staleMs === undefined ? {} : { stale: true };
    const body = { ...stale, skus: answer.known, unknown: answer.unknown };
    exchange.respondJson(200, body, ageOf(answer));
  };
}

/** The answer, or undefined when the stores gave none and the exchange was answered. */
async function ask(
  exchange: Exchange,
  skus: readonly Sku[],
  availability: Availability,
): Promise<AvailabilityAnswer | undefined> {
  const answer = await availability.read(skus);
  if (!('outcome' in answer)) return answer;
  const { detail, retryAfterMs } = answer;
  exchange.problem(outcomeProblem(answer.outcome), { detail }, retryAfter(retryAfterMs));
  return undefined;
}

/** Whole seconds; none for what comes from Redis, which is of this moment. */
function ageOf({ staleMs }: AvailabilityAnswer): AnswerHeaders {
  return staleMs === undefined ? {} : { age: String(Math.floor(staleMs / 1_000)) };
}
