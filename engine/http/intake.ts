// Whether a request may come in: decided from its head alone, before any of its body is read, and
// the same for every transport. Whether there is time for it is said by admission.ts.

import type { AnswerHeaders } from './answer.ts';
import type { RequestHead, RouteShape } from './exchange.ts';
import type { HttpLimits } from './port.ts';
import type { ProblemDetails, ProblemRow, TransportProblemCode } from './problem.ts';
import { TRANSPORT_PROBLEMS } from './problem.ts';
import { requestIdOf } from './request-id.ts';
import type { CompiledRoute, RouteMatch } from './router.ts';
import { unitAt } from './utf8.ts';

/** What intake looks at. A header that was not sent is ''. */
export interface IntakeFacts {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly contentLength: string;
  readonly transferEncoding: string;
  readonly contentType: string;
}

export interface Refusal {
  readonly row: ProblemRow;
  readonly details: ProblemDetails;
  readonly headers: AnswerHeaders;
}

/** What intake answers instead of a handler: a problem, or the 204 to OPTIONS. */
export type Intercepted = Refusal | { readonly row: undefined; readonly headers: AnswerHeaders };

/** The shape of an exchange that no route took. */
const NO_ROUTE: RouteShape = Object.freeze({
  pattern: '',
  paramNames: Object.freeze([]),
  headerNames: Object.freeze([]),
});

/** For requests that arrive on kept-alive connections while the server closes. */
export const SHUTTING_DOWN: Refusal = Object.freeze({
  row: TRANSPORT_PROBLEMS.shutting_down,
  details: Object.freeze({ detail: 'Send the request again; nothing was done.' }),
  headers: Object.freeze({ 'retry-after': '1' }),
});

/** For requests that do not arrive within their time. */
export const TOO_SLOW: Refusal = Object.freeze({
  row: TRANSPORT_PROBLEMS.request_timeout,
  details: Object.freeze({ detail: 'Send the whole request at once; nothing was done.' }),
  headers: Object.freeze({}),
});

/** For what is not HTTP/1.1, as far as the transport's parser says so. */
export const NOT_HTTP: Refusal = Object.freeze({
  row: TRANSPORT_PROBLEMS.malformed_request,
  details: Object.freeze({ detail: 'This is not a well-formed HTTP/1.1 request.' }),
  headers: Object.freeze({}),
});

/** For a head that is larger than the transport takes. */
export const HEAD_TOO_LARGE: Refusal = Object.freeze({
  row: TRANSPORT_PROBLEMS.headers_too_large,
  details: Object.freeze({ detail: 'Send fewer or shorter headers.' }),
  headers: Object.freeze({}),
});

/** An unwanted body up to this size is read and dropped, so that the connection can be kept. */
export const DRAIN_LIMIT_BYTES = 65_536;

/** What the exchange keeps of a request; `read` gives a header by its lower-case name. */
export function requestHead(
  facts: IntakeFacts,
  match: RouteMatch,
  read: (name: string) => string | undefined,
  nextRequestId: () => string,
): RequestHead {
  const route = match.kind === 'route' ? match.route : NO_ROUTE;
  const headerValues: (string | undefined)[] = [];
  for (const name of route.headerNames) headerValues.push(read(name) || undefined);
  return {
    method: facts.method,
    path: facts.path,
    query: facts.query,
    requestId: requestIdOf(read('x-request-id'), nextRequestId),
    route,
    params: match.kind === 'route' ? match.params : NO_ROUTE.paramNames,
    headerValues,
  };
}

