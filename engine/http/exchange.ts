// One request and its one answer, the same over every transport. Handlers see nothing else of HTTP.
//
// States: open -> answered (one of respond*, problem, fail was called); beside that: aborted (the
// client went away). True in each:
//   open      nothing was answered; an answer may be given now or in any later turn
//   answered  a second answer throws, because it is a bug in the handler
//   aborted   an answer goes nowhere and does no harm; each abort callback ran exactly once
// Everything that a handler reads was copied out of the transport before the handler ran.

import { performance } from 'node:perf_hooks';
import type { AnswerBody, AnswerHeaders, PreparedAnswer } from './answer.ts';
import { AnswerHead, jsonHead, problemHead } from './answer.ts';
import type { ProblemDetails, ProblemRow } from './problem.ts';
import { PROBLEM_CONTENT_TYPE, problem, TRANSPORT_PROBLEMS } from './problem.ts';
import type { StampedBody } from './stamped.ts';
import { decodeUtf8 } from './utf8.ts';

/**
 * Answers an exchange, at once or in a later turn. When it throws, or its promise rejects, the
 * client gets a 500 with the request id and `onError` gets the error. A handler that returns a
 * promise must have answered when that promise resolves. A callback that runs later is out of
 * reach of that net: it hands what it catches to `exchange.fail(error)`.
 */
export type Handler = (exchange: Exchange) => void | Promise<void>;

/** What an exchange needs to know of its route. */
export interface RouteShape {
  /** As declared, such as `/api/v1/inventory/{sku_id}/availability`; '' when no route matched. */
  readonly pattern: string;
  readonly paramNames: readonly string[];
  /** The request headers that were copied for the handler, in lower case. */
  readonly headerNames: readonly string[];
}

/** The request line and what was copied of the headers. */
export interface RequestHead {
  /** Upper case. A HEAD request reaches the handler of the GET route as `HEAD`. */
  readonly method: string;
  /** As sent: not decoded, without the query. */
  readonly path: string;
  /** As sent, without the question mark; '' when there is none. */
  readonly query: string;
  readonly requestId: string;
  readonly route: RouteShape;
  /** Decoded, in the order of `route.paramNames`. */
  readonly params: readonly string[];
  /** In the order of `route.headerNames`. */
  readonly headerValues: readonly (string | undefined)[];
}

/** What all exchanges of one server share. None of the callbacks throws. */
export interface ExchangeContext {
  readonly problemBaseUrl: string;
  readonly onError: (error: unknown, requestId: string) => void;
  /** Each exchange ends with exactly one of these two. */
  readonly onAnswered: (exchange: Exchange, status: number) => void;
  readonly onAborted: (exchange: Exchange) => void;
}

const NO_HEADERS: AnswerHeaders = Object.freeze({});
const JSON_HEADERS: AnswerHeaders = Object.freeze({ 'content-type': 'application/json' });
const PROBLEM_HEADERS: AnswerHeaders = Object.freeze({ 'content-type': PROBLEM_CONTENT_TYPE });

export const EMPTY_BODY: Buffer = Buffer.alloc(0);

export abstract class Exchange {
  readonly head: RequestHead;
  /** Milliseconds of the monotonic clock when the head had arrived. */
  readonly startedAtMs: number;
  readonly #context: ExchangeContext;
  /** As it came; undefined where only the text was kept. */
  #body: Buffer | undefined = EMPTY_BODY;
  #text: string | undefined;
  #answered = false;
  #aborted = false;
  #abortCallbacks: (() => void)[] | undefined;

  constructor(context: ExchangeContext, head: RequestHead) {
    this.#context = context;
    this.head = head;
    this.startedAtMs = performance.now();
  }

  get method(): string {
    return this.head.method;
  }

  get path(): string {
    return this.head.path;
  }

  get query(): string {
    return this.head.query;
  }

  /** The client's `X-Request-Id` where it was well-formed, else made here. */
  get requestId(): string {
    return this.head.requestId;
  }

  /** The whole body, within the route's limit; empty when the route takes none. */
  get body(): Buffer {
    this.#body ??= Buffer.from(this.#text ?? '');
    return this.#body;
  }

  /** The body as text; undefined when it is not UTF-8. */
  get text(): string | undefined {
    this.#text ??= decodeUtf8(this.body);
    return this.#text;
  }

  /** True once the answer was given, also when it went to nobody. */
  get answered(): boolean {
    return this.#answered;
  }

  /** True once the client has gone away. */
  get aborted(): boolean {
    return this.#aborted;
  }

