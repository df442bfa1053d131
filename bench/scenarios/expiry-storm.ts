/**
 * Very many holds end in the same second, as after a sale that went badly: how long Redis stands in
 * one script meanwhile, how long until their units are back, and what the sweeper costs. Before it, on
 * the same live holds, how soon a single unit is sold again after its deadline.
 *
 * The holds are made by the lane's own scripts; the engine, its sweeper, persister and recovery are
 * processes of their own. Redis is watched by its own slow log and by a process that pings it every
 * millisecond.
 *
 * Audited: afterwards only the holds that live on are reserved, every unit is there, as Redis and
 * PostgreSQL have them; no unit was sold before its deadline; Redis, log and PostgreSQL agree.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CellField, Sku } from '../../engine/domain/ids.ts';
import { atMost } from '../budgets.ts';
import { defineScenario, type Findings } from '../define-scenario.ts';
import { differenceWords } from '../measure/difference-words.ts';
import { drivenLoad } from '../measure/driven-load.ts';
import { skusOf } from '../measure/flows/zipf.ts';
import { joinLane, type LaneSession, reserveOperation } from '../measure/lane-session.ts';
import { skuNames } from '../measure/names.ts';
import type { PingResult } from '../measure/ping-process.ts';
import { startPinger } from '../measure/pinger.ts';
import { type ScriptTimes, timeScripts } from '../measure/script-times.ts';
import { cpuUsPerAnswer, perSecond, redisUsPerAnswer } from '../phase.ts';
import type { AuditReport, Bench, Fact, Phase, ReportTable, World } from '../scenario.ts';
import { measureFlow } from './pace.ts';
import { tallied } from './unit-audit.ts';

export interface StormSize {
  /** Holds that go on through it all. */
  readonly live: number;
  /** Holds that end in one second. */
  readonly expiring: number;
  readonly skus: number;
  /** SKUs of one unit that is sold again, and for how long. */
  readonly resaleSkus: number;
  readonly resaleSeconds: number;
}

/** The design's. */
const BLOCKED_MS_MAX = 10;
const RESALE_MS_MAX = 250;
const BATCH = 512;
const RESALE = 'RESALE';
const WAREHOUSE = 'A' as CellField;
const TTL_MAX_S = 3_600;
/** Redis is watched so long before the deadline. */
const BEFORE_STORM_S = 1;
/** From the moment when all holds should stand to their deadline. */
const REST_S = 3;
/** So much longer than it should take: the fill is held up by others, too. */
const FILL_SLACK = 2;
const POLL_MS = 20;
const STORM_MS_MAX = 300_000;
/** Slower scripts are seen; faster ones would only fill the slow log. */
const SEEN_FROM_US = 500;

export const expiryStorm = defineScenario<StormSize>({
  name: 'expiry-storm',
  about: '200,000 holds end in a second: Redis blocked, time to resale, the sweeper',
  runs: 'always',
  fullSeconds: 82,
  full: {
    live: 1_200_000,
    expiring: 200_000,
    skus: 200,
    resaleSkus: 40,
    resaleSeconds: 25,
  },
  quick: {
    live: 20_000,
    expiring: 30_000,
    skus: 100,
    resaleSkus: 20,
    resaleSeconds: 4,
  },
  run,
});

async function run(bench: Bench, size: StormSize): Promise<Findings> {
  const world = await bench.open({ env: { HOLDFAST_TTL_MAX: String(TTL_MAX_S) } });
  return await measureStorm(world, size, bench.onProgress);
}

