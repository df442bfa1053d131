// What goes back to the client: headers, bodies, and answers that were built once so that a
// rejection in the rush costs no serialisation.

import { STATUS_CODES } from 'node:http';
import type { ProblemDetails, ProblemRow } from './problem.ts';
import { PROBLEM_CONTENT_TYPE, problem } from './problem.ts';
import { MADE_REQUEST_ID_LENGTH } from './request-id.ts';
import { stamp } from './stamped.ts';

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

/**
 * Status and headers of an answer, checked once. What is answered in the rush has its head made at
 * start: then a request costs neither the check nor a call for each header.
 */
export class AnswerHead {
  readonly status: number;
  readonly headers: AnswerHeaders;
  /**
   * The head as HTTP/1.1 spells it, behind the version, as far as the value of `X-Request-Id`: for a
   * transport that takes it as text.
   */
  readonly text: string;
  readonly #idAt: number;
  #uses = 0;
  #bytes: Uint8Array | undefined;

  constructor(status: number, headers: AnswerHeaders) {
    checkHeaders(headers);
    this.status = status;
    this.headers = headers;
    let text = `${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n`;
    for (const name in headers) text += `${name}: ${headers[name] ?? ''}\r\n`;
    this.text = `${text}x-request-id: `;
    this.#idAt = this.text.length;
  }

  /** The text with the request id; bytes, which stay so until the next call, where it is usual. */
  stamped(requestId: string): string | Uint8Array {
    const bytes = this.#bytes ?? this.#prepare();
    if (bytes === undefined || requestId.length !== MADE_REQUEST_ID_LENGTH) {
      return this.text + requestId;
    }
    stamp(bytes, this.#idAt, requestId, MADE_REQUEST_ID_LENGTH);
    return bytes;
  }

  /** Not for a head that was made for one answer. */
  #prepare(): Uint8Array | undefined {
    this.#uses += 1;
    if (this.#uses === 1) return undefined;
    const bytes = Buffer.from(this.text + ' '.repeat(MADE_REQUEST_ID_LENGTH));
    if (bytes.length !== this.#idAt + MADE_REQUEST_ID_LENGTH) return undefined;
    this.#bytes = bytes;
    return bytes;
  }
}

/** The heads of one content type, by status. */
function headsOf(contentType: string): ReadonlyMap<number, AnswerHead> {
  const statuses = Object.keys(STATUS_CODES).map(Number);
  const headers = { 'content-type': contentType };
  return new Map(statuses.map((status) => [status, new AnswerHead(status, headers)]));
}

const JSON_HEADS = headsOf('application/json');
const PROBLEM_HEADS = headsOf(PROBLEM_CONTENT_TYPE);

/** The head of an answer in JSON that has no further headers. */
export function jsonHead(status: number): AnswerHead {
  return JSON_HEADS.get(status) ?? new AnswerHead(status, { 'content-type': 'application/json' });
}

/** The head of a problem that has no further headers. */
export function problemHead(status: number): AnswerHead {
  return (
    PROBLEM_HEADS.get(status) ?? new AnswerHead(status, { 'content-type': PROBLEM_CONTENT_TYPE })
  );
}

/** A finished answer with, at most, one place in its body where the request id goes. */
export class PreparedAnswer {
  readonly head: AnswerHead;
  /** Of the body: before and behind the request id. */
  readonly parts: readonly [string, string];
  readonly #hasPlace: boolean;

  /** `body` is the whole body, or the two parts around the request id. */
  constructor(status: number, headers: AnswerHeaders, body: string | readonly [string, string]) {
    this.head = new AnswerHead(status, headers);
    this.#hasPlace = typeof body !== 'string';
    this.parts = typeof body === 'string' ? [body, ''] : body;
  }

  /** Request ids consist of `A-Za-z0-9._-`, so that they need no escaping. */
  bodyFor(requestId: string): string {
    const [before, after] = this.parts;
    return this.#hasPlace ? before + requestId + after : before;
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
