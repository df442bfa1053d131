/**
 * More than the engine can do, in an open loop: 3 and 10 times its own peak, for a minute each.
 *
 * Twice: on a lane made small on purpose (batches of 4 over a wire that is 10 ms long), because on
 * few cores only that can be sent ten times as much; and on the lane as it is, where HTTP is what gives
 * way first, on cores that it shares with the generator, and most of who is due finds no free
 * connection: so only the first decides. Accepted is what was answered 201; the rest must be 503.
 *
 * A shopper who finds no free connection leaves after PATIENCE_MS, and counts as never sent: not as
 * accepted, so it is missing from the goodput. All connections are under way soon, at many times the
 * peak; would all wait for one (as in the other scenarios), the queue of the generator would be what
 * is measured, which grows for as long as the load lasts and tells nothing of the engine: a real
 * crowd opens more connections or leaves. Who is sent counts from the time at which it was due.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Network } from '../../engine/testing/faults/network.ts';
import { atLeast, atMost, type BudgetRow } from '../budgets.ts';
import { defineScenario, type Findings } from '../define-scenario.ts';
import { differenceWords } from '../measure/difference-words.ts';
import { countCreated, readEngine } from '../measure/engine-metrics.ts';
import { generateLoad } from '../measure/load.ts';
import type { LoadPlan, LoadResult } from '../measure/wire-load.ts';
import type { AuditReport, Bench, Fact, Phase, Series, World } from '../scenario.ts';

interface OverloadSize {
  readonly warmUpS: number;
  readonly peakS: number;
  readonly overloadS: number;
}

interface Place {
  readonly name: 'small lane' | 'whole machine';
  /** Of the closed loop that finds the peak. */
  readonly callers: number;
  readonly env: Readonly<Record<string, string>>;
}

interface Overload {
  readonly times: number;
  readonly phase: Phase;
  /** From the end of the generator to the first of RECOVERED_ANSWERS accepted ones in a row. */
  readonly recoveryMs: number;
  readonly rss: Series;
}

interface PlaceReport {
  readonly name: Place['name'];
  readonly peak: Phase;
  readonly overloads: readonly Overload[];
  readonly audit: AuditReport;
}

const TIMES = [3, 10];
const UNITS = 500_000_000;
const SKU = 'HOT';
/**
 * Near the turns of a busy event loop, so that it is the wire that bounds the lane; both ways and the
 * wait that is allowed in the queue (50 ms) must leave room below the budget of 100.
 */
const WIRE_MS = 10;
const SMALL_BATCH = 4;
/** More than the two batches that are on their way, fewer than the lane would refuse. */
const SMALL_CALLERS = 16;
const WHOLE_CALLERS = 256;
/** Of the open loop: more than rate x wait, so that the generator is not what waits. */
const OPEN_CALLERS = 1_000;
/** What the generator could not send by then is counted as unsent. */
const DRAIN_MS = 500;
/** Some turns of the generator, so that its own being late is no shopper's leaving. */
const PATIENCE_MS = 10;
const RSS_EVERY_MS = 250;
const RECOVERED_ANSWERS = 20;
const RECOVERY_MS_MAX = 30_000;

export const overload = defineScenario<OverloadSize>({
  name: 'overload',
  about:
    '3 and 10 times what the lane can do: goodput, latency of what is accepted, memory, recovery',
  runs: 'unless quick',
  fullSeconds: 538,
  // The peak as long as an overload: PostgreSQL gets dearer as tables and its log grow.
  full: { warmUpS: 5, peakS: 60, overloadS: 60 },
  quick: { warmUpS: 0.5, peakS: 1.5, overloadS: 2 },
  async run(bench, size) {
    const small = await onSmallLane(bench, size);
    const place: Place = { name: 'whole machine', callers: WHOLE_CALLERS, env: {} };
    return findingsOf([small, await measurePlace(bench, place, size)], bench.quick);
  },
});

async function onSmallLane(bench: Bench, size: OverloadSize): Promise<PlaceReport> {
  const network = new Network();
  try {
    const { host, port } = await network.front({
      party: 'redis',
      upstream: await whereRedisIs(bench),
      identify: () => 'engine',
    });
    network.delay(['engine'], ['redis'], WIRE_MS);
    network.delay(['redis'], ['engine'], WIRE_MS);
    const env = {
      REDIS_URL: `redis://${host}:${port}`,
      HOLDFAST_BATCH_OPERATIONS: String(SMALL_BATCH),
      HOLDFAST_SETTINGS_CHECK: 'warn',
    };
    return await measurePlace(bench, { name: 'small lane', callers: SMALL_CALLERS, env }, size);
  } finally {
    await network.close();
  }
}

