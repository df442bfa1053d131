/**
 * A real Holdfast for the model test: two engines over one Redis and one PostgreSQL, with
 * persister and recovery. Starting it takes seconds, so runs share it, each with a shop of its own
 * (SKUs, ids and keys with its prefix); after a run that left something wrong in the stores the
 * next one gets a new city, because it would be found again.
 */

import { runAudit } from '../../../reconciler/audit/audit.ts';
import type { AuditReport } from '../../../reconciler/audit/report.ts';
import type { Serving } from '../../cli/roles.ts';
import { laneKeys } from '../../redis/keys.ts';
import { isRefusal } from '../../redis/lane-port.ts';
import { decodeEntry } from '../auditor/decode.ts';
import { LogFold } from '../auditor/fold.ts';
import { startTestEngine, type TestEngine } from '../engine.ts';
import type { AofCopy, TestRedis } from '../servers.ts';
import type { Ask, Reply } from './ask.ts';
import { requestOf } from './request.ts';
import { type Balance, DAY_S, HOLD_AGE_MAX_S } from './shop.ts';

const KEYS = laneKeys(0);
const RECOVERY_MS_MAX = 30_000;
const POLL_MS = 5;
const EXPIRE_MAX = 1_000;
/** For so long an engine may answer with a sell-out that it remembers. */
const SOLD_OUT_MS = 200;
/** Time of day, lane time, at which a run begins. */
const NOON_S = DAY_S / 2;
/** Its transaction fails, and what it had read is no longer there to be read again. */
const END_PERSISTER = `
  SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE application_name = 'holdfast-persister' AND datname = current_database()`;
/** Answers that decided nothing: the same again is right. */
const AGAIN: ReadonlySet<string> = new Set([
  'fenced',
  'overloaded',
  'log_full',
  'undecided',
  'store_unavailable',
]);

export interface City {
  readonly engine: TestEngine;
  /** Two engines. */
  readonly servings: readonly [Serving, Serving];
  /** Follows the log from its first entry, faster than it is trimmed. */
  readonly fold: LogFold;
  send(ask: Ask, engine: number): Promise<Reply>;
  /** `SKU@WAREHOUSE` and its balances, of every cell of the SKUs. */
  balances(skus: readonly string[], engine: number): Promise<Map<string, Balance>>;
  audit(): Promise<AuditReport>;
  /** Moves lane time, gives what is due back, and lets every engine see it. */
  pass(seconds: number): Promise<void>;
  passToNoon(): Promise<void>;
  nowS(): Promise<number>;
  /** Brings the fold to the end of the log. */
  followLog(): Promise<void>;
  copyTail(): Promise<void>;
  /** Kills Redis and puts the older copy back, once PostgreSQL has everything. */
  loseTail(): Promise<void>;
  /**
   * Runs what it is given while PostgreSQL takes nothing, and lets Redis lose it. A persister that
   * is spared has read it and brings it to PostgreSQL after all, unless recovery was faster.
   */
  loseUnlogged(run: () => Promise<void>, isPersisterSpared: boolean): Promise<void>;
  restart(): Promise<void>;
  /** An empty Redis, once PostgreSQL has everything. */
  empty(): Promise<void>;
  whenPersisted(): Promise<void>;
  close(): Promise<void>;
}

