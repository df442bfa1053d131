/**
 * "Sold out" as JSON text: the answer that a sale gives most. Everything that does not differ from
 * case to case is written once, at start; what is the same for a while, once for that while.
 */
import type { Shortage } from '../../redis/operation.ts';
import type { CartLine } from '../../reservations/cart.ts';
import { prepareProblem } from '../answer.ts';
import { outcomeProblem } from '../outcome-problem.ts';
import { StampedBody } from '../stamped.ts';

export type InsufficientWriter = (
  requestId: string,
  reservationId: string,
  lines: readonly CartLine[],
  shortages: readonly Shortage[],
) => string;

/** For a cart of one line, of which `known` tells all but the quantity. */
export type InsufficientBodies = (
  known: object,
  line: CartLine,
  shortages: readonly Shortage[],
) => StampedBody;

const DETAIL = 'Not all of it is there; nothing was reserved. The lines say what was missing.';

/** Before the request id, and between it and the reservation id. */
function beginningOf(problemBaseUrl: string): readonly [string, string] {
  const row = outcomeProblem('insufficient');
  const [before, rest] = prepareProblem(row, { detail: DETAIL }, { problemBaseUrl }).parts;
  return [before, `${rest.slice(0, -1)},"reservation_id":"`];
}

export function createInsufficientWriter(problemBaseUrl: string): InsufficientWriter {
  const [before, between] = beginningOf(problemBaseUrl);
  return (requestId, reservationId, lines, shortages) =>
    before + requestId + between + reservationId + endOf(lines, shortages);
}

/** Keeps of each `known` what was written last. */
export function createInsufficientBodies(problemBaseUrl: string): InsufficientBodies {
  const [before, between] = beginningOf(problemBaseUrl);
  const kept = new WeakMap<object, { readonly quantity: number; readonly body: StampedBody }>();
  return (known, line, shortages) => {
    const { quantity } = line;
    const last = kept.get(known);
    if (last?.quantity === quantity) return last.body;
    const body = new StampedBody(before, between, endOf([line], shortages));
    kept.set(known, { quantity, body });
    return body;
  };
}

function endOf(lines: readonly CartLine[], shortages: readonly Shortage[]): string {
  let json = '","lines":[';
  let isFirst = true;
  for (const { line, available } of shortages) {
    const asked = lines[line];
    if (asked === undefined) throw new Error(`bug: the lane lacks units for line ${line}`);
    const { sku, quantity } = asked;
    json +=
      `${isFirst ? '' : ','}{"line":${line},"sku_id":"${sku}","requested":${quantity},` +
      `"available":${available},"missing":${quantity - available}}`;
    isFirst = false;
  }
  return `${json}]}`;
}
