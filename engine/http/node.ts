// The port over node:http: what runs where no build of uWebSockets.js can be loaded, and the
// yardstick of the contract suite, because its parser is the strictest about RFC 9112.

import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import { createServer, STATUS_CODES } from 'node:http';
import { Socket } from 'node:net';
import { listenError } from '../runtime/listen-error.ts';
import { Admission } from './admission.ts';
import type { AnswerBody, AnswerHead } from './answer.ts';
import { intercept } from './dispatch.ts';
import type { ExchangeContext, RequestHead } from './exchange.ts';
import { Exchange } from './exchange.ts';
import type { IntakeFacts, Refusal } from './intake.ts';
import {
  bodyTooLarge,
  HEAD_TOO_LARGE,
  hasBody,
  interceptionOf,
  isCostlyToDrain,
  NOT_HTTP,
  requestHead,
  SHUTTING_DOWN,
  TOO_SLOW,
} from './intake.ts';
import type { HttpLimits, Listening, TransportOptions } from './port.ts';
import { PROBLEM_CONTENT_TYPE, problem } from './problem.ts';
import type { CompiledRoute, RouteMatch } from './router.ts';

/** Connections that wait to be accepted; a sale begins with a burst of them. */
const LISTEN_BACKLOG = 4_096;

/** Listens; rejects with a `listenError`. */
export async function listenNode(options: TransportOptions): Promise<Listening> {
  const server = new NodeServer(options);
  await server.listen();
  return server;
}

interface ServerState {
  closing: boolean;
}

class NodeExchange extends Exchange {
  closeAfter = false;
  readonly req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #server: ServerState;

  constructor(
    context: ExchangeContext,
    head: RequestHead,
    req: IncomingMessage,
    res: ServerResponse,
    server: ServerState,
  ) {
    super(context, head);
    this.req = req;
    this.#res = res;
    this.#server = server;
  }

  bodyArrived(body: Buffer): void {
    this.receiveBody(body);
  }

  clientGone(): void {
    this.abort();
  }