export async function startCity(): Promise<City> {
  const engine = await startTestEngine({
    settings: {
      HOLDFAST_HOLD_AGE_MAX: String(HOLD_AGE_MAX_S),
      // The machine may be slow; what is measured here is not its speed.
      HOLDFAST_QUEUE_WAIT_MS: '30000',
      HOLDFAST_DURABILITY_WAIT_MS: '30000',
    },
  });
  const servings = [engine.serving, await engine.startAnother()] as const;
  const { redis } = engine;
  const fold = new LogFold();
  let last = '-';
  let copy: AofCopy | undefined;
  /** Entries that were written and not folded, because Redis was about to lose them. */
  const unread: Buffer[] = [];

  async function readLog(): Promise<[id: string, bytes: Buffer][]> {
    const found = await redis.callBuffer('XRANGE', KEYS.log, last, '+');
    return (found as [Buffer, Buffer[]][]).map(([id, fields]) => {
      return [id.toString('latin1'), fields[1] ?? Buffer.alloc(0)];
    });
  }

  async function followLog(): Promise<void> {
    for (const [id, bytes] of await readLog()) {
      // Entries that Redis lost count, up to the one that the log goes on behind.
      while (unread.length > 0 && !followsFold(fold, bytes)) {
        fold.applyBytes(unread.shift() ?? Buffer.alloc(0));
      }
      unread.length = 0;
      fold.applyBytes(bytes, `entry ${id}`);
      last = `(${id}`;
    }
  }

  async function whenPersisted(): Promise<void> {
    await followLog();
    const { epoch = 0, seq = 0 } = fold.position ?? {};
    await until('PostgreSQL has everything', async () => {
      const { rows } = await engine.serving.engine.pool.query<{ reached: boolean }>(
        'SELECT (epoch, seq) >= ($1::bigint, $2::bigint) AS reached FROM positions WHERE lane = 0',
        [epoch, seq],
      );
      return rows[0]?.reached === true;
    });
  }

  /** Every engine is answered by an open lane. */
  async function whenOpen(): Promise<void> {
    for (const { engine: each } of servings) {
      await until('the lane is open', async () => {
        const answer = await each.lane.availability([]);
        return !isRefusal(answer);
      });
    }
    await followLog();
  }

  async function expireAll(): Promise<void> {
    await until('nothing is due', async () => {
      const answer = await engine.serving.engine.lane.expire(EXPIRE_MAX);
      return !isRefusal(answer) && !answer.more && answer.expired === 0;
    });
  }

  async function pass(seconds: number): Promise<void> {
    await followLog();
    await engine.passSeconds(seconds);
    await expireAll();
    await whenOpen();
    // Lane time is only as safe as the newest entry: without one a lost tail would turn it back.
    await engine.stock({ 'CLOCK@W1': 1 });
  }

  async function nowS(): Promise<number> {
    const answer = await engine.serving.engine.lane.availability([]);
    if (isRefusal(answer)) throw new Error(`the lane is closed: ${answer.detail}`);
    return Math.floor(answer.stamp.timeMs / 1000);
  }

  /** To the noon of the next day, so that a run does not come near midnight (shop.ts). */
  async function passToNoon(): Promise<void> {
    const sinceMidnight = (await nowS()) % DAY_S;
    await pass(DAY_S + NOON_S - sinceMidnight);
  }

  await whenOpen();
  return {
    engine,
    servings,
    fold,
    pass,
    passToNoon,
    nowS,
    followLog,
    whenPersisted,
    async send(ask, index) {
      const { method, path, body, headers } = requestOf(ask);
      const url = servings[index % servings.length]?.url ?? engine.url;
      const answer = async (): Promise<Reply> => {
        const deadline = performance.now() + RECOVERY_MS_MAX;
        for (;;) {
          const reply = await call(url + path, method, body, headers);
          if (!AGAIN.has(reply.code ?? '') || performance.now() > deadline) return reply;
          await sleep(POLL_MS);
        }
      };
      const reply = await answer();
      if (reply.code !== 'insufficient' || !isFresh(ask)) return reply;
      // It may be what the engine remembers: whoever waits for so long hears what is so.
      await sleep(SOLD_OUT_MS);
      return await answer();
    },
    async balances(skus, index) {
      const url = servings[index % servings.length]?.url ?? engine.url;
      const path = `${url}/api/v1/inventory/availability`;
      const { body } = await call(path, 'POST', { sku_ids: skus }, {});
      return readBalances(body);
    },
    async audit() {
      return runAudit({
        redis,
        pool: engine.serving.engine.pool,
      });
    },
    async copyTail() {
      copy = await engine.server.copyAof();
    },
    async loseTail() {
      await whenPersisted();
      const older = copy ?? (await engine.server.copyAof());
      copy = undefined;
      await engine.server.kill('SIGKILL');
      await engine.server.restoreAof(older);
      await startAgain(engine.server);
      await whenOpen();
    },
    async loseUnlogged(run, isPersisterSpared) {
      await whenPersisted();
      const older = await engine.server.copyAof();
      copy = undefined;
      const lock = await engine.serving.engine.pool.connect();
      try {
        await lock.query('BEGIN');
        await lock.query('SELECT FROM positions WHERE lane = 0 FOR UPDATE');
        await run();
        unread.push(...(await readLog()).map(([, bytes]) => bytes));
        await engine.server.kill('SIGKILL');
        await engine.server.restoreAof(older);
        if (!isPersisterSpared) await lock.query(END_PERSISTER);
      } finally {
        await lock.query('ROLLBACK');
        lock.release();
      }
      await startAgain(engine.server);
      await whenOpen();
      await whenPersisted();
    },
    async restart() {
      await whenPersisted();
      copy = undefined;
      await engine.server.stop();
      await startAgain(engine.server);
      await whenOpen();
    },
    async empty() {
      await whenPersisted();
      copy = undefined;
      await redis.flushall();
      await whenOpen();
    },
    close: () => engine.close(),
  };
}

/** While it was down, a connection of somebody else may have taken its port for a moment. */
async function startAgain(server: TestRedis): Promise<void> {
  await until('Redis starts', async () => {
    await server.start();
    return true;
  });
}

async function call(
  url: string,
  method: string,
  body: unknown,
  headers: Readonly<Record<string, string>>,
): Promise<Reply> {
  const response = await fetch(url, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const parsed = (await response.json()) as Record<string, unknown>;
  return {
    status: response.status,
    code: typeof parsed.code === 'string' ? parsed.code : undefined,
    replayed: response.headers.get('idempotent-replayed') === 'true',
    body: parsed,
  };
}

interface ShownSku {
  readonly sku_id: string;
  readonly warehouses: readonly {
    readonly warehouse_id: string;
    readonly available_qty: number;
    readonly reserved_qty: number;
    readonly allocated_qty: number;
  }[];
}

function readBalances(body: Readonly<Record<string, unknown>>): Map<string, Balance> {
  const balances = new Map<string, Balance>();
  for (const { sku_id: sku, warehouses } of body.skus as readonly ShownSku[]) {
    for (const cell of warehouses) {
      balances.set(`${sku}@${cell.warehouse_id}`, {
        available: cell.available_qty,
        reserved: cell.reserved_qty,
        allocated: cell.allocated_qty,
      });
    }
  }
  return balances;
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + RECOVERY_MS_MAX;
  for (;;) {
    // While Redis is away its clients throw: that is not the end of the wait.
    if (await isTrue().catch(() => false)) return;
    if (performance.now() > deadline) throw new Error(`not in ${RECOVERY_MS_MAX} ms: ${what}`);
    await sleep(POLL_MS);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function followsFold(fold: LogFold, bytes: Uint8Array): boolean {
  const { predecessor } = decodeEntry(bytes);
  const at = fold.position;
  return at?.epoch === predecessor.epoch && at.seq === predecessor.seq;
}

/** Who brings no id or key may be answered from memory. */
function isFresh(ask: Ask): boolean {
  return ask.kind === 'reserve' && 'fresh' in ask.by;
}
