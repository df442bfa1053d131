/** Exchanges without a connection: what a handler is given, and what it answers. */
import type { AnswerBody, AnswerHead } from '../../engine/http/answer.ts';
import { Exchange, type RouteShape } from '../../engine/http/exchange.ts';
import { LOUD_CONTEXT } from '../../engine/http/testing/loud-context.ts';

const KEY_HEADER = 'idempotency-key';

export type OnAnswer = (status: number, body: string) => void;

/** Of POSTs to the route, with these bodies, and of the headers that it reads none but a key. */
export function createExchanges(
  route: RouteShape,
): (text: string, done: OnAnswer, key?: string) => Exchange {
  const common = {
    method: 'POST',
    path: route.pattern,
    query: '',
    route,
    params: [],
    headerValues: route.headerNames.map((): string | undefined => undefined),
  };
  const keyAt = route.headerNames.indexOf(KEY_HEADER);
  let count = 0;
  return (text, done, key) => {
    count += 1;
    const head = { ...common, requestId: `request-${count}` };
    if (key !== undefined) head.headerValues = common.headerValues.with(keyAt, key);
    return new CountedExchange(head, text, done);
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
