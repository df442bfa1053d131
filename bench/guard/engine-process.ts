/**
 * The hot path of an engine in a process of its own, for its parent to count: the handlers of reserves
 * and commits over the product's own lane, on the Redis that the environment names. In place of the sockets stands
 * an exchange that ends with its answer, and requests come by whole batches: how many come at once is
 * chance elsewhere, and a batch's share of the cost with it.
 *
 * It is told what to do (EngineOrder) and says what it did (EngineReport).
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { IdMaker } from '../../engine/domain/reservation-id.ts';
import { runHandler } from '../../engine/http/dispatch.ts';
import type { Handler } from '../../engine/http/exchange.ts';
import { createPresenter } from '../../engine/http/handlers/present.ts';
import { CHANGE_HEADERS } from '../../engine/http/handlers/request.ts';
import { reserveHandler } from '../../engine/http/handlers/reserve.ts';
import { commitHandler } from '../../engine/http/handlers/settle.ts';
import { connectRedis, whenReady } from '../../engine/redis/connect.ts';
import { createWatermarks } from '../../engine/redis/watermarks.ts';
import { DEFAULT_RESERVATION_POLICY } from '../../engine/reservations/policy.ts';
import { SoldOutCache } from '../../engine/reservations/sold-out.ts';
import { joinLane } from '../measure/lane-session.ts';
import { createExchanges } from './counted-exchange.ts';
import {
  BATCH,
  type EngineOrder,
  type EngineReport,
  type EngineWork,
  HOT,
  SOLD_OUT,
} from './engine-work.ts';

/** Counting is slow, and the machine may be busy besides. */
const COMMAND_MS_MAX = 300_000;
const ROUTE = { pattern: '/', paramNames: [], headerNames: CHANGE_HEADERS };

const redis = connectRedis(
  {
    url: process.env.REDIS_URL ?? '',
    name: 'holdfast-guard',
    onError: (error) => void process.stderr.write(`${error.message}\n`),
  },
  { commandTimeout: COMMAND_MS_MAX },
);
await whenReady(redis, COMMAND_MS_MAX);
const session = await joinLane(redis, { batch: BATCH });
const beside = (): never => {
  throw new Error('bug: a hold in memory of one known line needs none of this');
};
const deps = {
  lane: session.lane,
  ids: new IdMaker(randomBytes),
  policy: {
    ...DEFAULT_RESERVATION_POLICY,
    // What any other level waits for is the work of other processes.
    levels: { ...DEFAULT_RESERVATION_POLICY.levels, commit: 'memory' as const },
  },
  // By the clock it would be asked again the oftener, the slower the count.
  soldOut: new SoldOutCache({ ageMsMax: Number.POSITIVE_INFINITY, now: () => performance.now() }),
  watermarks: createWatermarks({
    redis,
    subscriber: redis.duplicate(),
    lane: 0,
    waitMsMax: COMMAND_MS_MAX,
    line: session.line,
    readRegistry: beside,
  }),
  archive: { find: beside },
  directory: { get: beside, find: beside, put: beside, load: beside },
};
const present = createPresenter({ problemBaseUrl: '', countOutcome: () => undefined });
const exchange = createExchanges(ROUTE);
const reserve = reserveHandler(deps, present);
const commit = commitHandler(deps, present);
/** Bodies of commits, one for each reservation that was made to be committed. */
const commits: string[] = [];

/** What the plainest handler of such a request does: it reads a body and answers with one. */
const answerBare: Handler = (open) => {
  const [line] = JSON.parse(open.text ?? '') as { readonly quantity: number }[];
  open.respondJson(201, {
    reservation_id: `hf_${open.requestId}`,
    state: 'held',
    lines: [{ ...line, reserved_qty: line?.quantity }],
    created_at: new Date().toISOString(),
  });
};

const cartOf = (skuId: string): string =>
  JSON.stringify([{ sku_id: skuId, warehouse_id: 'A', quantity: 1 }]);
const hot = cartOf(HOT);
const soldOut = cartOf(SOLD_OUT);

interface Work {
  readonly handle: Handler;
  readonly text: () => string;
  readonly status: number;
  /** Each request brings one of its own. */
  readonly isKeyed?: true;
  readonly onAnswer?: (body: string) => void;
}

const works: Readonly<Record<EngineWork, Work>> = {
  'bare handler': { handle: answerBare, text: () => hot, status: 201 },
  reserve: { handle: reserve, text: () => hot, status: 201 },
  rejection: { handle: reserve, text: () => soldOut, status: 409 },
  'keyed reserve': { handle: reserve, text: () => hot, status: 201, isKeyed: true },
  'keyed rejection': { handle: reserve, text: () => soldOut, status: 409, isKeyed: true },
  hold: { handle: reserve, text: () => hot, status: 201, onAnswer: keepCommit },
  commit: { handle: commit, text: () => commits.pop() ?? '', status: 200 },
};

function keepCommit(body: string): void {
  const { reservation_id } = JSON.parse(body) as { readonly reservation_id: string };
  commits.push(JSON.stringify({ reservation_id }));
}

function runBatch(what: EngineWork): Promise<void> {
  const { handle, text, status: wanted, isKeyed, onAnswer } = works[what];
  return new Promise((resolve, reject) => {
    let open = BATCH;
    const done = (status: number, body: string): void => {
      if (status !== wanted) reject(new Error(`${what}: wanted ${wanted}, got ${status}: ${body}`));
      onAnswer?.(body);
      open -= 1;
      if (open === 0) resolve();
    };
    for (let i = 0; i < BATCH; i++)
      runHandler(handle, exchange(text(), done, isKeyed && randomUUID()));
  });
}

async function obey({ what, batches }: EngineOrder): Promise<EngineReport> {
  const before = session.sent();
  for (let i = 0; i < batches; i++) await runBatch(what);
  const after = session.sent();
  return {
    batches: after.batches - before.batches,
    operations: after.operations - before.operations,
  };
}

process.on('message', (order) => {
  obey(order as EngineOrder).then(
    (report) => process.send?.(report),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    },
  );
});
process.once('disconnect', () => process.exit());
process.send?.({ batches: 0, operations: 0 } satisfies EngineReport);