/** What is answered without a handler, or undefined when the route's handler may have it. */
export function interceptionOf(
  match: RouteMatch,
  facts: IntakeFacts,
  limits: HttpLimits,
): Intercepted | undefined {
  const urlBytes = facts.path.length + facts.query.length;
  if (urlBytes > limits.urlBytes) {
    return refuse('url_too_long', `The URL has ${urlBytes} bytes; at most ${limits.urlBytes}.`);
  }
  if (match.kind === 'none') {
    return refuse('route_not_found', `Nothing is served at ${facts.path}.`);
  }
  if (match.kind === 'method') return methodAnswer(facts, match.allow);
  if (match.kind === 'malformed') {
    const detail = `The path segment '${match.segment}' is not valid percent-encoded UTF-8.`;
    return refuse('malformed_request', detail);
  }
  return bodyRefusal(match.route, facts);
}

/** Whether a body follows the head. */
export function hasBody(facts: IntakeFacts): boolean {
  const { contentLength, transferEncoding } = facts;
  return (contentLength !== '' && contentLength !== '0') || transferEncoding !== '';
}

/** Whether so much of the body may follow that the connection is better closed than drained. */
export function isCostlyToDrain(contentLength: string, transferEncoding: string): boolean {
  return transferEncoding !== '' || !(declaredBytes(contentLength) <= DRAIN_LIMIT_BYTES);
}

/** The refusal of a body that turned out longer than its route's limit while it was read. */
export function bodyTooLarge(route: CompiledRoute): Refusal {
  const limit = route.bodyLimitBytes;
  return refuse(
    'body_too_large',
    limit === 0 ? 'This path takes no body.' : `At most ${limit} bytes are accepted here.`,
    { limit_bytes: limit },
  );
}

function refuse(
  code: TransportProblemCode,
  detail: string,
  extensions?: Readonly<Record<string, unknown>>,
): Refusal {
  return {
    row: TRANSPORT_PROBLEMS[code],
    details: extensions === undefined ? { detail } : { detail, extensions },
    headers: {},
  };
}

function methodAnswer(facts: IntakeFacts, allow: string): Intercepted {
  const headers = { allow };
  if (facts.method === 'OPTIONS') return { row: undefined, headers };
  const detail = `${facts.path} takes ${allow}, not ${facts.method.slice(0, 32)}.`;
  return { row: TRANSPORT_PROBLEMS.method_not_allowed, details: { detail }, headers };
}

function bodyRefusal(route: CompiledRoute, facts: IntakeFacts): Refusal | undefined {
  if (facts.contentLength === '' && facts.transferEncoding === '') return undefined;
  const bytes = declaredBytes(facts.contentLength);
  if (Number.isNaN(bytes)) {
    return refuse('malformed_request', 'Content-Length is not a number of bytes.');
  }
  const comes = bytes > 0 || facts.transferEncoding !== '';
  if (bytes > route.bodyLimitBytes) return bodyTooLarge(route);
  const { contentType } = route;
  if (comes && contentType !== undefined && !isContentType(facts.contentType, contentType)) {
    return refuse(
      'unsupported_media_type',
      facts.contentType === ''
        ? `The request has no Content-Type; send ${contentType}.`
        : `Send Content-Type: ${contentType}, in UTF-8.`,
    );
  }
  return undefined;
}

/** 0 for '', NaN for what RFC 9110 section 8.6 does not allow, or no machine could hold. */
function declaredBytes(contentLength: string): number {
  if (contentLength.length > 15) return Number.NaN;
  let bytes = 0;
  for (let index = 0; index < contentLength.length; index += 1) {
    const digit = unitAt(contentLength, index) - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    bytes = bytes * 10 + digit;
  }
  return bytes;
}

const CHARSET = /;\s*charset\s*=\s*"?([^";\s]*)/i;

/** Whether `sent` is `wanted`, with whatever parameters, as long as its charset is UTF-8. */
function isContentType(sent: string, wanted: string): boolean {
  if (sent === wanted) return true;
  const [type = ''] = sent.split(';', 1);
  if (type.trim().toLowerCase() !== wanted) return false;
  const charset = CHARSET.exec(sent)?.[1];
  return charset === undefined || /^utf-?8$/i.test(charset);
}
