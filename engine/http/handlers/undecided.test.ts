/** What is prepared says what a problem made for the one answer would say. */
import { expect, it } from 'vitest';
import type { Undecided } from '../../reservations/answer.ts';
import type { AnswerBody, AnswerHead } from '../answer.ts';
import { Exchange } from '../exchange.ts';
import { outcomeProblem, retryAfter } from '../outcome-problem.ts';
import { LOUD_CONTEXT } from '../testing/loud-context.ts';
import { createUndecidedPresenter } from './undecided.ts';

const BASE = 'https://shop.example';
const CONTEXT = { ...LOUD_CONTEXT, problemBaseUrl: BASE };
const ROUTE = { pattern: '/buy', paramNames: [], headerNames: [] };

class Heard extends Exchange {
  said: { readonly head: AnswerHead; readonly body: unknown } | undefined;

  constructor(requestId: string) {
    const common = { method: 'POST', path: '/buy', query: '', params: [], headerValues: [] };
    super(CONTEXT, { ...common, requestId, route: ROUTE });
  }

  protected override write(head: AnswerHead, body: AnswerBody): void {
    this.said = { head, body: JSON.parse(String(body)) };
  }
}

const crowded: Undecided = {
  kind: 'undecided',
  id: 'hf_0123456789',
  outcome: 'overloaded',
  detail: 'More requests wait for the lane than it answers in 50 ms.',
  retryAfterMs: 1_000,
};

it.each<[string, Undecided[]]>([
  ['one after another', [crowded, { ...crowded, id: 'hf_other' }, crowded]],
  ['causes that take turns', [crowded, { ...crowded, detail: 'Nothing moves.' }, crowded]],
  ['one text of two outcomes', [crowded, { ...crowded, outcome: 'store_unavailable' }, crowded]],
  ['one text with another time', [crowded, { ...crowded, retryAfterMs: 5_000 }, crowded]],
  ['more texts than are kept', Array.from({ length: 200 }, (_, i) => detailed(`Cause ${i % 70}`))],
  ['texts that are no ASCII, or no plain JSON', [detailed('"Fünf\n"'), detailed('"Fünf\n"')]],
])('%s', (_, answers) => {
  const present = createUndecidedPresenter(BASE);
  for (const [i, answer] of answers.entries()) {
    const [heard, wanted] = [new Heard(`request-${i}`), new Heard(`request-${i}`)];
    present(heard, answer);
    const { detail, outcome, id, retryAfterMs } = answer;
    const extensions = { reservation_id: id };
    wanted.problem(outcomeProblem(outcome), { detail, extensions }, retryAfter(retryAfterMs));
    expect(heard.said?.body).toEqual(wanted.said?.body);
    expect(heard.said?.head.status).toBe(wanted.said?.head.status);
    expect(heard.said?.head.headers).toEqual(wanted.said?.head.headers);
  }
});

function detailed(detail: string): Undecided {
  return { ...crowded, detail };
}
