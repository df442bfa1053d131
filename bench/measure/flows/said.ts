/** What a flow may conclude from an answer. */
import type { FlowAnswer } from '../flow.ts';

/** Refused before anything was done, because too many wait. */
const OVERLOADED = '"code":"overloaded"';
/** Before a flow asks again; an open loop has its own times. */
const AGAIN_MS = 50;

export function isOverloaded(answer: FlowAnswer): boolean {
  return answer.status === 503 && answer.text().includes(OVERLOADED);
}

/** No answer, or one that does not tell: whether it was done is open. */
export function isOpen({ status }: FlowAnswer): boolean {
  return status === 0 || status >= 500;
}

/** When to ask again, ms since the load began. */
export function againAt({ atMs }: FlowAnswer): number {
  return atMs + AGAIN_MS;
}
