/**
 * A client that writes down what it asks and hears. It sends nothing twice by itself: `decide` asks
 * again, under the same id, until the engine has decided, and each time is an attempt of its own.
 */
import { createHttpClient, type HttpAnswer, HttpClientError } from '../../../bench/load/client.ts';
import {
  type History,
  HOLD_TTL_S,
  type Invocation,
  KEY_PREFIX,
  type Outcome,
  type Result,
} from './history.ts';

/** Longer than the engine waits for a level, so that its own "unknown" is heard. */
const ANSWER_MS_MAX = 8_000;
const RETRY_MS = 50;

export interface FaultClient {
  /** One attempt. */
  ask(invocation: Invocation): Promise<Result>;
  /**
   * Asks until it is ok or refused, or until `isOver` says that nobody waits any more; the last
   * result comes back either way.
   */
  decide(invocation: Invocation, isOver: () => boolean): Promise<Result>;
  close(): void;
}

export interface FaultClientOptions {
  readonly host: string;
  readonly port: number;
  readonly history: History;
  /** As many as ask at once. */
  readonly connections: number;
}

export function createFaultClient(options: FaultClientOptions): FaultClient {
  const { host, port, history, connections } = options;
  const http = createHttpClient({
    host,
    port,
    maxConnections: connections,
    timeoutMs: ANSWER_MS_MAX,
  });
  const ask = async (invocation: Invocation): Promise<Result> => {
    const end = history.invoke(invocation);
    const { method, path, headers, body } = requestOf(invocation);
    let result: Result;
    try {
      result = resultOf(await http.request(method, path, headers, body));
    } catch (error) {
      if (!(error instanceof HttpClientError)) throw error;
      const outcome = error.mayHaveArrived ? 'unknown' : 'failed';
      result = { outcome, status: 0, code: error.code };
    }
    end(result);
    return result;
  };
  return {
    ask,
    async decide(invocation, isOver) {
      let known = invocation;
      for (;;) {
        const result = await ask(known);
        if (result.outcome === 'ok' || result.outcome === 'refused' || isOver()) return result;
        // An id that the engine made and told with its "unknown": asked by that from now on.
        if (known.id === undefined && result.id !== undefined) {
          known = { ...known, id: result.id };
        }
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    },
    close: () => http.close(),
  };
}

interface Request {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

const INVENTORY = '/api/v1/inventory';

function requestOf(invocation: Invocation): Request {
  const { verb, id, intent, wanted, lines = [] } = invocation;
  const prefer: Record<string, string> =
    wanted === undefined ? {} : { prefer: `durability=${wanted}` };
  if (verb === 'look_up') {
    return { method: 'GET', path: `${INVENTORY}/reservations/${id}`, headers: prefer };
  }
  const headers = { 'content-type': 'application/json', ...prefer };
  const post = (path: string, body: unknown, key?: string): Request => ({
    method: 'POST',
    path,
    headers: key === undefined ? headers : { ...headers, 'idempotency-key': key },
    body: JSON.stringify(body),
  });
  const items = lines.map(({ sku, quantity }) => ({ sku_id: sku, quantity }));
  if (verb === 'receive') {
    const received = items.map((item) => ({ ...item, warehouse_id: WAREHOUSE }));
    return post('/api/v1/stock/receive', { lines: received }, intent);
  }
  if (verb !== 'reserve') return post(`${INVENTORY}/${verb}`, { reservation_id: id });
  const cart = { items, order_id: intent, ttl_seconds: invocation.ttlS ?? HOLD_TTL_S };
  if (id?.startsWith(KEY_PREFIX)) {
    return post(`${INVENTORY}/reserve`, cart, id.slice(KEY_PREFIX.length));
  }
  return post(`${INVENTORY}/reserve`, id === undefined ? cart : { ...cart, reservation_id: id });
}

/** All stock of a fault run stands here. */
export const WAREHOUSE = 'A';

/** Codes of answers that say for certain that nothing was done. */
const NOTHING_DONE: ReadonlySet<string> = new Set([
  'fenced',
  'overloaded',
  'log_full',
  'shutting_down',
]);

export function resultOf({ status, body }: HttpAnswer): Result {
  const said = parse(body);
  const code = text(said.code) ?? text(said.status) ?? 'done';
  const id = text(said.reservation_id);
  const level = text(said.durability);
  const expiresAt = text(said.expires_at);
  return {
    outcome: outcomeOf(status, code),
    status,
    code,
    ...(id !== undefined && { id }),
    ...(level !== undefined && { level }),
    ...(typeof said.epoch === 'number' && { epoch: said.epoch }),
    ...(expiresAt !== undefined && { expiresAtMs: Date.parse(expiresAt) }),
  };
}

function outcomeOf(status: number, code: string): Outcome {
  if (status < 300) return 'ok';
  if (NOTHING_DONE.has(code)) return 'failed';
  // Too many at once is no answer to what was asked.
  if (status === 429) return 'failed';
  return status < 500 ? 'refused' : 'unknown';
}

function parse(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
