/**
 * Several engine processes on one port (`holdfast serve --workers N`): the same closed loop against
 * each number of them, reserves and then rejections of what is sold out, the persister stopped
 * meanwhile. In the end comes the first number again: as far as it is from the first time, so far may
 * the machine alone have moved the others.
 *
 * A worker brings something where it has a core of its own. Where Redis, the stores and the generator
 * are on the same few cores, all that shows is what workers cost: smaller batches, so more of Redis'
 * CPU for each reservation. So the report says how many cores there are.
 *
 * Audited for each number: units received = available + reserved, units reserved = what the engines
 * counted = the 201 that the generator heard (503 and timeouts are the only slack), and
 * Redis, log and PostgreSQL agree.
 */
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { defineScenario, type Findings } from '../define-scenario.ts';
import { countCreated, readEngine, type WorkerReading } from '../measure/engine-metrics.ts';
import { generateLoad } from '../measure/load.ts';
import type { LoadPlan } from '../measure/wire-load.ts';
import { cpuUsPerAnswer, perSecond, redisUsPerAnswer } from '../phase.ts';
import type { AuditReport, Bench, Fact, Phase, ReportTable, World } from '../scenario.ts';
import { refusalFacts } from './pace.ts';
import { equal, noneOf, reportOf } from './unit-audit.ts';

