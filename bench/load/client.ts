/**
 * A lean HTTP/1.1 client for load: a pool of keep-alive connections, own framing, few allocations, so that the
 * bench spends little of the CPU that it measures. It never sends a request again by itself: a request without an
 * answer is a fact that the bench must see, and `mayHaveArrived` says whether the engine may have carried it out.
 *
 * A request is queued, then sent, then settled, exactly once: by its answer, its timeout, the loss of its
 * connection, or close().
 */
import { Connection, type Exchange, type LossCode } from './connection.ts';
import type { LatencyBook } from './latency.ts';
import type { HttpResponse } from './response.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface HttpClientOptions {
  readonly host: string;
  readonly port: number;
  /** Requests beyond wait in the queue. */
  readonly maxConnections?: number;
  /** From the call to the answer, the wait in the queue included. */
  readonly timeoutMs?: number;
  /** An open loop that outruns the server must fail loudly, not fill the memory. */
  readonly maxQueued?: number;
  /** Connections idle for longer are not used again: servers close theirs after some seconds (node:http after 5). */
  readonly maxIdleMs?: number;
  readonly latencies?: LatencyBook;
}

export interface RequestOptions {
  /**
   * When the request should have been sent, on the clock of performance.now(): an open loop's latency counts from
   * then, so that a stalled sender does not hide a stall (coordinated omission). Default: now.
   */
  readonly intendedAtMs?: number;
  /** Under which name the latency is recorded. Default: method and path. */
  readonly label?: string;
}

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly latencyMs: number;
}

export type HttpClientErrorCode = 'timeout' | 'queue_full' | 'client_closed' | LossCode;

/** No answer came. */
export class HttpClientError extends Error {
  override readonly name = 'HttpClientError';
  readonly code: HttpClientErrorCode;
  /** False: no byte of it was sent, so it is safe to ask again. True: ask again only with the same key. */
  readonly mayHaveArrived: boolean;
  readonly latencyMs: number;

  constructor(
    code: HttpClientErrorCode,
    message: string,
    mayHaveArrived: boolean,
    latencyMs: number,
  ) {
    super(message);
    this.code = code;
    this.mayHaveArrived = mayHaveArrived;
    this.latencyMs = latencyMs;
  }
}

export interface HttpClientStats {
  readonly requests: number;
  readonly answers: number;
  readonly errors: Readonly<Partial<Record<HttpClientErrorCode, number>>>;
  readonly connectionsOpened: number;
  readonly connections: number;
  readonly queued: number;
}

export interface HttpClient {
  /** @throws HttpClientError when no answer comes, whatever its status would have been. */
  request(
    method: Method,
    path: string,
    headers?: Readonly<Record<string, string>>,
    body?: string,
    options?: RequestOptions,
  ): Promise<HttpAnswer>;
  stats(): HttpClientStats;
  /** Drops every connection; what is under way or queued fails with `client_closed`. */
  close(): void;
}

export function createHttpClient(options: HttpClientOptions): HttpClient {
  return new PooledClient(options);
}

interface Pending extends Exchange {
  readonly label: string;
  connection: Connection | undefined;
  isSettled: boolean;
  fail(code: HttpClientErrorCode, problem: string): void;
}

class PooledClient implements HttpClient {
  readonly #options: Required<Omit<HttpClientOptions, 'latencies'>>;
  readonly #latencies: LatencyBook | undefined;
  readonly #connections = new Set<Connection>();
  /** The one used last is used first, so that a quiet pool shrinks. May hold closed ones. */
  readonly #idle: Connection[] = [];
  readonly #queue = new Fifo<Pending>();
  readonly #errors: Partial<Record<HttpClientErrorCode, number>> = {};
  #requests = 0;
  #answers = 0;
  #connectionsOpened = 0;
  #isClosed = false;

