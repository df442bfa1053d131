/** `GET /api/v1/inventory/{sku_id}/availability` and `POST /api/v1/inventory/availability`. */
import type { Sku } from '../../domain/ids.ts';
import { asSku } from '../../domain/ids.ts';
import type { AvailabilityAnswer, AvailabilityDeps } from '../../stock/availability.ts';
import { readAvailability } from '../../stock/availability.ts';
import type { Exchange, Handler } from '../exchange.ts';
import { parseJsonBody } from '../json.ts';
import { PROBLEM_GUIDE } from '../problem-guide.ts';
import { availabilityRequest, compileBody } from '../schema.ts';
import { outcomeProblem, retryAfter } from './outcome-problem.ts';
import { answerFaults, readPathId } from './request.ts';

export function skuAvailabilityHandler(deps: AvailabilityDeps): Handler {
  return async (exchange) => {
    const sku = readPathId(exchange, 'sku_id');
    if (sku === undefined) return;
    const answer = await ask(exchange, [asSku(sku)], deps);
    if (answer === undefined) return;
    const [found] = answer.known;
    if (found !== undefined) exchange.respondJson(200, found);
    else {
      const extensions = { sku_id: sku };
      exchange.problem(outcomeProblem('unknown_sku'), {
        detail: PROBLEM_GUIDE.unknown_sku,
        extensions,
      });
    }
  };
}

export function availabilityHandler(deps: AvailabilityDeps): Handler {
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
    const answer = await ask(exchange, skus, deps);
    if (answer === undefined) return;
    exchange.respondJson(200, { skus: answer.known, unknown: answer.unknown });
  };
}

/** The answer, or undefined when the stores gave none and the exchange was answered. */
async function ask(
  exchange: Exchange,
  skus: readonly Sku[],
  deps: AvailabilityDeps,
): Promise<AvailabilityAnswer | undefined> {
  const answer = await readAvailability(skus, deps);
  if (!('outcome' in answer)) return answer;
  const { detail, retryAfterMs } = answer;
  exchange.problem(outcomeProblem(answer.outcome), { detail }, retryAfter(retryAfterMs));
  return undefined;
}
