/**
 * How many reserves a second go through to PostgreSQL for as long as one likes: over HTTP, Redis, the
 * log and the persister, with all of them at work, once with the log embedded in Redis and once with
 * Kafka. Rates are tried in an open loop; a rate is carried when every request was answered 201 in
 * time and the backlog (units that Redis holds and PostgreSQL does not know of) did not grow.
 *
 * Audited for each log: units received = available + reserved, units reserved = the 201 that the
 * generator heard = what the engine counted, and Redis, log and PostgreSQL agree.
 *
 * The search begins at what PostgreSQL took while a closed loop pressed. A table says of each phase
 * what it cost and, of a rate that was not carried, what gave way: where all cores are busy it is the
 * machine, and the CPU of each process an event says what would have to become cheaper.
 */
import { availableParallelism } from 'node:os';
import { atLeast, type BudgetRow } from '../budgets.ts';
import { defineScenario, type Findings } from '../define-scenario.ts';
import { differenceWords } from '../measure/difference-words.ts';
import { countCreated } from '../measure/engine-metrics.ts';
import { findHighestRate } from '../measure/highest-rate.ts';
import { generateLoad } from '../measure/load.ts';
import {
  growthPerSecond,
  type LagSample,
  lowestAtLast,
  watchLag,
} from '../measure/persistence-lag.ts';
import { databaseBytes, logBytesPerEvent } from '../measure/stored-bytes.ts';
import { perSecond } from '../phase.ts';
import type { AuditReport, Bench, Fact, Phase, ReportTable, Series, World } from '../scenario.ts';

export interface PipelineSize {
  readonly connections: number;
  /** Of each rate that is tried, and of the closed loop before. */
  readonly seconds: number;
  /** A cold relay, broker and persister cost several times what they cost later. */
  readonly warmUpSeconds: number;
  readonly tries: number;
  readonly logs: readonly LogKind[];
}

type LogKind = 'embedded' | 'kafka';

const LOGS = ['embedded', 'kafka'] as const;
/** The design's, in events a second. */
const BUDGETS: Readonly<Record<LogKind, number>> = { embedded: 40_000, kafka: 30_000 };
const HOT = 'HOT';
const WAREHOUSE = 'A';
const UNITS = 500_000_000;
/** 256 callers that wait for each other, as a closed loop has them, do not fill the cores. */
const MOST_OF_CLOSED = 1.3;
const RATE_STEP = 250;
/** In it queues fill and the persister's first batch is written. */
const SETTLING = 0.25;
/** A backlog that grows by a smaller part of the rate is flat as far as so short a time can tell. */
const GROWTH_MAX = 0.03;
/** PostgreSQL that comes so near to Redis again and again keeps up, seconds of the rate. */
const NEAR_S = 0.2;
/** Of what was due, answered within the time: the rest waits in a queue that grows. */
const ANSWERED_MIN = 0.98;
/** The last answers come so late at the most, seconds. */
const LATE_S = 0.25;

export const fullPipeline = defineScenario<PipelineSize>({
  name: 'full-pipeline',
  about: 'the rate at which the backlog to PostgreSQL stays flat, log embedded and with Kafka',
  runs: 'unless quick',
  fullSeconds: 301,
  full: { connections: 256, seconds: 8, warmUpSeconds: 30, tries: 5, logs: LOGS },
  quick: { seconds: 1, warmUpSeconds: 3, tries: 2 },
  run,
});

async function run(bench: Bench, size: PipelineSize): Promise<Findings> {
  const runs: PipelineRun[] = [];
  for (const log of size.logs) {
    bench.onProgress(`${log}: starting`);
    const world = await bench.open({ log });
    try {
      runs.push(await measurePipeline(world, log, size, bench.onProgress));
    } finally {
      await world.close();
    }
  }
  return {
    phases: runs.flatMap(({ phases }) => phases),
    facts: runs.flatMap(factsOf),
    series: runs.flatMap(seriesOf),
    budgets: runs.map(budgetOf),
    tables: runs.map(tableOf),
    audit: {
      ok: runs.every(({ audit }) => audit.ok),
      words: runs.flatMap(({ log, audit }) => audit.words.map((each) => `${log}: ${each}`)),
    },
  };
}

