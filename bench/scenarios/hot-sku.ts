/**
 * One hot SKU over HTTP: engine, load generator and Redis each in a process of its own.
 *
 * The engine and Redis are measured alone first, with the persister stopped, because that is what a
 * reservation costs them; then the persister catches up, which shows its own speed; then all of it
 * runs at once. Every unit that was answered as reserved is looked for in the end.
 */
import type { Redis } from 'ioredis';
import { startRoleProcess, startServeProcess } from '../../engine/testing/serve-process.ts';
import { type CheckResult, crossCheck } from '../measure/cross-check.ts';
import {
  batchesBetween,
  type EngineReading,
  type Histogram,
  outcomesBetween,
  readEngine,
} from '../measure/engine-metrics.ts';
import { generateLoad } from '../measure/load.ts';
import { readRedis } from '../measure/redis-cpu.ts';
import type { LoadPlan, LoadResult } from '../measure/wire-load.ts';
import { profileOf } from './lane.ts';
import { createShop, type Shop } from './shop.ts';

export interface HotSkuOptions {
  readonly connections: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Of the open loop, requests a second; what the closed loop cannot carry is lowered. */
  readonly rate: number;
  readonly onProgress: (what: string) => void;
}

export interface Phase {
  readonly name: string;
  readonly load: LoadResult;
  /** us of CPU for an answer of the wanted status. */
  readonly redisUs: number;
  readonly engineUs: number;
  readonly batches: Histogram;
  readonly engineRssBytes: number;
  readonly redisRssBytes: number;
  readonly profile: ReturnType<typeof profileOf>;
}

export interface HotSkuReport {
  readonly connections: number;
  readonly closed: Phase;
  /** The same from other generators. */
  readonly checks: readonly CheckResult[];
  readonly open: Phase & { readonly rate: number };
  readonly soldOut: Phase;
  /** A handler that answers at once, on the same server. */
  readonly empty: Phase;
  /** The persister on what the phases before have left it. */
  readonly drain: { readonly events: number; readonly seconds: number };
  readonly together: Phase & { readonly backlogEvents: number };
  readonly audit: HotSkuAudit;
}

export interface HotSkuAudit {
  readonly received: number;
  /** Answers that said so, of the generators and of the engine's own count. */
  readonly answered: number;
  readonly counted: number;
  readonly reserved: number;
  readonly available: number;
  /** What the independent audit of Redis, log and PostgreSQL found. */
  readonly differences: readonly unknown[];
  readonly ok: boolean;
}

/** Open loop at no more than this part of what the closed loop carried: beyond it queues grow. */
const OPEN_LOAD_MAX = 0.6;
const UNITS = 500_000_000;
const HOT = 'HOT';
const SOLD_OUT = 'GONE';

interface Running {
  readonly redis: Redis;
  readonly shop: Shop;
  readonly options: HotSkuOptions;
  /** Answers 201 so far. */
  answered: number;
}

export async function runHotSku(
  redis: Redis,
  env: Readonly<Record<string, string>>,
  options: HotSkuOptions,
): Promise<HotSkuReport> {
  const settings = { ...env, HOLDFAST_LOG_LEVEL: 'warn', HOLDFAST_TTL_DEFAULT: '3600' };
  let persister = await startRoleProcess('persist', { env: settings });
  const recovery = await startRoleProcess('recover', { env: settings });
  const engine = await startServeProcess({ env: settings });
  try {
    const shop = createShop(engine, redis, env);
    await shop.open();
    await shop.receive({ [HOT]: UNITS, [SOLD_OUT]: 1 });
    await shop.buy(SOLD_OUT);
    await shop.whenPersisted();
    await persister.stop();
    const running: Running = { redis, shop, options, answered: 0 };
    const alone = await measureAlone(running);
    options.onProgress('hot-sku: the persister catches up');
    const before = await shop.backlog();
    const startMs = performance.now();
    persister = await startRoleProcess('persist', { env: settings });
    await shop.whenPersisted();
    const drain = { events: before, seconds: (performance.now() - startMs) / 1_000 };
    options.onProgress('hot-sku: everything at once');
    const together = await measure(running, 'reserves, persister at work', reservePlan(running));
    const backlogEvents = await shop.backlog();
    options.onProgress('hot-sku: audit');
    const audit = await auditAll(running);
    return {
      connections: options.connections,
      ...alone,
      drain,
      together: { ...together, backlogEvents },
      audit,
    };
  } finally {
    await Promise.all([engine.stop(), persister.stop(), recovery.stop()]);
  }
}

