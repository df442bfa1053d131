/**
 * "Sold out" as JSON text: the answer that a sale gives most. Everything that does not differ from
 * case to case is written once, at start.
 */
import type { Shortage } from '../../redis/operation.ts';
import type { CartLine } from '../../reservations/cart.ts';
import { prepareProblem } from '../answer.ts';
import { outcomeProblem } from './outcome-problem.ts';

export type InsufficientWriter = (
  requestId: string,
  reservationId: string,
  lines: readonly CartLine[],
  shortages: readonly Shortage[],
) => string;

const DETAIL = 'Not all of it is there; nothing was reserved. The lines say what was missing.';

export function createInsufficientWriter(problemBaseUrl: string): InsufficientWriter {
  const row = outcomeProblem('insufficient');
  const [before, rest] = prepareProblem(row, { detail: DETAIL }, { problemBaseUrl }).parts;
  const between = `${rest.slice(0, -1)},"reservation_id":"`;
  return (requestId, reservationId, lines, shortages) => {
    let json = `${before}${requestId}${between}${reservationId}","lines":[`;
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
  };
}