interface PipelineRun {
  readonly log: LogKind;
  /** 0: none of the rates that were tried was carried. */
  readonly sustained: number;
  /** Events that PostgreSQL took a second while a closed loop sent as many as it could. */
  readonly through: number;
  readonly phases: readonly Phase[];
  readonly seen: readonly Loaded[];
  /** Of the sustained rate; else of the closed loop. */
  readonly shown: Phase;
  readonly lagMsMax: number;
  readonly samples: readonly LagSample[];
  /** Of an event. */
  readonly storedBytes: { readonly log: number; readonly postgres: number };
  readonly audit: AuditReport;
}

/** A phase, and how PostgreSQL came along with it. */
interface Loaded {
  readonly phase: Phase;
  /** Events a second that PostgreSQL took. */
  readonly persisted: number;
  readonly lagMsMax: number;
  /** Why its rate does not count as carried; undefined: it was, or it was a closed loop. */
  readonly gaveWay: string | undefined;
}

async function measurePipeline(
  world: World,
  log: LogKind,
  { connections, seconds, warmUpSeconds, tries }: PipelineSize,
  say: (what: string) => void,
): Promise<PipelineRun> {
  const { shop, redis, pool } = world;
  await shop.receive({ [HOT]: UNITS });
  await shop.whenPersisted();
  const bytesBefore = await databaseBytes(pool);
  const watch = watchLag({ redis, pool, sku: HOT, warehouse: WAREHOUSE });
  const seen: Loaded[] = [];
  // Names are the same in each run, so that runs can be compared; the rate is a phase's own word.
  const load = async (name: string, lasting: number, rate?: number): Promise<Loaded> => {
    await shop.whenPersisted();
    say(rate === undefined ? name : `${name}, ${rate}/s`);
    const from = watch.samples().length;
    const plan = shop.reservePlan(HOT, connections, lasting);
    const wanted = { ...plan, ...(rate !== undefined && { rate, drainMs: lasting * 1_000 }) };
    const options = rate === undefined ? {} : { rate };
    const phase = await world.measure(name, () => generateLoad(wanted), options);
    const during = watch.samples().slice(from);
    const loaded: Loaded = {
      ...{ phase, persisted: persistedPerSecond(during), lagMsMax: lagOf(during) },
      gaveWay: rate === undefined ? undefined : whatGaveWay(phase, rate, during, lasting),
    };
    seen.push(loaded);
    return loaded;
  };
  try {
    await load(`${log}: warm-up`, warmUpSeconds);
    const closed = await load(`${log}: closed loop`, seconds);
    const through = closed.persisted;
    let shown = closed;
    const sustained = await findHighestRate(
      {
        most: perSecond(closed.phase) * MOST_OF_CLOSED,
        ...(Number.isFinite(through) && { first: through }),
        tries,
        step: RATE_STEP,
      },
      async (rate) => {
        const tried = await load(`${log}: open loop, try ${seen.length - 1}`, seconds, rate);
        if (tried.gaveWay !== undefined) return false;
        shown = tried;
        return true;
      },
    );
    say(`${log}: audit`);
    const phases = seen.map(({ phase }) => phase);
    const answered = phases.reduce((sum, phase) => sum + (phase.load.byStatus['201'] ?? 0), 0);
    const audit = await auditOf(world, answered);
    const samples = watch.samples();
    const storedBytes = {
      log: await logBytesPerEvent(redis),
      postgres: ((await databaseBytes(pool)) - bytesBefore) / answered,
    };
    const { phase: best, lagMsMax } = shown;
    return {
      ...{ log, sustained, through, phases, seen, shown: best, lagMsMax },
      ...{ samples, storedBytes, audit },
    };
  } finally {
    await watch.stop();
  }
}

/**
 * Why a rate was not carried; undefined: it was. `during`: samples of the phase, and of the time
 * until the generator's process had ended.
 */
function whatGaveWay(
  { load }: Phase,
  rate: number,
  during: readonly LagSample[],
  seconds: number,
): string | undefined {
  const startS = firstEventAt(during);
  const loaded = during.filter(({ atS }) => atS <= startS + seconds);
  const growth = growthPerSecond(loaded, startS + seconds * SETTLING);
  const isFlat = growth <= rate * GROWTH_MAX || lowestAtLast(loaded) <= rate * NEAR_S;
  const accepted = load.byStatus['201'] ?? 0;
  if (accepted < rate * seconds * ANSWERED_MIN) return 'the engine did not accept all';
  // A queue that grows is answered late, when the load has ended.
  if (load.seconds > seconds / ANSWERED_MIN + LATE_S) return 'the engine answered late';
  return isFlat ? undefined : 'PostgreSQL fell behind';
}

