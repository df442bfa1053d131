// The port over uWebSockets.js.
//
// What its API demands, and where it is met: request data is gone when the route callback returns, so
// it is copied before; body chunks are gone when their callback returns, so they are copied; a
// response must not be touched after an abort, which the exchange's states see to; an answer outside
// the callbacks is corked, so that it leaves in one packet.

import { listenError, whyNotListening } from '../runtime/listen-error.ts';
import { Admission } from './admission.ts';
import type { AnswerBody, AnswerHead } from './answer.ts';
import { intercept } from './dispatch.ts';
import type { ExchangeContext, RequestHead } from './exchange.ts';
import { Exchange } from './exchange.ts';
import type { IntakeFacts } from './intake.ts';
import {
  bodyTooLarge,
  hasBody,
  interceptionOf,
  isCostlyToDrain,
  requestHead,
  SHUTTING_DOWN,
  TOO_SLOW,
} from './intake.ts';
import type { Listening, TransportOptions } from './port.ts';
import type { CompiledRoute, RouteMatch } from './router.ts';
import type { StampedBody } from './stamped.ts';
import { TextMemory } from './text-memory.ts';
import { decodeUtf8, unitAt } from './utf8.ts';
import type { Uws, UwsApp, UwsListenSocket, UwsRequest, UwsResponse } from './uws-load.ts';

/** Listens; rejects with a `listenError`. */
export async function listenUws(uws: Uws, options: TransportOptions): Promise<Listening> {
  const server = new UwsServer(uws, options);
  if (!server.listen()) {
    const code = await whyNotListening(options.host, options.port);
    throw listenError(options.host, options.port, code);
  }
  return server;
}

/** Uploads that take more than one packet are looked at this often. */
const UPLOAD_SWEEP_MS = 250;

/** No option: SO_REUSEPORT, by which Linux spreads new connections over all who listen. */
const SHARED_PORT = 0;

/** In which uWS sees no parameter and no wildcard, as it does in `:` and `*`. */
const PLAIN_PATTERN = /^[\w/.-]+$/;

interface ServerState {
  closing: boolean;
  readonly texts: TextMemory;
}

class UwsExchange extends Exchange {
  /** uWS corks by itself while one of its callbacks runs. */
  inCallback = true;
  closeAfter = false;
  readonly #res: UwsResponse;
  readonly #server: ServerState;
  #chunks: Buffer[] | undefined;
  #bodyBytes = 0;

  constructor(context: ExchangeContext, head: RequestHead, res: UwsResponse, server: ServerState) {
    super(context, head);
    this.#res = res;
    this.#server = server;
  }

  /** Copies a chunk; false when the body is then longer than the route takes. */
  take(chunk: ArrayBuffer, isLast: boolean, route: CompiledRoute): boolean {
    this.#bodyBytes += chunk.byteLength;
    if (this.#bodyBytes > route.bodyLimitBytes) return false;
    if (isLast && this.#chunks === undefined) {
      const text = route.bodyRepeats ? this.#server.texts.decode(chunk) : decodeUtf8(chunk);
      if (text !== undefined) {
        this.receiveText(text);
        return true;
      }
    }
    const copy = Buffer.allocUnsafe(chunk.byteLength);
    copy.set(new Uint8Array(chunk));
    if (this.#chunks === undefined) {
      if (isLast) this.receiveBody(copy);
      else this.#chunks = [copy];
    } else {
      this.#chunks.push(copy);
      if (isLast) this.receiveBody(Buffer.concat(this.#chunks));
    }
    return true;
  }

  clientGone(): void {
    this.abort();
  }

  protected override write(head: AnswerHead, body: AnswerBody): void {
    if (this.inCallback) this.#send(head, body);
    else this.#res.cork(() => this.#send(head, body));
  }

  protected override writeStamped(head: AnswerHead, body: StampedBody, id: string): void {
    this.write(head, body.stamped(this.requestId, id));
  }

  #send(head: AnswerHead, body: AnswerBody): void {
    const res = this.#res;
    const { status } = head;
    // All header lines in one call, because uWS writes what it is given between two line ends.
    res.writeStatus(head.stamped(this.requestId));
    if (status === 204 || status === 304) {
      res.endWithoutBody();
    } else if (this.method === 'HEAD') {
      // The length goes in by hand, because builds leave the response open when they are told it.
      res.writeHeader('content-length', String(Buffer.byteLength(body)));
      res.endWithoutBody();
    } else {
      res.end(body, this.closeAfter || this.#server.closing);
    }
  }
}

class UwsServer implements Listening {
  readonly #uws: Uws;
  readonly #options: TransportOptions;
  readonly #context: ExchangeContext;
  readonly #admission: Admission;
  readonly #app: UwsApp;
  /** Uploads of more than one packet; the others end in the callback in which they began. */
  readonly #uploads = new Set<UwsExchange>();
  #socket: UwsListenSocket = null;
  /** As taken; 0 before `listen`. */
  port = 0;
  #sweep: NodeJS.Timeout | undefined;
  #inFlight = 0;
  readonly #state: ServerState = { closing: false, texts: new TextMemory() };
  #closed: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  constructor(uws: Uws, options: TransportOptions) {
    this.#uws = uws;
    this.#options = options;
    this.#admission = new Admission(options);
    const { context } = options;
    this.#context = {
      ...context,
      onAnswered: (exchange, status) => {
        this.#leave();
        context.onAnswered(exchange, status);
      },
      onAborted: (exchange) => {
        this.#leave();
        context.onAborted(exchange);
      },
    };
    this.#app = uws.newApp().any('/*', (res, req) => this.#request(res, req));
    this.#takeExact();
  }

  /** The hot paths are known to uWS: then neither method nor path is read, which are two calls. */
  #takeExact(): void {
    for (const match of this.#options.router.exact()) {
      const { method, pattern } = match.route;
      if (!PLAIN_PATTERN.test(pattern)) continue;
      const take = (res: UwsResponse, req: UwsRequest): void =>
        this.#requestOf(res, req, factsOf(req, method, pattern), match);
      if (method === 'GET') this.#app.get(pattern, take);
      else if (method === 'POST') this.#app.post(pattern, take);
    }
  }

