/** Exchanges without a connection: what a handler is given, and what it answers. */
import type { AnswerBody, AnswerHead } from '../../engine/http/answer.ts';
import { Exchange, type RouteShape } from '../../engine/http/exchange.ts';
import { LOUD_CONTEXT } from '../../engine/http/testing/loud-context.ts';

export type OnAnswer = (status: number, body: string) => void;

/** Of POSTs to the route, with these bodies and none of the headers that it reads. */
export function createExchanges(route: RouteShape): (text: string, done: OnAnswer) => Exchange {
  const common = {
    method: 'POST',
    path: route.pattern,
    query: '',
    route,
    params: [],
    headerValues: route.headerNames.map(() => undefined),
  };
  let count = 0;
  return (text, done) => {
    count += 1;
    return new CountedExchange({ ...common, requestId: `request-${count}` }, text, done);
  };
}

class CountedExchange extends Exchange {
  readonly #done: OnAnswer;

  constructor(head: Exchange['head'], text: string, done: OnAnswer) {
    super(LOUD_CONTEXT, head);
    this.#done = done;
    this.receiveText(text);
  }

  protected override write({ status }: AnswerHead, body: AnswerBody): void {
    this.#done(status, String(body));
  }
}
