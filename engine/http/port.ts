// The port that both transports implement, and what a caller of `startHttpServer` may set.

import type { Line } from '../runtime/line.ts';
import type { ExchangeContext } from './exchange.ts';
import type { Traffic } from './pace.ts';
import type { Route, Router } from './router.ts';

export type TransportName = 'uws' | 'node';

/** Each limit has a unit and a reason. */
export interface HttpLimits {
  /** Path and query together; longer is 414. Every id of ours has at most 64 characters. */
  readonly urlBytes: number;
  /** The whole head (node:http only: builds of uWS take the default, see the README). */
  readonly headBytes: number;
  /** For the head to arrive (node:http only: uWS closes a silent connection after about 10 s). */
  readonly headersTimeoutMs: number;
  /** For head and body to arrive; a slower upload is cut off. */
  readonly requestTimeoutMs: number;
  /** An idle kept-alive connection is closed (node:http only: uWS uses about 10 s). */
  readonly keepAliveTimeoutMs: number;
  /**
   * Under way at a time, whatever they wait for: a body, the lane, a durability level. Beyond it the
   * API answers 503 before it reads a body; a quarter more for routes that are patient. Each holds
   * its exchange and its body.
   */
  readonly requestsMax: number;
  /** Admission: a request is refused when it would wait longer; see README.md, "Overload". */
  readonly queueWaitMsMax: number;
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = Object.freeze({
  urlBytes: 2_048,
  headBytes: 16_384,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 15_000,
  keepAliveTimeoutMs: 10_000,
  requestsMax: 20_000,
  queueWaitMsMax: 50,
});

/** All optional, all called synchronously: they must be cheap and must not throw. */
export interface HttpHooks {
  /** After each answer; `pattern` is the route's, or '' when none matched. */
  readonly onRequest?: (pattern: string, status: number, durationMs: number) => void;
  /** The client went away before its answer, in the middle of its upload or after it. */
  readonly onAbort?: (pattern: string) => void;
  /** A handler threw, rejected or did not answer. Default: one line on stderr. */
  readonly onError?: (error: unknown, requestId: string) => void;
}

export interface HttpServerOptions {
  readonly routes: readonly Route[];
  /** 0 takes a free port. */
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /**
   * Other processes listen on this port too (engine/cluster). Default: nobody else may. With
   * node:http they must be workers of one `node:cluster`.
   */
  readonly sharesPort?: boolean;
  /** Forces a transport; absent: uWS where it can be loaded, else node:http. */
  readonly transport?: TransportName | undefined;
  /** Stands before `/problems/<code>` in problem types; default ''. */
  readonly problemBaseUrl?: string;
  readonly limits?: Partial<HttpLimits>;
  /** Of what the handlers ask; absent: none of it waits. Read at each request. */
  readonly traffic?: Traffic;
  /** In which requests are handled, when a turn of the loop finds many. */
  readonly line: Line;
  readonly hooks?: HttpHooks;
}

export interface HttpServer {
  readonly transport: TransportName;
  /** What answers: a package's name, or 'node:http'. */
  readonly implementation: string;
  /** Why the preferred transport is not the one that runs; undefined when it is. */
  readonly fallbackReason: string | undefined;
  readonly host: string;
  readonly port: number;
  /** `http://host:port`. */
  readonly url: string;
  /**
   * Stops listening at once. Requests in flight may finish within `graceMs`; a new request on a
   * kept-alive connection gets 503 `shutting_down` and the connection is closed after it. Then
   * every connection is closed. Resolves when nothing is open any more; further calls wait for the
   * first.
   */
  close(graceMs: number): Promise<void>;
}

/** What `startHttpServer` hands to a transport. */
export interface TransportOptions {
  readonly router: Router;
  readonly host: string;
  readonly port: number;
  readonly sharesPort: boolean;
  readonly limits: HttpLimits;
  readonly traffic: Traffic;
  readonly line: Line;
  readonly context: ExchangeContext;
  readonly nextRequestId: () => string;
}

/** A transport that listens. */
export interface Listening {
  readonly port: number;
  close(graceMs: number): Promise<void>;
}