export interface WorkersSize {
  readonly workers: readonly number[];
  readonly connections: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

const UNITS = 500_000_000;
const HOT = 'HOT';
const SOLD_OUT = 'GONE';
/** Of an engine: how often it is asked whether the load's connections are there. */
const LOOK_EVERY_MS = 100;

export const workers = defineScenario<WorkersSize>({
  name: 'workers',
  about: '`serve --workers` 1, 2, 3 on one port: answers a second, CPU of each, how callers spread',
  runs: 'unless quick',
  fullSeconds: 196,
  full: { workers: [1, 2, 3], connections: 256, seconds: 8, warmUpSeconds: 4 },
  quick: { seconds: 0.8, warmUpSeconds: 0.5 },
  run,
});

async function run(bench: Bench, size: WorkersSize): Promise<Findings> {
  const [first] = size.workers;
  if (first === undefined) throw new Error('no number of workers to measure');
  const runs: WorkersRun[] = [];
  for (const count of size.workers)
    runs.push(await measureWorkers(bench, nameOf(count), count, size));
  runs.push(await measureWorkers(bench, `${nameOf(first)}, again`, first, size));
  const phases = runs.flatMap(({ reserves, rejections }) => [reserves, rejections]);
  const cores = { what: CORES, value: availableParallelism(), unit: 'cores' };
  return {
    phases,
    facts: [cores, ...runs.flatMap(factsOf), ...refusalFacts(phases)],
    tables: [tableOf(runs)],
    audit: {
      ok: runs.every(({ audit }) => audit.ok),
      words: runs.flatMap(({ name, audit }) => audit.words.map((each) => `${name}: ${each}`)),
    },
  };
}

const CORES = 'cores that workers, Redis, PostgreSQL and the load generator share';

function nameOf(count: number): string {
  return count === 1 ? '1 worker' : `${count} workers`;
}

interface WorkersRun {
  readonly name: string;
  readonly reserves: Phase;
  readonly rejections: Phase;
  /** Of the reserves; none where one process serves. */
  readonly shares: readonly WorkerShare[];
  readonly audit: AuditReport;
}

interface WorkerShare {
  /** Of the load that it was given; NaN where the system does not tell. */
  readonly connections: number;
  readonly cpuUs: number;
}

async function measureWorkers(
  bench: Bench,
  name: string,
  count: number,
  { connections, seconds, warmUpSeconds }: WorkersSize,
): Promise<WorkersRun> {
  bench.onProgress(`${name}: starting`);
  const world = await bench.open({ workers: count });
  const { shop, persister } = world;
  await shop.receive({ [HOT]: UNITS, [SOLD_OUT]: 1 });
  await shop.buy(SOLD_OUT);
  await shop.whenPersisted();
  await persister.stop();
  bench.onProgress(`${name}: reserves`);
  const plan = shop.reservePlan(HOT, connections, seconds);
  const warmUp = await world.measure('warm-up', () =>
    generateLoad({ ...plan, seconds: warmUpSeconds }),
  );
  const { phase: reserves, shares } = await measureSpread(world, `${name}: reserves`, plan);
  bench.onProgress(`${name}: rejections`);
  const rejectedPlan = shop.reservePlan(SOLD_OUT, connections, seconds);
  const rejections = await world.measure(`${name}: rejections`, () => generateLoad(rejectedPlan));
  bench.onProgress(`${name}: audit`);
  await persister.start();
  const audit = await auditOf(world, [warmUp, reserves], rejections);
  await world.close();
  return { name, reserves, rejections, shares, audit };
}

/** Connections are spread when they are made, and stay where they are. */
async function measureSpread(
  { shop, measure }: World,
  name: string,
  plan: LoadPlan,
): Promise<{ readonly phase: Phase; readonly shares: readonly WorkerShare[] }> {
  const { workers: idle } = await readEngine(shop.url);
  let connected: ReadonlyMap<string, number> = new Map();
  const phase = await measure(name, async () => {
    const load = generateLoad(plan);
    const spread = whenConnected(shop.url, idle, plan.connections, load);
    const result = await load;
    connected = await spread;
    return result;
  });
  const { workers: after } = await readEngine(shop.url);
  const shares = [...idle].map(([worker, before]) => ({
    connections: connected.get(worker) ?? Number.NaN,
    cpuUs: (after.get(worker)?.cpuUs ?? Number.NaN) - before.cpuUs,
  }));
  return { phase, shares };
}

/** Connections of each worker once all are made, or when the load is over: then what was seen last. */
async function whenConnected(
  url: string,
  idle: ReadonlyMap<string, WorkerReading>,
  wanted: number,
  load: Promise<unknown>,
): Promise<ReadonlyMap<string, number>> {
  let isOver = idle.size === 0;
  const end = (): void => {
    isOver = true;
  };
  load.then(end, end);
  let seen = new Map<string, number>();
  while (!isOver) {
    const now = await readEngine(url);
    // What was open while all connections were being closed again tells nothing.
    if (isOver) break;
    seen = new Map(
      [...idle].map(([worker, { openFiles }]) => [
        worker,
        (now.workers.get(worker)?.openFiles ?? Number.NaN) - openFiles,
      ]),
    );
    if ([...seen.values()].reduce((sum, each) => sum + each, 0) >= wanted) break;
    await sleep(LOOK_EVERY_MS);
  }
  return seen;
}

function factsOf({ name, reserves, rejections, shares }: WorkersRun): Fact[] {
  const higher = { unit: '/s', better: 'higher' } as const;
  const lower = { unit: 'us', better: 'lower' } as const;
  const fact = (what: string, value: number, more: Omit<Fact, 'what' | 'value'>): Fact => ({
    ...{ what: `${name}: ${what}`, value },
    ...more,
  });
  const most = (of: (share: WorkerShare) => number): number => Math.max(...shares.map(of));
  const least = (of: (share: WorkerShare) => number): number => Math.min(...shares.map(of));
  return [
    fact('reserves', perSecond(reserves), higher),
    fact('CPU of all engines a reserve', cpuUsPerAnswer(reserves, 'engine'), lower),
    fact('CPU of Redis a reserve', redisUsPerAnswer(reserves), lower),
    fact('operations in a batch', batchMean(reserves), { unit: '' }),
    fact('a reserve, p99', reserves.load.latency.p99Ms, { unit: 'ms', better: 'lower' }),
    fact('rejections', perSecond(rejections), higher),
    fact('CPU of all engines a rejection', cpuUsPerAnswer(rejections, 'engine'), lower),
    fact('cores busy with reserves, all processes', coresBusy(reserves), { unit: 'cores' }),
    ...(shares.length === 0
      ? []
      : [
          fact('connections of the fullest worker', most(connectionsOf), { unit: '' }),
          fact('connections of the emptiest worker', least(connectionsOf), { unit: '' }),
          fact('CPU of the busiest worker : idlest', most(cpuOf) / least(cpuOf), { unit: '' }),
        ]),
  ];
}

function connectionsOf({ connections }: WorkerShare): number {
  return connections;
}

function cpuOf({ cpuUs }: WorkerShare): number {
  return cpuUs;
}

function batchMean({ batches }: Phase): number {
  return batches.sum / batches.count;
}

function coresBusy({ processes, load }: Phase): number {
  return processes.reduce((sum, { cpuUs }) => sum + cpuUs, 0) / 1e6 / load.seconds;
}

function tableOf(runs: readonly WorkersRun[]): ReportTable {
  const us = (value: number): string => value.toFixed(1);
  return {
    title: `Workers on one port; ${availableParallelism()} cores for them, Redis, the stores and the generator`,
    head: [
      ...['', 'reserves/s', 'p99 ms', 'engines, us', 'Redis, us', 'in a batch', 'rejections/s'],
      ...['engines, us', 'connections of each'],
    ],
    rows: runs.map(({ name, reserves, rejections, shares }) => [
      name,
      perSecond(reserves).toFixed(0),
      reserves.load.latency.p99Ms.toFixed(0),
      us(cpuUsPerAnswer(reserves, 'engine')),
      us(redisUsPerAnswer(reserves)),
      batchMean(reserves).toFixed(0),
      perSecond(rejections).toFixed(0),
      us(cpuUsPerAnswer(rejections, 'engine')),
      shares.map(connectionsOf).join(', '),
    ]),
  };
}

async function auditOf(
  { shop }: World,
  sold: readonly Phase[],
  rejections: Phase,
): Promise<AuditReport> {
  await shop.whenPersisted();
  const heard = (phases: readonly Phase[], status: string): number =>
    phases.reduce((sum, { load }) => sum + (load.byStatus[status] ?? 0), 0);
  const held = heard(sold, '201');
  // One more was counted: who bought the last unit of the other SKU.
  const counted = (await countCreated(shop.url)) - 1;
  const hot = await shop.balances(HOT);
  const gone = await shop.balances(SOLD_OUT);
  // Refused as overloaded, or not known.
  const open = heard(sold, '503') + sold.reduce((sum, { load }) => sum + load.timeouts, 0);
  return reportOf([
    equal('answers said reserved', held, 'the engines counted', counted, open),
    equal('units were counted as reserved', counted, 'are reserved', hot.reserved, open),
    equal('units received', UNITS, 'are available or reserved', hot.available + hot.reserved),
    equal('rejections were answered as sold', heard([rejections], '201'), 'should be', 0),
    equal('units of the sold-out SKU are available', gone.available, 'should be', 0),
    equal('units of the sold-out SKU are reserved', gone.reserved, 'should be', 1),
    noneOf(await shop.audit()),
  ]);
}