async function measureStorm(
  world: World,
  size: StormSize,
  say: (what: string) => void,
): Promise<Findings> {
  const { shop, redis } = world;
  const live = skuNames('LIVE', size.skus);
  const storm = skuNames('STORM', size.skus);
  const resold = skusOf({ prefix: RESALE, count: size.resaleSkus }) as Sku[];
  const each = Math.ceil(size.expiring / size.skus);
  await shop.receive({
    ...unitsOf(live, Math.ceil(size.live / size.skus)),
    // All of it is held until the storm.
    ...unitsOf(storm, each),
    ...unitsOf(resold, 1),
  });
  const session = await joinLane(redis, { batch: BATCH });
  say(`${size.live} holds that live on`);
  const fillMs = await hold(session, live, size.live, () => TTL_MAX_S);
  say('single units, sold again');
  const params = { prefix: RESALE, warehouse: WAREHOUSE, everyMs: 10, beforeMs: 100 };
  const callers = { callers: size.resaleSkus, seconds: size.resaleSeconds };
  const resale = await measureFlow(world, 'sold again', callers, { name: 'resale', params });
  say(`${size.expiring} holds that end together`);
  const endS = endOfHolds(session, (fillMs / size.live) * size.expiring);
  await hold(session, storm, each * size.skus, () => ttlUntil(session, endS));
  say('the storm');
  const seen = await watchStorm(world, session, storm, each * size.skus, endS);
  say('audit');
  const audit = await auditOf(world, session, { live, storm, resold }, size, resale);
  const { phase } = seen;
  return {
    phases: [resale, phase],
    tables: [scriptTable(seen.scripts)],
    facts: [...resaleFacts(resale, size), ...stormFacts(seen)],
    series: [
      { name: 'holds that are still to expire', unit: 'holds', points: seen.left },
      { name: 'longest ping of Redis', unit: 'ms', points: seen.pings.longest },
    ],
    budgets: [
      atMost('expiry to resale, p99', tallied(resale.load, 'resaleP99Ms'), RESALE_MS_MAX, 'ms'),
      atMost(
        `Redis blocked, ${each * size.skus} expire in a second`,
        seen.pings.busy.count > 0 ? seen.pings.busy.maxMs : seen.scripts.longestUs / 1_000,
        BLOCKED_MS_MAX,
        'ms',
      ),
    ],
    audit,
  };
}

function unitsOf(skus: readonly Sku[], units: number): Record<string, number> {
  return Object.fromEntries(skus.map((sku) => [sku, units]));
}

/** Gives how long it took, ms. */
async function hold(
  session: LaneSession,
  skus: readonly Sku[],
  count: number,
  ttlS: () => number,
): Promise<number> {
  const startMs = performance.now();
  await session.submit({
    count,
    wanted: 'created',
    operation: (i) => {
      const sku = skus[i % skus.length];
      if (sku === undefined) throw new RangeError('there is no SKU');
      return reserveOperation(session.makeId(), sku, [WAREHOUSE], ttlS());
    },
  });
  return performance.now() - startMs;
}

/** In seconds of lane time: when holds end that take about so long to make. */
function endOfHolds(session: LaneSession, fillMs: number): number {
  const readyMs = session.lane.nowMs() + fillMs * FILL_SLACK;
  return Math.ceil(readyMs / 1_000) + REST_S;
}

/** A deadline is rounded up to the second; what is made too late ends a second later. */
function ttlUntil({ lane }: LaneSession, endS: number): number {
  return Math.max(1, endS - Math.ceil(lane.nowMs() / 1_000));
}

interface SeenStorm {
  readonly phase: Phase;
  readonly scripts: ScriptTimes;
  readonly pings: PingResult;
  /** Holds that are left, by seconds since the watch began. */
  readonly left: readonly (readonly [atS: number, holds: number])[];
  /** From the deadline until all units, and 99 of 100, were back. */
  readonly allBackMs: number;
  readonly mostBackMs: number;
}

async function watchStorm(
  world: World,
  session: LaneSession,
  skus: readonly Sku[],
  holds: number,
  endS: number,
): Promise<SeenStorm> {
  const left: [number, number][] = [];
  const backMs = { most: Number.NaN, all: Number.NaN };
  const pinger = await startPinger(world.redis, world.env.REDIS_URL ?? '');
  await sleep(Math.max(0, (endS - BEFORE_STORM_S) * 1_000 - session.lane.nowMs()));
  const untilBack = async (): Promise<void> => {
    const startMs = performance.now();
    while (Number.isNaN(backMs.all)) {
      const { reserved } = await session.balances(skus);
      const passedMs = session.lane.nowMs() - endS * 1_000;
      left.push([(performance.now() - startMs) / 1_000, reserved]);
      if (Number.isNaN(backMs.most) && reserved <= holds / 100) backMs.most = passedMs;
      if (reserved === 0) backMs.all = passedMs;
      else if (passedMs > STORM_MS_MAX) throw new Error(`${reserved} holds did not expire`);
      else await sleep(POLL_MS);
    }
  };
  try {
    let scripts: ScriptTimes | undefined;
    const phase = await world.measure('the storm', async () => {
      scripts = await timeScripts(world.redis, SEEN_FROM_US, untilBack);
      return drivenLoad(holds, Math.max(backMs.all, 1) / 1_000);
    });
    if (scripts === undefined) throw new Error('nothing was timed');
    const pings = await pinger.stop();
    return { phase, scripts, pings, left, allBackMs: backMs.all, mostBackMs: backMs.most };
  } finally {
    pinger.kill();
  }
}