  listen(): boolean {
    const { host, port, sharesPort } = this.#options;
    const how = sharesPort ? SHARED_PORT : this.#uws.exclusivePort;
    this.#app.listen(host, port, how, (socket) => {
      this.#socket = socket;
    });
    if (!this.#socket) return false;
    this.port = this.#uws.portOf(this.#socket);
    this.#sweep = setInterval(() => this.#endSlowUploads(), UPLOAD_SWEEP_MS).unref();
    return true;
  }

  close(graceMs: number): Promise<void> {
    this.#closed ??= this.#close(graceMs);
    return this.#closed;
  }

  async #close(graceMs: number): Promise<void> {
    this.#state.closing = true;
    this.#uws.closeListenSocket(this.#socket);
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        const forced = setTimeout(resolve, graceMs);
        this.#onIdle = () => {
          clearTimeout(forced);
          resolve();
        };
      });
    }
    clearInterval(this.#sweep);
    this.#app.close();
  }

  #leave(): void {
    this.#inFlight -= 1;
    if (this.#inFlight === 0) this.#onIdle?.();
  }

  #request(res: UwsResponse, req: UwsRequest): void {
    const facts = factsOf(req, req.getCaseSensitiveMethod(), req.getUrl());
    this.#requestOf(res, req, facts, this.#options.router.match(facts.method, facts.path));
  }

  #requestOf(res: UwsResponse, req: UwsRequest, facts: IntakeFacts, match: RouteMatch): void {
    const { limits } = this.#options;
    const exchange = this.#enter(res, req, facts, match);
    const found = this.#state.closing
      ? SHUTTING_DOWN
      : (this.#admission.crowdedOf(match, this.#inFlight) ?? interceptionOf(match, facts, limits));
    if (found !== undefined) {
      const transferEncoding = req.getHeader('transfer-encoding');
      exchange.closeAfter = isCostlyToDrain(facts.contentLength, transferEncoding);
      intercept(exchange, found);
    } else if (match.kind === 'route') {
      if (hasBody(facts)) this.#upload(res, exchange, match.route);
      else this.#admission.take(match.route, exchange);
    }
    exchange.inCallback = false;
    if (!exchange.answered) res.onAborted(() => this.#gone(exchange));
  }

  #enter(res: UwsResponse, req: UwsRequest, facts: IntakeFacts, match: RouteMatch): UwsExchange {
    this.#inFlight += 1;
    const { nextRequestId } = this.#options;
    const head = requestHead(facts, match, (name) => req.getHeader(name), nextRequestId);
    return new UwsExchange(this.#context, head, res, this.#state);
  }

  #upload(res: UwsResponse, exchange: UwsExchange, route: CompiledRoute): void {
    res.onData((chunk, isLast) => {
      if (exchange.answered || exchange.aborted) return;
      exchange.inCallback = true;
      if (!exchange.take(chunk, isLast, route)) {
        this.#uploads.delete(exchange);
        exchange.closeAfter = true;
        intercept(exchange, bodyTooLarge(route));
      } else if (isLast) {
        this.#uploads.delete(exchange);
        this.#admission.take(route, exchange);
      } else {
        this.#uploads.add(exchange);
      }
      exchange.inCallback = false;
    });
  }

  #gone(exchange: UwsExchange): void {
    this.#uploads.delete(exchange);
    exchange.clientGone();
  }

  #endSlowUploads(): void {
    const latestStart = performance.now() - this.#options.limits.requestTimeoutMs;
    for (const exchange of this.#uploads) {
      if (exchange.startedAtMs > latestStart) continue;
      this.#uploads.delete(exchange);
      exchange.closeAfter = true;
      intercept(exchange, TOO_SLOW);
    }
  }
}

const ZERO = 0x30;

/** Each look-up costs a call into C++, so none is made that cannot change what is decided. */
function factsOf(req: UwsRequest, method: string, path: string): IntakeFacts {
  const contentLength = req.getHeader('content-length');
  // Only where no length says that a body comes.
  const isLengthOpen = contentLength === '' || unitAt(contentLength, 0) === ZERO;
  const transferEncoding = isLengthOpen ? req.getHeader('transfer-encoding') : '';
  return {
    method,
    path,
    query: req.getQuery() ?? '',
    contentLength,
    transferEncoding,
    contentType: contentLength || transferEncoding ? req.getHeader('content-type') : '',
  };
}
