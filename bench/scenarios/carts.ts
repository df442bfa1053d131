/**
 * Carts in the shapes of the real invoices (bench/data): 22 lines in the mean, 589 in the largest,
 * one of them after another, reserved whole and committed at once. It shows what lines cost, where
 * the other scenarios have carts of one.
 *
 * Audit: each unit of each cart that was answered as committed is committed, those of carts whose
 * commit was not sent any more are reserved, and Redis, log and PostgreSQL agree.
 */
import { defineScenario, type Findings } from '../define-scenario.ts';
import { readRealCarts } from '../measure/flows/wishes.ts';
import type { FlowSpec } from '../measure/flows.ts';
import { cpuUsPerAnswer } from '../phase.ts';
import type { Bench, Fact, Phase } from '../scenario.ts';
import { cellsOf, putOnSale, WAREHOUSE } from './goods.ts';
import {
  answersOverTime,
  type LoopsSize,
  measureLoops,
  refusalFacts,
  requireStatuses,
  servedPerSecond,
} from './pace.ts';
import { auditUnits, tallied } from './unit-audit.ts';

export interface CartsSize extends LoopsSize {
  /** Of the 423 that there are. */
  readonly cartsMax: number;
}

/** More than any run can sell. */
const UNITS_EACH = 100_000_000;

export const carts = defineScenario<CartsSize>({
  name: 'carts',
  about: 'carts in the shapes of the real invoices, reserved and committed: what lines cost',
  runs: 'always',
  fullSeconds: 39,
  full: { callers: 128, cartsMax: 423, warmUpSeconds: 3, seconds: 10 },
  quick: { warmUpSeconds: 0.5, seconds: 1.5 },
  run,
});

async function run(bench: Bench, size: CartsSize): Promise<Findings> {
  const { seed, onProgress } = bench;
  const { cartsMax } = size;
  const world = await bench.open();
  const real = await readRealCarts(cartsMax);
  const skuIds = [...new Set(real.flat().map(({ skuId }) => skuId))];
  onProgress(`${skuIds.length} products and their stock`);
  await putOnSale(world.shop.url, cellsOf(skuIds, UNITS_EACH));
  const flow = (phase: string): FlowSpec => {
    const wishes = { kind: 'real carts', warehouse: WAREHOUSE, cartsMax } as const;
    return { name: 'checkout', params: { seed, wishes, keys: `cart-${phase}`, commitShare: 1 } };
  };
  const { warm, closed, open } = await measureLoops(world, size, flow, onProgress);
  onProgress('audit');
  const phases = [warm, closed, open];
  for (const phase of phases) {
    requireStatuses(phase, 'reserve', [201]);
    requireStatuses(phase, 'commit', [200]);
  }
  const received = skuIds.length * UNITS_EACH;
  const audit = await auditUnits(world, [{ skuIds, received, phases }]);
  return {
    phases,
    facts: [...factsOf(closed, open), ...refusalFacts(phases)],
    series: [
      answersOverTime('carts reserved', open, 'reserve', [201]),
      answersOverTime('carts committed', open, 'commit', [200]),
    ],
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