function resaleFacts({ load }: Phase, size: StormSize): Fact[] {
  const ms = (what: string, value: number): Fact => ({
    what: `expiry to resale, ${what}`,
    value,
    unit: 'ms',
    better: 'lower',
  });
  return [
    { what: 'holds that live meanwhile', value: size.live, unit: 'holds' },
    ms('p50', tallied(load, 'resaleP50Ms')),
    ms('p99', tallied(load, 'resaleP99Ms')),
    ms('longest', tallied(load, 'resaleMaxMs')),
    { what: 'units that were sold again', value: tallied(load, 'resold'), unit: '' },
    { what: 'tries until they were', value: load.answers, unit: '' },
  ];
}

function stormFacts({ phase, scripts, pings, allBackMs, mostBackMs }: SeenStorm): Fact[] {
  const lower = (what: string, value: number, unit: string): Fact => ({
    what: `storm: ${what}`,
    value,
    unit,
    better: 'lower',
  });
  return [
    { what: 'storm: holds that expired', value: phase.load.answers, unit: 'holds' },
    lower('99 of 100 units back', mostBackMs, 'ms'),
    lower('all units back', allBackMs, 'ms'),
    { what: 'storm: expired', value: perSecond(phase), unit: '/s', better: 'higher' },
    lower('longest script of Redis, by the clock', scripts.longestUs / 1_000, 'ms'),
    lower('longest work of Redis before a ping, CPU', pings.busy.maxMs, 'ms'),
    lower(`median of scripts over ${SEEN_FROM_US} us`, scripts.p50Us / 1_000, 'ms'),
    lower('ping of Redis, p50', pings.latency.p50Ms, 'ms'),
    lower('ping of Redis, p99', pings.latency.p99Ms, 'ms'),
    lower('ping of Redis, longest', pings.latency.maxMs, 'ms'),
    // What the machine did to the pinger, it did to Redis as well.
    { what: 'storm: the pinger itself late, longest', value: pings.late.maxMs, unit: 'ms' },
    lower('CPU of Redis, a hold', redisUsPerAnswer(phase), 'us'),
    lower('CPU of the sweeper and its engine, a hold', cpuUsPerAnswer(phase, 'engine'), 'us'),
  ];
}

/** What took long, by its name: the sweeper is not the only one who runs scripts. */
function scriptTable({ byName }: ScriptTimes): ReportTable {
  const ms = (us: number): string => (us / 1_000).toFixed(1);
  return {
    title: `Scripts of Redis that took ${SEEN_FROM_US} us or longer during the storm, by the clock`,
    head: ['script', 'how many', 'median, ms', 'longest, ms'],
    rows: [...byName].map(([name, { count, p50Us, longestUs }]) => [
      name,
      String(count),
      ms(p50Us),
      ms(longestUs),
    ]),
  };
}

interface StormSkus {
  readonly live: readonly Sku[];
  readonly storm: readonly Sku[];
  readonly resold: readonly Sku[];
}

async function auditOf(
  { shop, pool }: World,
  session: LaneSession,
  { live, storm, resold }: StormSkus,
  size: StormSize,
  { load }: Phase,
): Promise<AuditReport> {
  await shop.whenPersisted();
  // What was sold again last has expired by now.
  const wanted = size.live;
  const early = tallied(load, 'early');
  const open = tallied(load, 'unknownUnits');
  const units =
    live.length * Math.ceil(size.live / size.skus) +
    storm.length * Math.ceil(size.expiring / size.skus) +
    resold.length;
  const inRedis = await session.balances([...live, ...storm, ...resold]);
  const { rows } = await pool.query<{ units: number; reserved: number }>(
    `SELECT sum(total_qty)::bigint AS units, sum(reserved_qty)::bigint AS reserved FROM inventory`,
  );
  const inPostgres = rows[0] ?? { units: 0, reserved: 0 };
  const differences = await shop.audit();
  return {
    ok:
      inRedis.reserved === wanted &&
      inRedis.available + inRedis.reserved === units &&
      inPostgres.reserved === wanted &&
      inPostgres.units === units &&
      early === 0 &&
      open === 0 &&
      differences.length === 0,
    words: [
      `${wanted} units should still be held, ${inRedis.reserved} are in Redis, ${inPostgres.reserved} in PostgreSQL`,
      `${inRedis.available + inRedis.reserved} of ${units} units are there`,
      `${early} of ${tallied(load, 'resold')} units were sold again before their deadline, ${open} tries were not answered`,
      ...differenceWords(differences),
    ],
  };
}
