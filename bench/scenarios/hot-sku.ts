/**
 * One hot SKU over HTTP: engine, load generator and Redis each in a process of its own.
 *
 * The engine and Redis are measured alone first, with the persister stopped, because that is what a
 * reservation costs them; then the persister catches up, which shows its own speed; then all of it
 * runs at once. Every unit that was answered as reserved is looked for in the end.
 */
import { atLeast, atMost, type BudgetRow } from '../budgets.ts';
import { defineScenario, type Findings } from '../define-scenario.ts';
import {
  type CheckResult,
  crossCheck,
  crossCheckOpen,
  installWrk,
  type OpenCheckResult,
} from '../measure/cross-check.ts';
import { differenceWords } from '../measure/difference-words.ts';
import { countCreated } from '../measure/engine-metrics.ts';
import { generateLoad } from '../measure/load.ts';
import { redisProfile } from '../measure/redis-cpu.ts';
import type { LoadPlan } from '../measure/wire-load.ts';
import { cpuUsPerAnswer, perSecond, redisUsPerAnswer, requireStatus } from '../phase.ts';
import type { AuditReport, Bench, Fact, Phase, ReportTable, World } from '../scenario.ts';
import { openRate } from './pace.ts';

export interface HotSkuSize {
  readonly connections: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /**
   * Of the open loop: its first 0.3 s are late, while V8's helper threads of engine and generator compile and
   * collect on the same two cores; to warm the generator alone, on a server of its own, did not help.
   */
  readonly openWarmUpSeconds: number;
  /** Of the open loop, requests a second: the design's. What the closed loop cannot carry is lowered. */
  readonly rate: number;
}

/** The design's 40,000 a second are two thirds of the 60,000 that the closed loop is to carry. */
const OPEN_OF_CLOSED = 2 / 3;
const UNITS = 500_000_000;
const HOT = 'HOT';
const SOLD_OUT = 'GONE';
/** A reserve over HTTP against a handler of the same server that does nothing. */
const OF_EMPTY_HANDLER = 4;
const REJECTIONS_OF_EMPTY_HANDLER = 0.3;

export const hotSku = defineScenario<HotSkuSize>({
  name: 'hot-sku',
  about: 'one SKU over HTTP: throughput, latency at a fixed rate, CPU, rejections, the persister',
  runs: 'always',
  fullSeconds: 193,
  full: { connections: 256, seconds: 10, warmUpSeconds: 5, openWarmUpSeconds: 2, rate: 40_000 },
  quick: { seconds: 0.6, warmUpSeconds: 0.6, openWarmUpSeconds: 0.2 },
  prepare: ({ onProgress }) => installWrk(onProgress),
  run,
});

interface Running {
  readonly world: World;
  readonly size: HotSkuSize;
  readonly onProgress: Bench['onProgress'];
  /** Answers 201 so far. */
  answered: number;
}

interface Alone {
  readonly closed: Phase;
  /** The same from other generators. */
  readonly checks: readonly CheckResult[];
  readonly open: Phase;
  readonly openCheck: OpenCheckResult;
  readonly soldOut: Phase;
  /** A handler that answers at once, on the same server. */
  readonly empty: Phase;
}

/** The persister on what the phases before have left it. */
interface Drain {
  readonly events: number;
  readonly seconds: number;
}

async function run(bench: Bench, size: HotSkuSize): Promise<Findings> {
  const { onProgress } = bench;
  // Of its many reservations no later audit shall be slow.
  const world = await bench.open({ isOwn: true });
  const { shop, persister } = world;
  await shop.receive({ [HOT]: UNITS, [SOLD_OUT]: 1 });
  await shop.buy(SOLD_OUT);
  await shop.whenPersisted();
  await persister.stop();
  const running: Running = { world, size, onProgress, answered: 0 };
  const alone = await measureAlone(running);
  onProgress('the persister catches up');
  const drain = await catchUp(world);
  onProgress('everything at once');
  const together = await measure(running, 'reserves, persister at work', reservePlan(running));
  const backlogEvents = await shop.backlog();
  onProgress('audit');
  const audit = await auditAll(running);
  const { closed, checks, open, openCheck, soldOut, empty } = alone;
  const budgets = budgetsOf(alone, drain, together);
  return {
    phases: [closed, open, together, soldOut, empty],
    facts: [
      { what: 'persister alone, from the log', value: drain.events / drain.seconds, ...RATE },
      { what: 'events behind when the last load ended', value: backlogEvents, unit: '' },
      {
        what: 'rejections : empty handler',
        value: perSecond(soldOut) / perSecond(empty),
        ...RATIO,
      },
      ...checks.flatMap(checkFacts),
      ...openCheckFacts(openCheck),
    ],
    series: [],
    budgets,
    audit,
    tables: whereRedisSpends(closed, budgets),
  };
}

const RATE = { unit: '/s', better: 'higher' } as const;
const RATIO = { unit: 'x', better: 'higher' } as const;

function checkFacts({ generator, requestsPerSecond, errors }: CheckResult): Fact[] {
  const what = `the closed loop from ${generator}`;
  return [
    { what, value: requestsPerSecond, ...RATE },
    ...(errors === 0 ? [] : [{ what: `${what}: errors`, value: errors, unit: '' }]),
  ];
}

