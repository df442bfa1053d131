/**
 * Checkout: a caller reserves a unit, and when it has the answer commits the hold at `logged` (nine of
 * ten) or releases it, then begins again. Over HTTP, everything at work, with few callers and with
 * many, the log embedded and with Kafka. What a pair waits for is mostly the log, so few callers show
 * its latency and many its throughput.
 *
 * Audited for each log: units received = available + reserved + allocated in PostgreSQL; allocated =
 * the commits that were answered, reserved = the holds that were not settled when the load ended (an
 * answer that left open what was done widens both by itself); and Redis, log and PostgreSQL agree.
 */
import { atLeast, atMost, type BudgetRow } from '../budgets.ts';
import { defineScenario, type Findings } from '../define-scenario.ts';
import { differenceWords } from '../measure/difference-words.ts';
import { generateLoad } from '../measure/load.ts';
import type { FlowPlan } from '../measure/wire-load.ts';
import type { AuditReport, Bench, Fact, Phase, World } from '../scenario.ts';

export interface PairsSize {
  readonly callers: readonly number[];
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly logs: readonly LogKind[];
}

type LogKind = 'embedded' | 'kafka';

const LOGS = ['embedded', 'kafka'] as const;
const CALLERS = [64, 1_024] as const;
/** The design's, at 1,024 callers. */
const BUDGET = { callers: 1_024, pairsPerSecond: 15_000, p99Ms: 100 };
const SKUS = 16;
const WAREHOUSE = 'A';
const UNITS = 100_000_000;
const COMMIT_SHARE = 0.9;

export const checkoutPairs = defineScenario<PairsSize>({
  name: 'checkout-pairs',
  about: 'reserve, then commit at `logged` or release; 64 and 1,024 callers, embedded and Kafka',
  runs: 'unless quick',
  fullSeconds: 143,
  full: { callers: CALLERS, seconds: 10, warmUpSeconds: 30, logs: LOGS },
  quick: { seconds: 1, warmUpSeconds: 1 },
  run,
});

async function run(bench: Bench, size: PairsSize): Promise<Findings> {
  const runs: PairsRun[] = [];
  for (const log of size.logs) {
    bench.onProgress(`${log}: starting`);
    // The level that the budget names, whatever the default is.
    const world = await bench.open({ log, env: { HOLDFAST_COMMIT_DURABILITY: 'logged' } });
    try {
      runs.push(await measurePairs(world, log, size, bench));
    } finally {
      await world.close();
    }
  }
  const timed = runs.flatMap(({ timed: each }) => each);
  return {
    phases: timed.map(({ phase }) => phase),
    facts: timed.flatMap(factsOf),
    budgets: timed.flatMap(budgetsOf),
    audit: {
      ok: runs.every(({ audit }) => audit.ok),
      words: runs.flatMap(({ log, audit }) => audit.words.map((each) => `${log}: ${each}`)),
    },
  };
}

interface PairsRun {
  readonly log: LogKind;
  readonly timed: readonly TimedPairs[];
  readonly audit: AuditReport;
}

interface TimedPairs {
  readonly log: LogKind;
  readonly callers: number;
  readonly phase: Phase;
}

async function measurePairs(
  world: World,
  log: LogKind,
  { callers, seconds, warmUpSeconds }: PairsSize,
  { seed, onProgress }: Bench,
): Promise<PairsRun> {
  const skus = Array.from({ length: SKUS }, (_, i) => `PAIR-${i}`);
  await world.shop.receive(Object.fromEntries(skus.map((sku) => [sku, UNITS])));
  await world.shop.whenPersisted();
  const tallies: Tally[] = [];
  const load = async (name: string, count: number, lasting: number): Promise<Phase> => {
    onProgress(name);
    const plan = planOf(world, skus, count, lasting, `${seed}/${name}`);
    const phase = await world.measure(name, () => generateLoad(plan));
    tallies.push(tallyOf(phase));
    return phase;
  };
  await load(`${log}: warm-up`, Math.max(...callers), warmUpSeconds);
  const timed: TimedPairs[] = [];
  for (const count of callers) {
    const phase = await load(`${log}: ${count} callers`, count, seconds);
    timed.push({ log, callers: count, phase });
  }
  onProgress(`${log}: audit`);
  return { log, timed, audit: await auditOf(world, tallies) };
}