/** The servers of a run stay where they are from one world to the next. */
async function whereRedisIs(bench: Bench): Promise<{ host: string; port: number }> {
  const stores = await bench.openStores();
  const { hostname, port } = new URL(stores.env.REDIS_URL ?? '');
  await stores.close();
  return { host: hostname, port: Number(port) };
}

async function measurePlace(bench: Bench, place: Place, size: OverloadSize): Promise<PlaceReport> {
  const world = await bench.open({ env: place.env });
  try {
    const say = (what: string): void => bench.onProgress(`overload, ${place.name}: ${what}`);
    await world.shop.receive({ [SKU]: UNITS });
    const closed = (seconds: number): LoadPlan =>
      world.shop.reservePlan(SKU, place.callers, seconds);
    say('its peak');
    await generateLoad(closed(size.warmUpS));
    const name = `${place.name}, peak, closed loop`;
    const peak = await world.measure(name, () => generateLoad(closed(size.peakS)));
    const overloads: Overload[] = [];
    for (const times of TIMES) {
      const rate = Math.round(acceptedPerSecond(peak) * times);
      say(`${times} times that, ${rate} a second`);
      overloads.push(await overwhelm(world, place, times, rate, size.overloadS));
    }
    say('audit');
    const audit = await auditOf(world, [peak, ...overloads.map(({ phase }) => phase)]);
    return { name: place.name, peak, overloads, audit };
  } finally {
    await world.close();
  }
}

async function overwhelm(
  world: World,
  { name: where }: Place,
  times: number,
  rate: number,
  seconds: number,
): Promise<Overload> {
  const plan = {
    ...world.shop.reservePlan(SKU, OPEN_CALLERS, seconds),
    ...{ rate, drainMs: DRAIN_MS, patienceMs: PATIENCE_MS },
  };
  const name = `${where}, ${times} x`;
  const watch = watchMemory(world.shop.url);
  let recoveryMs = Number.NaN;
  const load = async (): Promise<LoadResult> => {
    const result = await generateLoad(plan);
    recoveryMs = await untilRecovered(world);
    return result;
  };
  // It must not outlive a load that broke off.
  const phase = await world.measure(name, load, { rate }).finally(() => watch.end());
  const points = await watch.points();
  return { times, phase, recoveryMs, rss: { name: `${name}: memory`, unit: 'MB', points } };
}

interface MemoryWatch {
  end(): void;
  /** All, once it has ended; rejects with what it could not read. */
  points(): Promise<Series['points']>;
}

function watchMemory(url: string): MemoryWatch {
  const startMs = performance.now();
  const points: [atS: number, mb: number][] = [];
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      const { rssBytes } = await readEngine(url);
      points.push([(performance.now() - startMs) / 1_000, rssBytes / 1e6]);
      await sleep(RSS_EVERY_MS);
    }
  })();
  // Who asks for the points hears of it; until then it must not end the process.
  watching.catch(() => undefined);
  return {
    end() {
      isOver = true;
    },
    async points() {
      await watching;
      return points;
    },
  };
}

/** One request after the other, as a shopper comes who knows nothing of the crowd before. */
async function untilRecovered(world: World): Promise<number> {
  const startMs = performance.now();
  let inRow = 0;
  let sinceMs = startMs;
  while (inRow < RECOVERED_ANSWERS) {
    const askedMs = performance.now();
    if (askedMs - startMs > RECOVERY_MS_MAX) return Number.POSITIVE_INFINITY;
    const isAccepted = await world.shop.buy(SKU).then(
      () => true,
      () => false,
    );
    if (!isAccepted) inRow = 0;
    else if (inRow++ === 0) sinceMs = performance.now();
  }
  return sinceMs - startMs;
}

function acceptedPerSecond({ load }: Phase): number {
  return (load.byStatus[201] ?? 0) / load.seconds;
}

function acceptedP99Ms({ load }: Phase): number {
  return Math.max(...Object.values(load.byLabel).map(({ accepted }) => accepted.p99Ms));
}