function openCheckFacts(check: OpenCheckResult): Fact[] {
  const { generator, requestsPerSecond, p99Ms, errors } = check;
  const what = `the open loop from ${generator}`;
  return [
    { what, value: requestsPerSecond, unit: '/s' },
    { what: `${what}: p99`, value: p99Ms, unit: 'ms' },
    ...(errors === 0 ? [] : [{ what: `${what}: errors`, value: errors, unit: '' }]),
  ];
}

async function measureAlone(running: Running): Promise<Alone> {
  const { size, onProgress, world } = running;
  const { warmUpSeconds, openWarmUpSeconds, connections, seconds, rate: rateMax } = size;
  const { shop } = world;
  const plan = reservePlan(running);
  onProgress('warming up');
  await measure(running, 'warm-up', { ...plan, seconds: warmUpSeconds });
  onProgress('closed loop');
  const closed = await measure(running, 'reserves, closed loop', plan);
  onProgress('the same from other generators');
  const checks = await crossCheck({ ...plan, url: shop.url });
  const rate = openRate(closed, rateMax, OPEN_OF_CLOSED);
  onProgress(`open loop, ${rate} a second`);
  const open = await measure(running, 'reserves, open loop', {
    ...{ ...plan, rate },
    ...{ seconds: openWarmUpSeconds + seconds, warmUpSeconds: openWarmUpSeconds },
  });
  onProgress('the same from another generator');
  const openCheck = await crossCheckOpen({ ...plan, url: shop.url }, rate);
  onProgress('sold out, and a handler that does nothing');
  const soldOutPlan = shop.reservePlan(SOLD_OUT, connections, seconds);
  const soldOut = await measure(running, 'rejections', soldOutPlan, 409);
  const empty = await measure(running, 'empty handler', shop.emptyPlan(connections, seconds), 200);
  return { closed, checks, open, openCheck, soldOut, empty };
}

function reservePlan({ world, size }: Running): LoadPlan {
  return world.shop.reservePlan(HOT, size.connections, size.seconds);
}

/** Throws unless every answer has the wanted status. */
async function measure(
  running: Running,
  name: string,
  plan: LoadPlan,
  wanted = 201,
): Promise<Phase> {
  const { rate } = plan;
  const phase = await running.world.measure(
    name,
    () => generateLoad(plan),
    rate === undefined ? {} : { rate },
  );
  requireStatus(phase, wanted);
  if (wanted === 201) running.answered += phase.load.answers;
  return phase;
}

async function catchUp({ shop, persister }: World): Promise<Drain> {
  const events = await shop.backlog();
  const startMs = performance.now();
  await persister.start();
  await shop.whenPersisted();
  return { events, seconds: (performance.now() - startMs) / 1_000 };
}

async function auditAll({ world, answered }: Running): Promise<AuditReport> {
  const { shop, createdBefore } = world;
  await shop.whenPersisted();
  // One unit more was counted: the one that sold the other SKU out.
  const counted = (await countCreated(shop.url)) - createdBefore - 1;
  const { available, reserved } = await shop.balances(HOT);
  const differences = await shop.audit();
  const isExact = available + reserved === UNITS && available >= 0;
  // What the other generators bought is not among `answered`, so the engine counts more than our
  // own heard, never less.
  const isCounted = reserved === counted && answered <= reserved;
  return {
    ok: isExact && isCounted && differences.length === 0,
    words: [
      `${answered} answers said reserved, the engine counted ${counted}, ${reserved} units are reserved`,
      `${available + reserved} of ${UNITS} units are there`,
      ...differenceWords(differences),
    ],
  };
}

function budgetsOf({ closed, open, soldOut, empty }: Alone, drain: Drain, together: Phase) {
  const engineUs = cpuUsPerAnswer(closed, 'engine');
  const emptyUs = cpuUsPerAnswer(empty, 'engine');
  const ofEmpty = perSecond(soldOut) / perSecond(empty);
  const what = 'an empty handler';
  return [
    atMost('engine CPU of a reservation over HTTP', engineUs, 11, 'us', {
      what,
      measured: emptyUs,
    }),
    atLeast('reserves over HTTP, persister stopped', perSecond(closed), 60_000, '/s', {
      what,
      measured: perSecond(empty),
    }),
    atMost(`p99 at ${open.rate}/s, open loop`, open.load.latency.p99Ms, 10, 'ms'),
    atLeast('persister alone, from the log', drain.events / drain.seconds, 80_000, '/s'),
    atLeast('reserves over HTTP, persister at work', perSecond(together), 40_000, '/s'),
    atLeast('rejections : empty handler', ofEmpty, 0.75, 'goal'),
    atLeast('rejections : empty handler, at the least', ofEmpty, REJECTIONS_OF_EMPTY_HANDLER, 'x'),
    atMost('engine CPU, reserve : empty handler', engineUs / emptyUs, OF_EMPTY_HANDLER, 'x'),
  ];
}

/** Only where the engine's side cannot be the reason. */
function whereRedisSpends(closed: Phase, budgets: readonly BudgetRow[]): ReportTable[] {
  if (budgets.every(({ isMet }) => isMet)) return [];
  const profile = redisProfile(closed.commands, closed.redisThreadUs, closed.load.answers);
  return [
    {
      title: `Where Redis spends its ${redisUsPerAnswer(closed).toFixed(2)} us a reserve, by the clock (not by CPU)`,
      head: ['', 'us'],
      rows: profile.map(({ what, us }) => [what, us.toFixed(2)]),
    },
  ];
}
