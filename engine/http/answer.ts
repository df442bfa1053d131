// What goes back to the client: headers, bodies, and answers that were built once so that a
// rejection in the rush costs no serialisation.

import type { ProblemDetails, ProblemRow } from './problem.ts';
import { PROBLEM_CONTENT_TYPE, problem } from './problem.ts';

/** Header names in lower case. Values must not contain CR, LF or NUL: `checkHeaders` throws. */
export type AnswerHeaders = Readonly<Record<string, string>>;

export type AnswerBody = string | Uint8Array;

const FORGING = /[\r\n\0]/;
const NAME = /^[a-z0-9-]+$/;

/** Because one transport writes header bytes as they are: a line break would forge a response. */
export function checkHeaders(headers: AnswerHeaders): void {
  for (const name in headers) {
    if (!NAME.test(name) || FORGING.test(headers[name] ?? '')) {
      throw new Error(
        `bug: the header '${name}' must have a lower-case name and a value without CR, LF or NUL`,
      );
    }
  }
}

/** A finished answer with, at most, one place in its body where the request id goes. */
export class PreparedAnswer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly #before: string;
  readonly #after: string | undefined;

  /** `body` is the whole body, or the two parts around the request id. */
  constructor(status: number, headers: AnswerHeaders, body: string | readonly [string, string]) {
    checkHeaders(headers);
    this.status = status;
    this.headers = Object.freeze({ ...headers });
    this.#before = typeof body === 'string' ? body : body[0];
    this.#after = typeof body === 'string' ? undefined : body[1];
  }

  /** Request ids consist of `A-Za-z0-9._-`, so that they need no escaping. */
  bodyFor(requestId: string): string {
    return this.#after === undefined ? this.#before : this.#before + requestId + this.#after;
  }
}

// Not a possible request id, so that it can stand only where the request id goes.
const PLACE = '{request id}';

/** A problem for `exchange.respondPrepared`, equal to what `exchange.problem` would answer. */
export function prepareProblem(
  row: ProblemRow,
  details: ProblemDetails = {},
  options: { readonly headers?: AnswerHeaders; readonly problemBaseUrl?: string } = {},
): PreparedAnswer {
  const body = JSON.stringify(problem(row, details, PLACE, options.problemBaseUrl ?? ''));
  const place = `"request_id":"${PLACE}"`;
  const idAt = body.indexOf(place) + place.length - PLACE.length - 1;
  return new PreparedAnswer(
    row.status,
    { 'content-type': PROBLEM_CONTENT_TYPE, ...options.headers },
    [body.slice(0, idAt), body.slice(idAt + PLACE.length)],
  );
}