  constructor({ latencies, ...options }: HttpClientOptions) {
    this.#latencies = latencies;
    this.#options = {
      ...options,
      maxConnections: options.maxConnections ?? 64,
      timeoutMs: options.timeoutMs ?? 10_000,
      maxQueued: options.maxQueued ?? 100_000,
      maxIdleMs: options.maxIdleMs ?? 4_000,
    };
  }

  request(
    method: Method,
    path: string,
    headers: Readonly<Record<string, string>> = {},
    body?: string,
    { intendedAtMs, label }: RequestOptions = {},
  ): Promise<HttpAnswer> {
    const fromMs = intendedAtMs ?? performance.now();
    const wire = this.#encode(method, path, headers, body);
    this.#requests += 1;
    return new Promise((resolve, reject) => {
      const pending = this.#track(wire, label ?? `${method} ${path}`, fromMs, resolve, reject);
      if (this.#isClosed) pending.fail('client_closed', 'the client is closed');
      else if (this.#queue.length >= this.#options.maxQueued) {
        pending.fail('queue_full', `${this.#queue.length} requests wait already`);
      } else this.#dispatch(pending);
    });
  }

  stats(): HttpClientStats {
    return {
      requests: this.#requests,
      answers: this.#answers,
      errors: { ...this.#errors },
      connectionsOpened: this.#connectionsOpened,
      connections: this.#connections.size,
      queued: this.#queue.length,
    };
  }

  close(): void {
    this.#isClosed = true;
    for (let pending = this.#queue.shift(); pending !== undefined; pending = this.#queue.shift()) {
      pending.fail('client_closed', 'the client was closed before it was sent');
    }
    for (const connection of this.#connections) connection.destroy('the client was closed');
  }

  #track(
    wire: string,
    label: string,
    fromMs: number,
    resolve: (answer: HttpAnswer) => void,
    reject: (error: HttpClientError) => void,
  ): Pending {
    const settle = (): number => {
      pending.isSettled = true;
      clearTimeout(timer);
      return performance.now() - fromMs;
    };
    const pending: Pending = {
      wire,
      label,
      connection: undefined,
      isSettled: false,
      answered: ({ status, headers, body }: HttpResponse) => {
        if (pending.isSettled) return;
        const latencyMs = settle();
        this.#answers += 1;
        this.#latencies?.record(label, latencyMs);
        resolve({ status, headers, body, latencyMs });
      },
      lost: (code, problem) => {
        pending.fail(this.#isClosed ? 'client_closed' : code, `the connection is lost: ${problem}`);
      },
      fail: (code, problem) => {
        if (pending.isSettled) return;
        const latencyMs = settle();
        this.#errors[code] = (this.#errors[code] ?? 0) + 1;
        // It took at least so long: a percentile without it would be of the lucky ones.
        if (code === 'timeout') this.#latencies?.record(label, latencyMs);
        const wasSent = pending.connection !== undefined;
        reject(new HttpClientError(code, `${label}: ${problem}`, wasSent, latencyMs));
      },
    };
    const timer = setTimeout(() => {
      const where = pending.connection === undefined ? 'in the queue' : 'for the answer';
      pending.fail('timeout', `waited ${this.#options.timeoutMs} ms, at last ${where}`);
      // Its answer, should it come, must not be taken for the next one's.
      if (pending.connection !== undefined) pending.connection.destroy('its request timed out');
      // All wait equally long, so what has timed out in the queue stands at its front.
      else this.#queue.dropWhile((first) => first.isSettled);
    }, this.#options.timeoutMs);
    return pending;
  }

  #dispatch(pending: Pending): void {
    const connection = this.#takeIdle();
    if (connection !== undefined) {
      send(connection, pending);
      return;
    }
    this.#queue.push(pending);
    this.#openWhereNeeded();
  }

  #takeIdle(): Connection | undefined {
    const usableSinceMs = performance.now() - this.#options.maxIdleMs;
    for (let next = this.#idle.pop(); next !== undefined; next = this.#idle.pop()) {
      if (next.state !== 'idle') continue;
      if (next.idleSinceMs >= usableSinceMs) return next;
      next.destroy('idle for too long');
    }
    return undefined;
  }

  #openWhereNeeded(): void {
    if (this.#queue.length === 0 || this.#isClosed) return;
    if (this.#connections.size >= this.#options.maxConnections) return;
    this.#connectionsOpened += 1;
    const connection = new Connection(this.#options.host, this.#options.port, {
      idle: (idle) => this.#serve(idle),
      closed: (closed, connectProblem) => this.#forget(closed, connectProblem),
    });
    this.#connections.add(connection);
  }

  #serve(connection: Connection): void {
    const pending = this.#queue.shift();
    if (pending === undefined) this.#idle.push(connection);
    else send(connection, pending);
  }

  #forget(connection: Connection, connectProblem: string | undefined): void {
    this.#connections.delete(connection);
    // Where others are connected, they will serve the queue; else the one that waits longest learns it.
    const othersServe = [...this.#connections].some((other) => other.state !== 'connecting');
    if (connectProblem !== undefined && !othersServe) {
      const { host, port } = this.#options;
      this.#queue
        .shift()
        ?.fail('connect_failed', `cannot connect to ${host}:${port}: ${connectProblem}`);
    }
    this.#openWhereNeeded();
  }

  #encode(
    method: Method,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: string | undefined,
  ): string {
    let head = `${method} ${path} HTTP/1.1\r\nHost: ${this.#options.host}:${this.#options.port}\r\n`;
    for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
    if (body !== undefined) head += `Content-Length: ${Buffer.byteLength(body)}\r\n`;
    return `${head}\r\n${body ?? ''}`;
  }
}

function send(connection: Connection, pending: Pending): void {
  pending.connection = connection;
  connection.send(pending);
}

/** Array.shift moves everything behind it, which a long queue cannot afford. */
class Fifo<T> {
  #items: (T | undefined)[] = [];
  #first = 0;

  get length(): number {
    return this.#items.length - this.#first;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#first];
    if (item === undefined) return undefined;
    this.#items[this.#first] = undefined;
    this.#first += 1;
    if (this.#first >= 1_024 && this.#first * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }

  dropWhile(matches: (first: T) => boolean): void {
    for (;;) {
      const first = this.#items[this.#first];
      if (first === undefined || !matches(first)) return;
      this.shift();
    }
  }
}