  /** The decoded path parameter. Throws for a name that the route's pattern does not have. */
  param(name: string): string {
    const value = this.head.params[this.head.route.paramNames.indexOf(name)];
    if (value === undefined) {
      throw new Error(`bug: the pattern '${this.head.route.pattern}' has no parameter '${name}'`);
    }
    return value;
  }

  /**
   * A request header, or undefined when the client did not send it. Throws for a header that the
   * route does not list in `headers`, because only those were copied.
   */
  header(name: string): string | undefined {
    const index = this.head.route.headerNames.indexOf(name);
    if (index < 0) {
      throw new Error(
        `bug: the route '${this.head.route.pattern}' must list the header '${name}' to read it`,
      );
    }
    return this.head.headerValues[index];
  }

  /** Runs `callback` when the client goes away before the answer; at once if it already has. */
  onAbort(callback: () => void): void {
    if (this.#aborted) callback();
    else if (this.#abortCallbacks !== undefined) this.#abortCallbacks.push(callback);
    else if (!this.#answered) this.#abortCallbacks = [callback];
  }

  /** Answers. `Content-Length`, `Date` and `X-Request-Id` are added here. */
  respond(status: number, headers: AnswerHeaders = NO_HEADERS, body: AnswerBody = ''): void {
    this.respondWith(new AnswerHead(status, headers), body);
  }

  /** Answers with a head that was made before: for the hot answers. */
  respondWith(head: AnswerHead, body: AnswerBody): void {
    if (this.#settle(head.status)) this.write(head, body);
  }

  /** Answers with `value` as JSON. */
  respondJson(status: number, value: unknown, headers?: AnswerHeaders): void {
    const head =
      headers === undefined
        ? jsonHead(status)
        : new AnswerHead(status, { ...JSON_HEADERS, ...headers });
    this.respondWith(head, JSON.stringify(value));
  }

  /** Answers with bytes that were built once, at start: for the hot answers. */
  respondPrepared(answer: PreparedAnswer): void {
    this.respondWith(answer.head, answer.bodyFor(this.head.requestId));
  }

  /** Answers with a body that many answers share but for the ids in it. */
  respondStamped(head: AnswerHead, body: StampedBody, id: string): void {
    if (this.#settle(head.status)) this.writeStamped(head, body, id);
  }

  /** Answers with an RFC 9457 problem. */
  problem(row: ProblemRow, details: ProblemDetails = {}, headers?: AnswerHeaders): void {
    const body = problem(row, details, this.head.requestId, this.#context.problemBaseUrl);
    const head =
      headers === undefined
        ? problemHead(row.status)
        : new AnswerHead(row.status, { ...PROBLEM_HEADERS, ...headers });
    this.respondWith(head, JSON.stringify(body));
  }

  /** Reports a failure of ours to `onError` and, where no answer was given yet, answers 500. */
  fail(error: unknown): void {
    this.#context.onError(error, this.head.requestId);
    if (!this.#answered) this.problem(TRANSPORT_PROBLEMS.internal_error);
  }

  /** For the transport: the body is there. */
  protected receiveBody(body: Buffer): void {
    this.#body = body;
  }

  /** The same, where its bytes are those of `text`, so that they need not be copied. */
  protected receiveText(text: string): void {
    this.#body = undefined;
    this.#text = text;
  }

  /** Hands the answer to the transport. Called once, and never after an abort. */
  protected abstract write(head: AnswerHead, body: AnswerBody): void;

  /** The same, for a transport that has copied the bytes when it returns. */
  protected writeStamped(head: AnswerHead, body: StampedBody, id: string): void {
    this.write(head, body.text(this.requestId, id));
  }

  /** For the transport: the client is gone. Has no effect once the answer was given. */
  protected abort(): void {
    if (this.#aborted || this.#answered) return;
    this.#aborted = true;
    this.#context.onAborted(this);
    for (const callback of this.#abortCallbacks ?? []) {
      try {
        callback();
      } catch (error) {
        this.#context.onError(error, this.head.requestId);
      }
    }
  }

  /** Whether there is still somebody to answer. */
  #settle(status: number): boolean {
    if (this.#answered) {
      throw new Error(
        `bug: ${this.head.method} ${this.head.route.pattern} answered twice, ` +
          `the second time with ${status} (request ${this.head.requestId})`,
      );
    }
    this.#answered = true;
    this.#abortCallbacks = undefined;
    if (this.#aborted) return false;
    this.#context.onAnswered(this, status);
    return true;
  }
}
