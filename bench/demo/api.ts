/**
 * The HTTP API as the demo calls it. An answer is data, whatever its status; only a connection that broke is
 * an error, and that too is given as data, because it says "maybe". What is repeated is repeated with the same
 * id or key, so a repeat never does a thing twice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createHttpClient,
  type HttpClient,
  HttpClientError,
  type HttpClientErrorCode,
  type Method,
} from '../load/client.ts';
import type { Meter } from './meter.ts';

export interface ApiAnswer {
  /** 0: no answer came. */
  readonly status: number;
  /** The problem's code; '' for a success. */
  readonly code: string;
  /** Parsed JSON; undefined without an answer. */
  readonly body: unknown;
  /** The server had done it before. */
  readonly isReplay: boolean;
}

export interface ApiCall {
  readonly method: Method;
  readonly path: string;
  readonly body?: unknown;
  /** Idempotency-Key. */
  readonly key?: string;
  /** Under which its latency is recorded. */
  readonly label: string;
  /** When it should have been sent, on the clock of performance.now(). */
  readonly dueAtMs?: number;
}

export interface Api {
  readonly url: string;
  /** Sends once. */
  readonly call: (call: ApiCall) => Promise<ApiAnswer>;
  /** Sends until there is an answer to rely on, a bounded number of times. */
  readonly insist: (call: ApiCall) => Promise<ApiAnswer>;
  /** A page that is no JSON. @throws Error when it is not there. */
  readonly text: (path: string) => Promise<string>;
  readonly close: () => void;
}

/** Enough for a crowd whose commits wait for the log, each holding its connection. */
const CONNECTIONS_MAX = 384;
const TIMEOUT_MS = 15_000;
const TRIES_MAX = 8;
const RETRY_MS_FIRST = 50;
/** The demo was ended. */
const CLOSED: HttpClientErrorCode = 'client_closed';

export function createApi(url: string, meter: Meter): Api {
  const { hostname, port } = new URL(url);
  const client = createHttpClient({
    host: hostname,
    port: Number(port),
    maxConnections: CONNECTIONS_MAX,
    timeoutMs: TIMEOUT_MS,
  });
  const call = (request: ApiCall): Promise<ApiAnswer> => send(client, meter, request);
  const text = async (path: string): Promise<string> => {
    const answer = await client.request('GET', path);
    if (answer.status !== 200) throw new Error(`GET ${path} was answered with ${answer.status}`);
    return answer.body;
  };
  const insisting: Api['insist'] = (request) => insist(call, request);
  return { url, call, insist: insisting, text, close: () => client.close() };
}

/** True when the answer leaves open whether it was done, or says that it was not tried. */
export function isUndecided({ status }: ApiAnswer): boolean {
  return status === 0 || status >= 500;
}

async function send(client: HttpClient, meter: Meter, request: ApiCall): Promise<ApiAnswer> {
  const { method, path, body, key, label, dueAtMs } = request;
  const headers = {
    ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    ...(key === undefined ? {} : { 'Idempotency-Key': key }),
  };
  const text = body === undefined ? undefined : JSON.stringify(body);
  const options = { label, ...(dueAtMs === undefined ? {} : { intendedAtMs: dueAtMs }) };
  try {
    const answer = await client.request(method, path, headers, text, options);
    meter.answered(label, answer.latencyMs);
    const parsed: unknown = JSON.parse(answer.body);
    return {
      status: answer.status,
      code: answer.status < 400 ? '' : codeOf(parsed),
      body: parsed,
      isReplay: answer.headers['idempotent-replayed'] === 'true',
    };
  } catch (error) {
    if (!(error instanceof HttpClientError)) throw error;
    meter.lost();
    return { status: 0, code: error.code, body: undefined, isReplay: false };
  }
}

async function insist(call: Api['call'], request: ApiCall): Promise<ApiAnswer> {
  for (let tries = 1; ; tries += 1) {
    const answer = await call(request);
    const isFinal = !isUndecided(answer) || answer.code === CLOSED;
    if (isFinal || tries === TRIES_MAX) return answer;
    await sleep(RETRY_MS_FIRST * 2 ** (tries - 1));
  }
}

function codeOf(problem: unknown): string {
  const code = fieldOf(problem, 'code');
  return typeof code === 'string' ? code : 'unknown';
}

/** A member of a JSON object, whatever stands there. */
export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

/** An answer in one line, for people. */
export function describeAnswer({ status, code, body }: ApiAnswer): string {
  const detail = fieldOf(body, 'detail');
  const said = typeof detail === 'string' ? `: ${detail}` : '';
  return status === 0 ? `no answer (${code})` : `${status} ${code}${said}`;
}
