// RFC 9457 problem documents: the one shape of every error answer, and the rows for what goes wrong
// before a request reaches a capability (the capabilities' own rows stand in the outcome table of
// the domain, in the same form).

/** One kind of failure: what a client may branch on. */
export interface ProblemRow {
  /** Stable, lower snake case; clients branch on it and the type URI ends in it. */
  readonly code: string;
  /** HTTP status. */
  readonly status: number;
  /** The same words each time; what differs from case to case stands in `detail`. */
  readonly title: string;
  /** Whether the same request, sent again unchanged, may succeed. */
  readonly retryable: boolean;
}

/** One fault inside the body, addressed by a JSON Pointer (RFC 6901); '' is the whole body. */
export interface ProblemError {
  readonly pointer: string;
  readonly message: string;
}

export interface ProblemDetails {
  /** What was wrong in this case, where, and what to do. */
  readonly detail?: string;
  /** A URI that names this occurrence. */
  readonly instance?: string;
  readonly errors?: readonly ProblemError[];
  /** Further members (RFC 9457 section 3.2); they cannot replace the standard ones. */
  readonly extensions?: Readonly<Record<string, unknown>>;
}

export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

/** What the HTTP layer itself refuses, before or around any handler. */
export const TRANSPORT_PROBLEMS = {
  malformed_json: {
    code: 'malformed_json',
    status: 400,
    title: 'The body is not valid JSON',
    retryable: false,
  },
  malformed_request: {
    code: 'malformed_request',
    status: 400,
    title: 'The request is malformed',
    retryable: false,
  },
  route_not_found: {
    code: 'route_not_found',
    status: 404,
    title: 'There is nothing at this path',
    retryable: false,
  },
  method_not_allowed: {
    code: 'method_not_allowed',
    status: 405,
    title: 'This path does not take this method',
    retryable: false,
  },
  request_timeout: {
    code: 'request_timeout',
    status: 408,
    title: 'The request did not arrive in time',
    retryable: true,
  },
  body_too_large: {
    code: 'body_too_large',
    status: 413,
    title: 'The body is too large',
    retryable: false,
  },
  url_too_long: {
    code: 'url_too_long',
    status: 414,
    title: 'The URL is too long',
    retryable: false,
  },
  unsupported_media_type: {
    code: 'unsupported_media_type',
    status: 415,
    title: 'The body has a content type that this path does not take',
    retryable: false,
  },
  headers_too_large: {
    code: 'headers_too_large',
    status: 431,
    title: 'The request headers are too large',
    retryable: false,
  },
  internal_error: {
    code: 'internal_error',
    status: 500,
    title: 'The server failed; its log has the cause under this request id',
    retryable: true,
  },
  shutting_down: {
    code: 'shutting_down',
    status: 503,
    title: 'This server is shutting down; another one takes the request',
    retryable: true,
  },
} as const satisfies Readonly<Record<string, ProblemRow>>;

export type TransportProblemCode = keyof typeof TRANSPORT_PROBLEMS;

/** The type URI of a code; without a base URL it is relative to the server that answered. */
export function problemType(code: string, baseUrl: string): string {
  return `${baseUrl}/problems/${code}`;
}

/** The problem as a plain object, in the order in which it is read best. */
export function problem(
  row: ProblemRow,
  details: ProblemDetails,
  requestId: string,
  baseUrl: string,
): Record<string, unknown> {
  const standard = {
    type: problemType(row.code, baseUrl),
    title: row.title,
    status: row.status,
    code: row.code,
    ...(details.detail === undefined ? {} : { detail: details.detail }),
    ...(details.instance === undefined ? {} : { instance: details.instance }),
    request_id: requestId,
    retryable: row.retryable,
    ...(details.errors === undefined ? {} : { errors: details.errors }),
  };
  // Twice, so that the standard members come first and also win.
  return details.extensions === undefined
    ? standard
    : { ...standard, ...details.extensions, ...standard };
}
