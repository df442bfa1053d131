// The port over uWebSockets.js.
//
// What its API demands, and where it is met: request data is gone when the route callback returns, so
// it is copied before; body chunks are gone when their callback returns, so they are copied; a
// response must not be touched after an abort, which the exchange's states see to; an answer outside
// the callbacks is corked, so that it leaves in one packet. An answer that its client does not take
// keeps the response open, and its exchange in flight (unread.ts).

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
import { Probes, sendRest, tryToEnd, writeWhole } from './unread.ts';
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

/** What a connection leaves unread, on average, until it is found out: less than the kernel holds. */
const UNREAD_BYTES = 65_536;
/** The same, of answers that cost the connection when they are looked after: HEAD, 204, refusals. */
const UNREAD_BARE_BYTES = 262_144;

interface ServerState {
  closing: boolean;
  readonly texts: TextMemory;
  readonly probes: Probes;
  readonly bareProbes: Probes;
  /** To be called once for each exchange, when the socket has taken its answer or is gone. */
  readonly leave: () => void;
}

class UwsExchange extends Exchange {
  /** uWS corks by itself while one of its callbacks runs. */
  inCallback = true;
  closeAfter = false;
  readonly #res: UwsResponse;
  readonly #server: ServerState;
  #chunks: Buffer[] | undefined;
  #bodyBytes = 0;
  /** Answered, and not taken as a whole: the response is open. */
  #isUnread = false;

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

  /** Whether uWS still waits for the end of the answer, and has to be told what to do at an abort. */
  get isOpen(): boolean {
    return this.#isUnread || !this.answered;
  }

  clientGone(): void {
    if (this.#isUnread) this.#leaveRead();
    else this.abort();
  }

  protected override write(head: AnswerHead, body: AnswerBody): void {
    try {
      if (this.inCallback) this.#send(head, body);
      else this.#res.cork(() => this.#send(head, body));
    } finally {
      if (!this.#isUnread) this.#server.leave();
    }
  }

  protected override writeStamped(head: AnswerHead, body: StampedBody, id: string): void {
    this.write(head, body.stamped(this.requestId, id));
  }

  #send(head: AnswerHead, body: AnswerBody): void {
    const res = this.#res;
    const { status } = head;
    const isHead = this.method === 'HEAD';
    const isBare = isHead || status === 204 || status === 304 || body.length === 0;
    if (isBare || this.closeAfter) {
      if (this.#server.bareProbes.isDue(isBare ? 0 : body.length)) {
        this.#sendAndClose(head, body, isBare);
        return;
      }
    }
    // All header lines in one call, because uWS writes what it is given between two line ends.
    res.writeStatus(head.stamped(this.requestId));
    if (status === 204 || status === 304) {
      res.endWithoutBody();
    } else if (isHead) {
      // The length goes in by hand, because builds leave the response open when they are told it.
      res.writeHeader('content-length', String(Buffer.byteLength(body)));
      res.endWithoutBody();
    } else if (this.closeAfter) {
      res.end(body, true);
    } else if (this.#server.probes.isDue(body.length)) {
      if (tryToEnd(res, body)) return;
      this.#isUnread = true;
      sendRest(res, body, () => this.#leaveRead());
    } else {
      res.end(body, this.#server.closing);
    }
  }

  /** The same, of an answer that does not tell whether it was taken. */
  #sendAndClose(head: AnswerHead, body: AnswerBody, isBare: boolean): void {
    const { status } = head;
    const length = status === 204 || status === 304 ? undefined : Buffer.byteLength(body);
    writeWhole(this.#res, head, this.requestId, isBare ? undefined : body, length);
    this.#isUnread = true;
    setImmediate(() => {
      if (this.#isUnread) this.#res.close();
    });
  }

  #leaveRead(): void {
    this.#isUnread = false;
    this.#server.leave();
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
  readonly #state: ServerState = {
    closing: false,
    texts: new TextMemory(),
    probes: new Probes(UNREAD_BYTES),
    bareProbes: new Probes(UNREAD_BARE_BYTES),
    leave: () => this.#leave(),
  };
  #closed: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  constructor(uws: Uws, options: TransportOptions) {
    this.#uws = uws;
    this.#options = options;
    this.#admission = new Admission(options);
    const { context } = options;
    this.#context = {
      ...context,
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
    if (exchange.isOpen) res.onAborted(() => this.#gone(exchange));
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