  protected override write({ status, headers }: AnswerHead, body: AnswerBody): void {
    const lines = ['x-request-id', this.requestId];
    for (const name in headers) lines.push(name, headers[name] ?? '');
    if (status !== 204 && status !== 304) {
      lines.push('content-length', String(Buffer.byteLength(body)));
    }
    if (this.closeAfter || this.#server.closing) lines.push('connection', 'close');
    this.#res.writeHead(status, lines);
    this.#res.end(body);
  }
}

class NodeServer implements Listening {
  readonly #options: TransportOptions;
  readonly #server: Server;
  readonly #state: ServerState = { closing: false };
  readonly #admission: Admission;
  /** Exchanges whose response has not left yet, of which a parser's fault may be about one. */
  readonly #active = new Set<NodeExchange>();
  readonly #sockets = new Set<Socket>();
  #closed: Promise<void> | undefined;
  /** As taken; 0 before `listen`. */
  port = 0;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#admission = new Admission(options);
    this.#server = createServer(serverOptions(options.limits));
    this.#server.on('request', (req, res) => this.#request(req, res, false));
    this.#server.on('checkContinue', (req, res) => this.#request(req, res, true));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('clientError', (error, socket) => {
      if (socket instanceof Socket) this.#fault(error, socket);
    });
  }

  listen(): Promise<void> {
    const { host, port, sharesPort } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => {
        reject(listenError(host, port, error.code ?? error.message));
      });
      const how = { host, port, exclusive: !sharesPort, backlog: LISTEN_BACKLOG };
      this.#server.listen(how, () => {
        const address = this.#server.address();
        this.port = typeof address === 'object' && address !== null ? address.port : port;
        resolve();
      });
    });
  }

  close(graceMs: number): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#state.closing = true;
      const forced = setTimeout(() => this.#server.closeAllConnections(), graceMs);
      this.#server.close(() => {
        clearTimeout(forced);
        // Their close events come in a later turn; nobody is there to be answered already.
        for (const exchange of this.#active) exchange.clientGone();
        resolve();
      });
      this.#endIdleConnections();
    });
    return this.#closed;
  }

  /** Also those that have sent nothing or half a head, which Node would wait for. */
  #endIdleConnections(): void {
    const busy = new Set([...this.#active].map((exchange) => exchange.req.socket));
    for (const socket of this.#sockets) if (!busy.has(socket)) socket.destroy();
  }

  #request(req: IncomingMessage, res: ServerResponse, awaitsContinue: boolean): void {
    const { router, limits } = this.#options;
    const facts = factsOf(req);
    const match = router.match(facts.method, facts.path);
    const exchange = this.#enter(req, res, facts, match);
    const found = this.#state.closing
      ? SHUTTING_DOWN
      : (this.#admission.crowdedOf(match, this.#active.size) ??
        interceptionOf(match, facts, limits));
    if (found !== undefined) {
      exchange.closeAfter =
        awaitsContinue || isCostlyToDrain(facts.contentLength, facts.transferEncoding);
      intercept(exchange, found);
    } else if (match.kind === 'route') {
      if (!hasBody(facts)) {
        this.#admission.take(match.route, exchange);
      } else {
        if (awaitsContinue) res.writeContinue();
        upload(exchange, match.route, this.#admission);
      }
    }
  }

  #enter(
    req: IncomingMessage,
    res: ServerResponse,
    facts: IntakeFacts,
    match: RouteMatch,
  ): NodeExchange {
    const { context, nextRequestId } = this.#options;
    const head = requestHead(facts, match, (name) => headerOf(req, name), nextRequestId);
    const exchange = new NodeExchange(context, head, req, res, this.#state);
    this.#active.add(exchange);
    res.once('close', () => {
      this.#active.delete(exchange);
      exchange.clientGone();
    });
    return exchange;
  }

  /** The parser gave up on a connection: a malformed or late request. */
  #fault(error: NodeJS.ErrnoException, socket: Socket): void {
    const broken = error.code === 'ECONNRESET' || error.code === 'HPE_INVALID_EOF_STATE';
    if (broken || !socket.writable) {
      socket.destroy();
      return;
    }
    const mine = [...this.#active].filter((exchange) => exchange.req.socket === socket);
    const [only] = mine;
    if (only === undefined) {
      socket.end(this.#rawAnswer(error));
    } else if (mine.length === 1 && !only.answered && !only.req.complete) {
      only.closeAfter = true;
      intercept(only, refusalOfFault(error));
    } else {
      // What is wrong is a later request of a pipeline: nothing may be written before the earlier
      // answers, and this connection has forfeited them.
      socket.destroy();
    }
  }

  /** A whole response as text, because there is no request to hang it on. */
  #rawAnswer(error: NodeJS.ErrnoException): string {
    const { nextRequestId, context } = this.#options;
    const requestId = nextRequestId();
    const { row, details } = refusalOfFault(error);
    const body = JSON.stringify(problem(row, details, requestId, context.problemBaseUrl));
    return [
      `HTTP/1.1 ${row.status} ${STATUS_CODES[row.status]}`,
      `content-type: ${PROBLEM_CONTENT_TYPE}`,
      `content-length: ${Buffer.byteLength(body)}`,
      `x-request-id: ${requestId}`,
      'connection: close',
      '',
      body,
    ].join('\r\n');
  }
}

function serverOptions(limits: HttpLimits): ServerOptions {
  const shortestMs = Math.min(limits.headersTimeoutMs, limits.requestTimeoutMs);
  return {
    maxHeaderSize: limits.headBytes,
    // Node refuses to start when the head may take longer than head and body.
    headersTimeout: shortestMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    // How late a timeout may be noticed.
    connectionsCheckingInterval: Math.max(20, Math.min(1_000, shortestMs / 4)),
  };
}

function factsOf(req: IncomingMessage): IntakeFacts {
  const url = req.url ?? '/';
  const queryAt = url.indexOf('?');
  return {
    method: req.method ?? 'GET',
    path: queryAt < 0 ? url : url.slice(0, queryAt),
    query: queryAt < 0 ? '' : url.slice(queryAt + 1),
    contentLength: req.headers['content-length'] ?? '',
    transferEncoding: req.headers['transfer-encoding'] ?? '',
    contentType: req.headers['content-type'] ?? '',
  };
}

function headerOf(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

/** Reads the body, then runs the handler. An upload that the client breaks off ends in nothing. */
function upload(exchange: NodeExchange, route: CompiledRoute, admission: Admission): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  exchange.req.on('data', (chunk: Buffer) => {
    if (exchange.answered) return;
    bytes += chunk.length;
    if (bytes > route.bodyLimitBytes) {
      exchange.closeAfter = true;
      intercept(exchange, bodyTooLarge(route));
    } else {
      chunks.push(chunk);
    }
  });
  exchange.req.on('end', () => {
    if (exchange.answered || exchange.aborted) return;
    exchange.bodyArrived(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
    admission.take(route, exchange);
  });
}

function refusalOfFault(error: NodeJS.ErrnoException): Refusal {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return TOO_SLOW;
  if (error.code === 'HPE_HEADER_OVERFLOW') return HEAD_TOO_LARGE;
  return NOT_HTTP;
}
