/**
 * "Not now" as HTTP. In an overload, or while a store is away, it is what most are told, for a few
 * causes: so head and body are made once for each, and differ in their ids only.
 */
import type { Undecided } from '../../reservations/answer.ts';
import type { AnswerHead } from '../answer.ts';
import { prepareProblem } from '../answer.ts';
import type { Exchange } from '../exchange.ts';
import { outcomeProblem, retryAfter } from '../outcome-problem.ts';
import { StampedBody } from '../stamped.ts';

interface Prepared {
  readonly outcome: Undecided['outcome'];
  readonly retryAfterMs: number;
  readonly head: AnswerHead;
  readonly body: StampedBody;
}

/** Details that are remembered; some tell an error of a store in its own words. */
const DETAILS_MAX = 64;

export function createUndecidedPresenter(problemBaseUrl: string) {
  const kept = new Map<string, Prepared>();
  return (exchange: Exchange, answer: Undecided): void => {
    const { outcome, detail, retryAfterMs } = answer;
    let prepared = kept.get(detail);
    if (prepared?.outcome !== outcome || prepared.retryAfterMs !== retryAfterMs) {
      prepared = prepare(answer, problemBaseUrl);
      if (kept.size === DETAILS_MAX) kept.clear();
      kept.set(detail, prepared);
    }
    exchange.respondStamped(prepared.head, prepared.body, answer.id);
  };
}

function prepare({ outcome, detail, retryAfterMs }: Undecided, problemBaseUrl: string): Prepared {
  const headers = retryAfter(retryAfterMs);
  const row = outcomeProblem(outcome);
  const { head, parts } = prepareProblem(row, { detail }, { headers, problemBaseUrl });
  const [before, rest] = parts;
  const body = new StampedBody(before, `${rest.slice(0, -1)},"reservation_id":"`, '"}');
  return { outcome, retryAfterMs, head, body };
}
