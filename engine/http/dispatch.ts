// Runs handlers so that nothing they do wrong gets past their own exchange, and gives the
// answers that need no handler.

import type { Exchange, Handler } from './exchange.ts';
import type { Intercepted } from './intake.ts';

/** Runs the handler; what it throws or rejects with becomes a 500 and a report. */
export function runHandler(handle: Handler, exchange: Exchange): void {
  try {
    const result = handle(exchange);
    if (result !== undefined) watch(result, exchange);
  } catch (error) {
    exchange.fail(error);
  }
}

/** There is no room for a request. */
export interface Overloaded {
  /** Answers it 503. */
  readonly answer: (exchange: Exchange) => void;
}

/** Gives the answer that intake or admission found. */
export function intercept(exchange: Exchange, found: Intercepted | Overloaded): void {
  if ('answer' in found) found.answer(exchange);
  else if (found.row === undefined) exchange.respond(204, found.headers);
  else exchange.problem(found.row, found.details, found.headers);
}

function watch(result: Promise<void>, exchange: Exchange): void {
  result.then(
    () => {
      if (exchange.answered || exchange.aborted) return;
      exchange.fail(
        new Error(`bug: the handler of ${exchange.head.route.pattern} ended without an answer`),
      );
    },
    (error: unknown) => exchange.fail(error),
  );
}
