/**
 * How many reserves a second go through to PostgreSQL for as long as one likes: over HTTP, Redis, the
 * log and the persister, with all of them at work, once with the log embedded in Redis and once with
 * Kafka. Rates are tried in an open loop; a rate is carried when every request was answered 201 in
 * time and the backlog (units that Redis holds and PostgreSQL does not know of) did not grow.
 *
 * Audited for each log: units received = available + reserved, units reserved = the 201 that the
 * generator heard = what the engine counted, and Redis, log and PostgreSQL agree.
 */
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
import type { AuditReport, Bench, Fact, Phase, Series, World } from '../scenario.ts';

export interface PipelineSize {
  readonly connections: number;
  /** Of each rate that is tried, and of the closed loop before. */
  readonly seconds: number;
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
  full: { connections: 256, seconds: 8, tries: 5, logs: LOGS },
  quick: { seconds: 1, tries: 2 },
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
  /** Of the sustained rate; else of the closed loop. */
  readonly shown: Phase;
  readonly lagMsMax: number;
  readonly samples: readonly LagSample[];
  /** Of an event. */
  readonly storedBytes: { readonly log: number; readonly postgres: number };
  readonly audit: AuditReport;
}

async function measurePipeline(
  world: World,
  log: LogKind,
  { connections, seconds, tries }: PipelineSize,
  say: (what: string) => void,
): Promise<PipelineRun> {
  const { shop, redis, pool } = world;
  await shop.receive({ [HOT]: UNITS });
  await shop.whenPersisted();
  const bytesBefore = await databaseBytes(pool);
  const watch = watchLag({ redis, pool, sku: HOT, warehouse: WAREHOUSE });
  const seen = { phases: [] as Phase[], answered: 0 };
  const plan = shop.reservePlan(HOT, connections, seconds);
  const load = async (name: string, rate?: number): Promise<Phase> => {
    say(rate === undefined ? name : `${name}, ${rate}/s`);
    const wanted = { ...plan, ...(rate !== undefined && { rate, drainMs: seconds * 1_000 }) };
    const options = rate === undefined ? {} : { rate };
    const phase = await world.measure(name, () => generateLoad(wanted), options);
    seen.answered += phase.load.byStatus['201'] ?? 0;
    seen.phases.push(phase);
    return phase;
  };
  try {
    await load(`${log}: warm-up`);
    let tried = 0;
    await shop.whenPersisted();
    const from = watch.samples().length;
    const closed = await load(`${log}: closed loop`);
    const through = persistedPerSecond(watch.samples().slice(from));
    let shown = closed;
    let lagMsMax = lagOf(watch.samples().slice(from));
    const sustained = await findHighestRate(
      { most: perSecond(closed), tries, step: RATE_STEP },
      async (rate) => {
        await shop.whenPersisted();
        const first = watch.samples().length;
        // The rate is the phase's own word; a name that is the same in each run can be compared.
        const phase = await load(`${log}: open loop, try ${++tried}`, rate);
        const during = watch.samples().slice(first);
        if (!isCarried(phase, rate, during, seconds)) return false;
        shown = phase;
        lagMsMax = lagOf(during);
        return true;
      },
    );
    say(`${log}: audit`);
    const audit = await auditOf(world, seen.answered);
    const { phases, answered } = seen;
    const samples = watch.samples();
    const storedBytes = {
      log: await logBytesPerEvent(redis),
      postgres: ((await databaseBytes(pool)) - bytesBefore) / answered,
    };
    return { log, sustained, through, phases, shown, lagMsMax, samples, storedBytes, audit };
  } finally {
    await watch.stop();
  }
}

/** `during`: samples of the phase, and of the time until the generator's process had ended. */
function isCarried(
  { load }: Phase,
  rate: number,
  during: readonly LagSample[],
  seconds: number,
): boolean {
  const startS = firstEventAt(during);
  const loaded = during.filter(({ atS }) => atS <= startS + seconds);
  const growth = growthPerSecond(loaded, startS + seconds * SETTLING);
  const isFlat = growth <= rate * GROWTH_MAX || lowestAtLast(loaded) <= rate * NEAR_S;
  const accepted = load.byStatus['201'] ?? 0;
  // A queue that grows is answered late, when the load has ended.
  const isInTime = load.seconds <= seconds / ANSWERED_MIN + LATE_S;
  return accepted >= rate * seconds * ANSWERED_MIN && isInTime && isFlat;
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
