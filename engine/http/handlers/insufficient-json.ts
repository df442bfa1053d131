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
  const prepared = prepareProblem(
    outcomeProblem('insufficient'),
    { detail: DETAIL },
    { problemBaseUrl },
  );
  return (requestId, reservationId, lines, shortages) => {
    const head = prepared.bodyFor(requestId).slice(0, -1);
    let json = `${head},"reservation_id":"${reservationId}","lines":[`;
    for (const [index, { line, available }] of shortages.entries()) {
      const asked = lines[line];
      if (asked === undefined) throw new Error(`bug: the lane lacks units for line ${line}`);
      const { sku, quantity } = asked;
      json +=
        `${index === 0 ? '' : ','}{"line":${line},"sku_id":"${sku}","requested":${quantity},` +
        `"available":${available},"missing":${quantity - available}}`;
    }
    return `${json}]}`;
  };
}