function sentP99Ms({ load }: Phase): number {
  const labels = Object.values(load.byLabel);
  return Math.max(...labels.map(({ acceptedSinceSent }) => acceptedSinceSent.p99Ms));
}

/** The last quarter of the time against the second one: what was needed once is there by then. */
function growth({ points }: Series): number {
  const quarter = points.length / 4;
  const mean = (from: number, to: number): number => {
    const piece = points.slice(Math.floor(from), Math.ceil(to));
    return piece.reduce((sum, [, mb]) => sum + mb, 0) / piece.length;
  };
  return mean(3 * quarter, 4 * quarter) / mean(quarter, 2 * quarter);
}

async function auditOf(world: World, phases: readonly Phase[]): Promise<AuditReport> {
  await world.shop.whenPersisted();
  const { available, reserved } = await world.shop.balances(SKU);
  const created = await countCreated(world.shop.url);
  const answered = phases.reduce((sum, { load }) => sum + (load.byStatus[201] ?? 0), 0);
  const differences = await world.shop.audit();
  const strange = phases.flatMap(({ name, load }) =>
    Object.keys(load.byStatus)
      .filter((status) => status !== '201' && status !== '503')
      .map((status) => `${name}: ${load.byStatus[status]} answers ${status}`),
  );
  return {
    ok:
      available + reserved === UNITS &&
      reserved === created &&
      answered <= reserved &&
      differences.length === 0 &&
      strange.length === 0,
    words: [
      `${answered} answers said reserved in the phases, ${created} in all, ${reserved} units are reserved`,
      `${available} + ${reserved} of ${UNITS} units`,
      ...differenceWords(differences),
      ...strange,
    ],
  };
}

function findingsOf(places: readonly PlaceReport[], isQuick: boolean): Findings {
  return {
    phases: places.flatMap(({ peak, overloads }) => [peak, ...overloads.map(({ phase }) => phase)]),
    facts: places.flatMap(factsOf),
    series: places.flatMap(({ overloads }) => overloads.map(({ rss }) => rss)),
    budgets: places.flatMap((place) => budgetsOf(place, isQuick)),
    audit: {
      ok: places.every(({ audit }) => audit.ok),
      words: places.flatMap(({ name, audit }) => audit.words.map((word) => `${name}: ${word}`)),
    },
  };
}

function factsOf({ name, peak, overloads }: PlaceReport): Fact[] {
  const peakFact: Fact = {
    what: `${name}: peak`,
    value: acceptedPerSecond(peak),
    unit: '/s',
    better: 'higher',
  };
  return [
    peakFact,
    ...overloads.flatMap(({ times, phase, recoveryMs }): Fact[] => {
      const what = `${name}, ${times} x`;
      const { load } = phase;
      return [
        { what: `${what}: sent`, value: load.answers / load.seconds, unit: '/s' },
        {
          what: `${what}: accepted`,
          value: acceptedPerSecond(phase),
          unit: '/s',
          better: 'higher',
        },
        {
          what: `${what}: accepted, p99`,
          value: acceptedP99Ms(phase),
          unit: 'ms',
          better: 'lower',
        },
        {
          what: `${what}: accepted, p99 since it was sent`,
          value: sentP99Ms(phase),
          unit: 'ms',
          better: 'lower',
        },
        { what: `${what}: never sent`, value: load.unsent / load.seconds, unit: '/s' },
        { what: `${what}: until it sells again`, value: recoveryMs, unit: 'ms', better: 'lower' },
      ];
    }),
  ];
}

/** Only on the small lane is there room on the cores for what decides, and not in two seconds. */
function budgetsOf({ name, peak, overloads }: PlaceReport, isQuick: boolean): BudgetRow[] {
  const unit = name === 'small lane' && !isQuick ? 'x' : 'goal';
  return overloads.flatMap(({ times, phase, recoveryMs, rss }) => {
    const what = `${name}, ${times} x`;
    const goodput = acceptedPerSecond(phase) / acceptedPerSecond(peak);
    return [
      atLeast(`${what}, accepted : peak`, goodput, 0.8, unit),
      atMost(`${what}, p99 of what is accepted`, acceptedP99Ms(phase), 100, 'ms'),
      atMost(`${what}, memory, last quarter : second`, growth(rss), 1.3, unit),
      atMost(`${what}, until it sells again`, recoveryMs / 1_000, 2, 's'),
    ];
  });
}
