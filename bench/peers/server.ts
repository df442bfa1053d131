/** A peer behind the engine's own HTTP server, with its body, its checks and its answers. */
import type { CellField, Sku } from '../../engine/domain/ids.ts';
import type { ReservationRecord } from '../../engine/domain/reservation.ts';
import { AnswerHead, jsonHead, problemHead } from '../../engine/http/answer.ts';
import type { Exchange, Handler } from '../../engine/http/exchange.ts';
import { healthHandler } from '../../engine/http/handlers/health.ts';
import { createInsufficientWriter } from '../../engine/http/handlers/insufficient-json.ts';
import { CHANGE_HEADERS, readRequest } from '../../engine/http/handlers/request.ts';
import { createReservationWriter } from '../../engine/http/handlers/reservation-json.ts';
import { reserveReader } from '../../engine/http/handlers/reserve.ts';
import { outcomeProblem, retryAfter } from '../../engine/http/outcome-problem.ts';
import type { Route } from '../../engine/http/router.ts';
import { compileBody, requestSchemas } from '../../engine/http/schema.ts';
import { forcedTransport, type HttpServer, startHttpServer } from '../../engine/http/server.ts';
import { mergeItems } from '../../engine/reservations/cart.ts';
import { DEFAULT_RESERVATION_POLICY } from '../../engine/reservations/policy.ts';
import { Line } from '../../engine/runtime/line.ts';
import { startWorker } from '../../engine/runtime/worker.ts';
import type { Hold, Peer } from './peer.ts';

export interface PeerServer extends Pick<HttpServer, 'host' | 'port' | 'url'> {
  /** Ends the peer too. */
  close(): Promise<void>;
}

/** As often as shops run such a job at most. */
const EXPIRE_MS = 1_000;
const CLOSE_MS = 2_000;
const BODY_BYTES_MAX = 1_048_576;
const RETRY_AFTER_MS = 1_000;
/** In place of the warehouse that no recipe knows. */
const FIELD = 'A' as CellField;
const NO_FINGERPRINT = Buffer.alloc(8);
const REPLAY_HEAD = new AnswerHead(200, {
  'content-type': 'application/json',
  'idempotent-replayed': 'true',
});

/** On a free port. */
export async function startPeerServer(peer: Peer): Promise<PeerServer> {
  const server = await startHttpServer({
    routes: peerRoutes(peer),
    port: 0,
    transport: forcedTransport(process.env),
    line: new Line(),
  });
  const job = startWorker({
    name: 'expire',
    runOnce: async () => {
      await peer.expire();
      return false;
    },
    pauseMs: EXPIRE_MS,
    pauseMsMax: EXPIRE_MS,
    onError: (name, error) => void process.stderr.write(`${name}: ${String(error)}\n`),
  });
  return {
    host: server.host,
    port: server.port,
    url: server.url,
    async close() {
      await job.stop();
      await server.close(CLOSE_MS);
      await peer.close();
    },
  };
}

function peerRoutes(peer: Peer): Route[] {
  const change = {
    method: 'POST',
    headers: CHANGE_HEADERS,
    body: { limitBytes: BODY_BYTES_MAX },
  } as const;
  return [
    { ...change, pattern: '/api/v1/inventory/reserve', handle: reserveHandler(peer) },
    { ...change, pattern: '/api/v1/inventory/commit', handle: commitHandler(peer) },
    { method: 'GET', pattern: '/healthz', handle: healthHandler() },
  ];
}

function reserveHandler(peer: Peer): Handler {
  const read = reserveReader(DEFAULT_RESERVATION_POLICY);
  const write = createReservationWriter();
  const writeInsufficient = createInsufficientWriter('');
  return async (exchange) => {
    const request = read(exchange);
    if (request === undefined) return;
    const { items, about } = request.body;
    const lines = mergeItems(items);
    const [line] = Array.isArray(lines) ? lines : [];
    if (!Array.isArray(lines) || lines.length > 1 || line === undefined) {
      exchange.problem(outcomeProblem('invalid_request'), { detail: 'A cart here has one line.' });
      return;
    }
    const { sku, quantity } = line;
    const ttlS = about.ttl_seconds ?? DEFAULT_RESERVATION_POLICY.ttlDefaultS;
    const answer = await peer.reserve({ sku, quantity, ttlS, key: request.idempotencyKey });
    if ('hold' in answer) {
      const { id } = answer.hold;
      const body = write(id, recordOf('held', answer.hold), stamp(), peer.holdDurability);
      exchange.respondWith(answer.outcome === 'created' ? jsonHead(201) : REPLAY_HEAD, body);
    } else if (answer.outcome === 'insufficient') {
      const short = [{ line: 0, available: answer.available }];
      const body = writeInsufficient(exchange.requestId, '', [line], short);
      exchange.respondWith(problemHead(409), body);
    } else {
      sendAway(exchange, answer.detail);
    }
  };
}

function sendAway(exchange: Exchange, detail: string): void {
  exchange.problem(outcomeProblem('overloaded'), { detail }, retryAfter(RETRY_AFTER_MS));
}

function commitHandler(peer: Peer): Handler {
  const check = compileBody(requestSchemas().commit);
  const write = createReservationWriter();
  return async (exchange) => {
    const request = readRequest(exchange, check, DEFAULT_RESERVATION_POLICY);
    if (request === undefined) return;
    const id = String(request.body.reservation_id);
    const answer = await peer.commit(id);
    if (answer.outcome === 'committed') {
      const record = recordOf('committed', answer.hold);
      const body = write(id, record, stamp(), peer.commitDurability);
      exchange.respondWith(answer.isReplay ? REPLAY_HEAD : jsonHead(200), body);
    } else if (answer.outcome === 'overloaded') {
      sendAway(exchange, answer.detail);
    } else {
      exchange.problem(outcomeProblem(answer.outcome), { extensions: { reservation_id: id } });
    }
  };
}

function recordOf(state: 'held' | 'committed', hold: Hold): ReservationRecord {
  const { sku, quantity, deadlineMs } = hold;
  const placements = [{ field: FIELD, quantity }];
  const common = {
    fingerprint: NO_FINGERPRINT,
    version: 1,
    createdS: 0,
    lines: [{ line: 0, sku: sku as Sku, requested: quantity, placements }],
    operations: [],
  };
  return state === 'held'
    ? { ...common, state, deadlineS: Math.ceil(deadlineMs / 1_000) }
    : { ...common, state, commitFingerprint: 0 };
}

function stamp(): { epoch: number; seq: number; timeMs: number; offsetMs: number } {
  return { epoch: 0, seq: 0, timeMs: Date.now(), offsetMs: 0 };
}