async function measureAlone(
  running: Running,
): Promise<Pick<HotSkuReport, 'closed' | 'checks' | 'open' | 'soldOut' | 'empty'>> {
  const { options, shop } = running;
  const { onProgress, warmUpSeconds, connections, seconds } = options;
  const plan = reservePlan(running);
  onProgress('hot-sku: warming up');
  await measure(running, 'warm-up', { ...plan, seconds: warmUpSeconds });
  onProgress('hot-sku: closed loop');
  const closed = await measure(running, 'reserves, closed loop', plan);
  onProgress('hot-sku: the same from other generators');
  const checks = await crossCheck({ ...plan, url: shop.url });
  const carried = closed.load.answers / closed.load.seconds;
  const rate = Math.floor(Math.min(options.rate, carried * OPEN_LOAD_MAX) / 1_000) * 1_000;
  onProgress(`hot-sku: open loop, ${rate} a second`);
  const open = await measure(running, 'reserves, open loop', { ...plan, rate });
  onProgress('hot-sku: sold out, and a handler that does nothing');
  const soldOut = await measure(
    running,
    'rejections',
    shop.reservePlan(SOLD_OUT, connections, seconds),
    409,
  );
  const empty = await measure(running, 'empty handler', shop.emptyPlan(connections, seconds), 200);
  return { closed, checks, open: { ...open, rate }, soldOut, empty };
}

function reservePlan({ shop, options }: Running): LoadPlan {
  return shop.reservePlan(HOT, options.connections, options.seconds);
}

/** Throws unless every answer has the wanted status. */
async function measure(
  running: Running,
  name: string,
  plan: LoadPlan,
  wanted = 201,
): Promise<Phase> {
  const { redis, shop } = running;
  const [redisBefore, engineBefore] = [await readRedis(redis), await readEngine(shop.url)];
  const load = await generateLoad(plan);
  const [redisAfter, engineAfter] = [await readRedis(redis), await readEngine(shop.url)];
  const others = Object.entries(load.byStatus).filter(([status]) => Number(status) !== wanted);
  if (others.length > 0) {
    throw new Error(`${name}: wanted ${wanted} alone, got ${JSON.stringify(load.byStatus)}`);
  }
  if (wanted === 201) running.answered += load.answers;
  return {
    name,
    load,
    redisUs: (redisAfter.cpuUs - redisBefore.cpuUs) / load.answers,
    engineUs: (engineAfter.cpuUs - engineBefore.cpuUs) / load.answers,
    batches: batchesBetween(engineBefore.batches, engineAfter.batches),
    engineRssBytes: engineAfter.rssBytes,
    redisRssBytes: redisAfter.rssBytes,
    profile: profileOf(redisBefore, redisAfter, load.answers),
  };
}

async function auditAll({ shop, answered }: Running): Promise<HotSkuAudit> {
  await shop.whenPersisted();
  const engine: EngineReading = await readEngine(shop.url);
  const counted =
    outcomesBetween({ ...engine, outcomes: new Map() }, engine).get('reserve created') ?? 0;
  const { available, reserved } = await shop.balances(HOT);
  const differences = await shop.audit();
  const isExact = available + reserved === UNITS && available >= 0;
  // One unit more was counted: the one that sold the other SKU out. What the other generators
  // bought is not among `answered`, so the engine counts more than our own heard, never less.
  const isCounted = reserved === counted - 1 && answered <= reserved;
  return {
    received: UNITS,
    answered,
    counted: counted - 1,
    reserved,
    available,
    differences,
    ok: isExact && isCounted && differences.length === 0,
  };
}