function planOf(
  { shop }: World,
  skus: readonly string[],
  callers: number,
  seconds: number,
  seed: string,
): FlowPlan {
  const { hostname: host, port } = new URL(shop.url);
  const params = { seed, skus, warehouse: WAREHOUSE, commitShare: COMMIT_SHARE };
  return {
    ...{ host, port: Number(port), seconds },
    streams: [{ callers, flow: { name: 'pair', params } }],
  };
}

/** What the flow counted (measure/flows/pair.ts). */
interface Tally {
  readonly held: number;
  readonly unknown: number;
  readonly committed: number;
  readonly released: number;
  readonly unsettled: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

function tallyOf({ load: { tally } }: Phase): Tally {
  const of = (name: string): number => tally[name] ?? 0;
  return {
    held: of('held'),
    unknown: of('unknown'),
    committed: of('committed'),
    released: of('released'),
    unsettled: of('unsettled'),
    p50Ms: of('p50Ms'),
    p99Ms: of('p99Ms'),
    p999Ms: of('p999Ms'),
  };
}

function pairsOf(phase: Phase): number {
  const { committed, released } = tallyOf(phase);
  return committed + released;
}

function factsOf({ log, callers, phase }: TimedPairs): Fact[] {
  const { p50Ms, p99Ms, p999Ms, unknown, unsettled } = tallyOf(phase);
  const pairs = pairsOf(phase);
  const cpuUs = phase.processes.reduce((sum, each) => sum + each.cpuUs, 0);
  const what = (of: string): string => `${log}, ${callers} callers: ${of}`;
  const ms = (of: string, value: number): Fact => ({
    what: what(`a pair, ${of}`),
    value,
    unit: 'ms',
    better: 'lower',
  });
  return [
    { what: what('pairs'), value: pairs / phase.load.seconds, unit: '/s', better: 'higher' },
    ms('p50', p50Ms),
    ms('p99', p99Ms),
    ms('p99.9', p999Ms),
    { what: what('CPU of all a pair'), value: cpuUs / pairs, unit: 'us', better: 'lower' },
    { what: what('cores busy'), value: cpuUs / 1e6 / phase.load.seconds, unit: 'cores' },
    ...(unknown + unsettled === 0
      ? []
      : [{ what: what('answers that left it open'), value: unknown + unsettled, unit: '' }]),
  ];
}

function budgetsOf({ log, callers, phase }: TimedPairs): BudgetRow[] {
  if (callers !== BUDGET.callers) return [];
  const rate = pairsOf(phase) / phase.load.seconds;
  return [
    atLeast(`checkout pairs, ${callers} callers, ${log}`, rate, BUDGET.pairsPerSecond, '/s'),
    atMost(
      `checkout pairs, ${callers} callers, ${log}: p99`,
      tallyOf(phase).p99Ms,
      BUDGET.p99Ms,
      'ms',
    ),
  ];
}

async function auditOf({ shop, pool }: World, tallies: readonly Tally[]): Promise<AuditReport> {
  await shop.whenPersisted();
  const sum = (of: (tally: Tally) => number): number =>
    tallies.reduce((total, tally) => total + of(tally), 0);
  const committed = sum((tally) => tally.committed);
  const left = sum((tally) => tally.held - tally.committed - tally.released);
  // A commit that was answered as open may have been done, and a reserve too.
  const isDone = sum((tally) => tally.unsettled);
  const open = sum((tally) => tally.unknown);
  const { rows } = await pool.query<{ units: number; reserved: number; allocated: number }>(
    `SELECT sum(total_qty)::bigint AS units, sum(reserved_qty)::bigint AS reserved,
       sum(allocated_qty)::bigint AS allocated FROM inventory`,
  );
  const { units, reserved, allocated } = rows[0] ?? { units: 0, reserved: 0, allocated: 0 };
  const differences = await shop.audit();
  return {
    ok:
      units === UNITS * SKUS &&
      allocated >= committed &&
      allocated <= committed + isDone &&
      reserved >= left - isDone &&
      reserved <= left + open &&
      differences.length === 0,
    words: [
      `${committed} commits were answered, ${allocated} units are allocated`,
      `${left} holds were not settled when the load ended, ${reserved} units are reserved`,
      `${isDone + open} answers left open what was done`,
      `${units} of ${UNITS * SKUS} units are there`,
      ...differenceWords(differences),
    ],
  };
}