/** The generator is a process that has to start before it sends. */
function firstEventAt(during: readonly LagSample[]): number {
  const begun = during.find(({ events }) => events > 0) ?? during[0];
  return begun?.atS ?? 0;
}

function persistedPerSecond(samples: readonly LagSample[]): number {
  const loaded = samples.filter(({ events }) => events > 0);
  const [first] = loaded;
  const last = loaded.at(-1);
  if (first === undefined || last === undefined || last === first) return Number.NaN;
  return (last.persisted - first.persisted) / (last.atS - first.atS);
}

function lagOf(samples: readonly LagSample[]): number {
  return samples.reduce((most, { lagMs }) => Math.max(most, lagMs), 0);
}

async function auditOf({ shop }: World, answered: number): Promise<AuditReport> {
  await shop.whenPersisted();
  const counted = await countCreated(shop.url);
  const { available, reserved } = await shop.balances(HOT);
  const differences = await shop.audit();
  return {
    ok:
      answered === counted &&
      reserved === counted &&
      available + reserved === UNITS &&
      differences.length === 0,
    words: [
      `${answered} answers said reserved, the engine counted ${counted}, ${reserved} units are reserved`,
      `${available + reserved} of ${UNITS} units are there`,
      ...differenceWords(differences),
    ],
  };
}

function factsOf(run: PipelineRun): Fact[] {
  const { log, sustained, through, shown, lagMsMax, storedBytes } = run;
  const bytes = { unit: 'bytes', better: 'lower' } as const;
  const events = shown.load.answers;
  const total = shown.processes.reduce((sum, { cpuUs }) => sum + cpuUs, 0);
  const at = sustained > 0 ? `${sustained}/s` : 'in the closed loop';
  return [
    { what: `${log}: sustained`, value: sustained, unit: '/s', better: 'higher' },
    {
      what: `${log}: into PostgreSQL under a closed loop`,
      value: through,
      unit: '/s',
      better: 'higher',
    },
    // Kafka has what was trimmed off the stream.
    ...(Number.isNaN(storedBytes.log)
      ? []
      : [{ what: `${log}: bytes of the log an event`, value: storedBytes.log, ...bytes }]),
    { what: `${log}: bytes of PostgreSQL an event`, value: storedBytes.postgres, ...bytes },
    { what: `${log}: longest lag of PostgreSQL, ${at}`, value: lagMsMax, unit: 'ms' },
    ...shown.processes.map(
      ({ name, cpuUs }): Fact => ({
        what: `${log}: CPU of ${name} an event`,
        value: cpuUs / events,
        unit: 'us',
        better: 'lower',
      }),
    ),
    {
      what: `${log}: CPU of all together an event`,
      value: total / events,
      unit: 'us',
      better: 'lower',
    },
    {
      what: `${log}: cores busy with it, ${at}`,
      value: total / 1e6 / shown.load.seconds,
      unit: 'cores',
    },
  ];
}

function tableOf({ log, seen }: PipelineRun): ReportTable {
  const names = seen[0]?.phase.processes.map(({ name }) => name) ?? [];
  return {
    title: `${log}: what each phase took of ${availableParallelism()} cores, us of CPU an answer`,
    head: ['phase', 'due/s', 'answers/s', 'into PostgreSQL/s', 'cores', ...names, 'gave way'],
    rows: seen.map(({ phase, persisted, gaveWay }) => {
      const { load, processes, rate } = phase;
      const cpuUs = names.map((name) => processes.find((each) => each.name === name)?.cpuUs ?? 0);
      const total = cpuUs.reduce((sum, us) => sum + us, 0);
      return [
        phase.name.slice(log.length + 2),
        rate === undefined ? '' : String(rate),
        perSecond(phase).toFixed(0),
        persisted.toFixed(0),
        (total / 1e6 / load.seconds).toFixed(2),
        ...cpuUs.map((us) => (us / load.answers).toFixed(1)),
        gaveWay ?? '',
      ];
    }),
  };
}

function budgetOf({ log, sustained }: PipelineRun): BudgetRow {
  return atLeast(`through to PostgreSQL, backlog flat, ${log}`, sustained, BUDGETS[log], '/s');
}

function seriesOf({ log, samples }: PipelineRun): Series[] {
  return [
    {
      name: `${log}: backlog to PostgreSQL`,
      unit: 'events',
      points: samples.map(({ atS, events }) => [atS, events]),
    },
    {
      name: `${log}: lag of PostgreSQL`,
      unit: 'ms',
      points: samples.map(({ atS, lagMs }) => [atS, lagMs]),
    },
  ];
}
