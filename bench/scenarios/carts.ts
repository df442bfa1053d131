/**
 * Carts in the shapes of the real invoices (bench/data): 22 lines in the mean, 589 in the largest,
 * one of them after another, reserved whole and committed at once. It shows what lines cost, where
 * the other scenarios have carts of one.
 *
 * Audit: each unit of each cart that was answered as committed is committed, those of carts whose
 * commit was not sent any more are reserved, and Redis, log and PostgreSQL agree.
 */
import { readRealCarts } from '../measure/flows/wishes.ts';
import type { FlowSpec } from '../measure/flows.ts';
import { cpuUsPerAnswer } from '../phase.ts';
import type { Bench, Fact, Phase, Scenario, ScenarioReport } from '../scenario.ts';
import { cellsOf, putOnSale, WAREHOUSE } from './goods.ts';
import {
  answersOverTime,
  measureFlow,
  openRate,
  refusalFacts,
  requireStatuses,
  servedPerSecond,
} from './pace.ts';
import { auditUnits, tallied } from './unit-audit.ts';

export interface CartsSize {
  readonly callers: number;
  /** Of the 423 that there are. */
  readonly cartsMax: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

const FULL: CartsSize = { callers: 128, cartsMax: 423, warmUpSeconds: 3, seconds: 10 };
const QUICK: CartsSize = { ...FULL, warmUpSeconds: 0.5, seconds: 1.5 };
/** More than any run can sell. */
const UNITS_EACH = 100_000_000;

export const carts: Scenario = {
  name: 'carts',
  about: 'carts in the shapes of the real invoices, reserved and committed: what lines cost',
  runs: 'always',
  run: (bench) => runCarts(bench, bench.quick ? QUICK : FULL),
};

export async function runCarts(bench: Bench, size: CartsSize): Promise<ScenarioReport> {
  const { seed, onProgress } = bench;
  const { callers, cartsMax, seconds, warmUpSeconds } = size;
  const world = await bench.open();
  const real = await readRealCarts(cartsMax);
  const skuIds = [...new Set(real.flat().map(({ skuId }) => skuId))];
  onProgress(`${skuIds.length} products and their stock`);
  await putOnSale(world.shop.url, cellsOf(skuIds, UNITS_EACH));
  const flow = (phase: string): FlowSpec => {
    const wishes = { kind: 'real carts', warehouse: WAREHOUSE, cartsMax } as const;
    return { name: 'checkout', params: { seed, wishes, keys: phase, commitShare: 1 } };
  };
  onProgress('warming up');
  const warmUp = { callers, seconds: warmUpSeconds };
  const warm = await measureFlow(world, 'warm-up', warmUp, flow('warm'));
  onProgress('closed loop');
  const closed = await measureFlow(world, 'closed loop', { callers, seconds }, flow('closed'));
  const rate = openRate(closed);
  onProgress(`open loop, ${rate} a second`);
  const open = await measureFlow(world, 'open loop', { callers, seconds }, flow('open'), rate);
  onProgress('audit');
  const phases = [warm, closed, open];
  for (const phase of phases) {
    requireStatuses(phase, 'reserve', [201]);
    requireStatuses(phase, 'commit', [200]);
  }
  const received = skuIds.length * UNITS_EACH;
  const audit = await auditUnits(world, [{ skuIds, received, phases }]);
  await world.close();
  return {
    name: carts.name,
    phases,
    facts: [...factsOf(closed, open), ...refusalFacts(phases)],
    series: [
      answersOverTime('carts reserved', open, 'reserve', [201]),
      answersOverTime('carts committed', open, 'commit', [200]),
    ],
    budgets: [],
    audit,
  };
}

function factsOf(closed: Phase, open: Phase): Fact[] {
  const held = tallied(closed.load, 'held');
  const lines = tallied(closed.load, 'heldLines');
  const answersPerLine = closed.load.answers / lines;
  const higher = { unit: '/s', better: 'higher' } as const;
  const lower = { better: 'lower' } as const;
  const engineUs = cpuUsPerAnswer(closed, 'engine') * answersPerLine;
  const redisUs = closed.redisThreadUs / lines;
  const { reserve, commit } = open.load.byLabel;
  return [
    { what: 'lines in a cart, mean', value: lines / held, unit: '' },
    { what: 'requests, closed loop', value: servedPerSecond(closed), ...higher },
    { what: 'lines reserved, closed loop', value: lines / closed.load.seconds, ...higher },
    { what: 'engine, a line reserved and committed', value: engineUs, unit: 'us', ...lower },
    { what: 'Redis, a line reserved and committed', value: redisUs, unit: 'us', ...lower },
    {
      what: 'reserve of a cart at 0.6 of it, p99',
      value: reserve?.latency.p99Ms ?? Number.NaN,
      ...{ unit: 'ms', ...lower },
    },
    {
      what: 'commit of a cart at 0.6 of it, p99',
      value: commit?.latency.p99Ms ?? Number.NaN,
      ...{ unit: 'ms', ...lower },
    },
  ];
}
