/**
 * Carts that nobody pays: every hold has a deadline one second away and is forgotten, and the units
 * are too few for all who want one, so that sales live on what expires. Beside the crowd some SKUs
 * of one unit each are asked for again from their deadline on: how late they are sold again is what
 * a shopper sees of sweep and "sold out" memory.
 *
 * Audit: after the last deadline nothing is held and every unit is available; the holds that were
 * answered are those that the engine counted; Redis, log and PostgreSQL agree.
 */
import { atMost } from '../budgets.ts';
import { defineScenario, type Findings } from '../define-scenario.ts';
import type { CheckoutParams } from '../measure/flows/checkout.ts';
import { type SkuRange, skusOf } from '../measure/flows/zipf.ts';
import type { StreamPlan } from '../measure/wire-load.ts';
import { cpuUsPerAnswer } from '../phase.ts';
import type { Bench, Fact, Phase } from '../scenario.ts';
import { cellsOf, putOnSale, WAREHOUSE, whenNothingIsHeld } from './goods.ts';
import {
  answersOverTime,
  measureStreams,
  openRate,
  refusalFacts,
  requireStatuses,
  servedPerSecond,
} from './pace.ts';
import { auditUnits, tallied } from './unit-audit.ts';

export interface CartAbandonSize {
  readonly callers: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** SKUs of one unit whose resale is timed. */
  readonly probes: number;
}

const CHURN: SkuRange = { prefix: 'CHURN', count: 20 };
const PROBE = 'PROBE';
const PROBE_EVERY_MS = 10;
const TTL_S = 1;
/** Deadlines are whole seconds, so a hold of one second lives for up to two. */
const LIVES_S_MAX = 2;
/** Of the units that the rate could hold at one time. */
const SCARCITY = 0.5;
const BACK_S_MAX = 60;
/** The design's, for expiry to resale. */
const RESALE_MS_MAX = 250;

export const cartAbandon = defineScenario<CartAbandonSize>({
  name: 'cart-abandon',
  about: 'holds of a second that nobody pays: expiry gives back, and how late that is sold again',
  runs: 'always',
  fullSeconds: 34,
  full: { callers: 128, warmUpSeconds: 3, seconds: 20, probes: 32 },
  quick: { warmUpSeconds: 1, seconds: 3 },
  run,
});

async function run(bench: Bench, size: CartAbandonSize): Promise<Findings> {
  const { seed, onProgress } = bench;
  const { callers, seconds, warmUpSeconds, probes } = size;
  const world = await bench.open();
  const { url } = world.shop;
  const warmSkus: SkuRange = { ...CHURN, prefix: 'EARLY' };
  const probeIds = skusOf({ prefix: PROBE, count: probes });
  await putOnSale(url, [...cellsOf(skusOf(warmSkus), WARM_UNITS), ...cellsOf(probeIds, 1)]);
  const abandon = (skus: SkuRange, phase: string, rate?: number): StreamPlan => {
    const wishes = { kind: 'one', skus, warehouse: WAREHOUSE } as const;
    const params: CheckoutParams = { seed: `${seed}/${phase}`, wishes, ttlSeconds: TTL_S };
    return { callers, flow: { name: 'checkout', params }, ...(rate !== undefined && { rate }) };
  };
  onProgress('warming up');
  const warm = await measureStreams(world, 'warm-up', warmUpSeconds, [abandon(warmSkus, 'warm')]);
  const rate = openRate(warm);
  const unitsEach = Math.ceil((rate * LIVES_S_MAX * SCARCITY) / CHURN.count);
  const churnIds = skusOf(CHURN);
  await putOnSale(url, cellsOf(churnIds, unitsEach));
  onProgress(`${rate} holds a second, none of them paid`);
  const resale = { prefix: PROBE, warehouse: WAREHOUSE, everyMs: PROBE_EVERY_MS };
  const churn = await measureStreams(world, 'churn', seconds, [
    abandon(CHURN, 'churn', rate),
    { callers: probes, flow: { name: 'resale', params: resale } },
  ]);
  for (const phase of [warm, churn]) requireStatuses(phase, 'reserve', [201, 409]);
  onProgress('the last deadlines');
  const skuIds = [...churnIds, ...probeIds, ...skusOf(warmSkus)];
  const backS = await whenNothingIsHeld(url, skuIds, BACK_S_MAX);
  onProgress('audit');
  const received = churnIds.length * unitsEach + probes + warmSkus.count * WARM_UNITS;
  const phases = [warm, churn];
  const audit = await auditUnits(world, [{ skuIds, received, phases, expires: true }]);
  const resaleMs = tallied(churn.load, 'resaleP99Ms');
  return {
    phases,
    facts: [...factsOf(churn, rate, backS), ...refusalFacts(phases)],
    series: [
      answersOverTime('held', churn, 'reserve', [201]),
      answersOverTime('sold out', churn, 'reserve', [409]),
    ],
    budgets: [atMost('expiry to resale, p99, under churn', resaleMs, RESALE_MS_MAX, 'ms')],
    audit,
  };
}

const WARM_UNITS = 10_000_000;

function factsOf(churn: Phase, rate: number, backS: number): Fact[] {
  const { load } = churn;
  const lower = { unit: 'ms', better: 'lower' } as const;
  return [
    { what: 'wishes a second', value: rate, unit: '/s' },
    { what: 'answers a second, probes included', value: servedPerSecond(churn), unit: '/s' },
    { what: 'holds that expired', value: tallied(load, 'heldUnits'), unit: '' },
    { what: 'wishes that were refused', value: tallied(load, 'refused'), unit: '' },
    { what: 'units sold again, timed', value: tallied(load, 'resold'), unit: '' },
    { what: 'expiry to resale, p50', value: tallied(load, 'resaleP50Ms'), ...lower },
    { what: 'expiry to resale, p99', value: tallied(load, 'resaleP99Ms'), ...lower },
    { what: 'expiry to resale, longest', value: tallied(load, 'resaleMaxMs'), ...lower },
    { what: 'end of the load to no hold left', value: backS, unit: 's' },
    {
      what: 'engine, an answer, sweeping included',
      value: cpuUsPerAnswer(churn, 'engine'),
      ...{ unit: 'us', better: 'lower' },
    },
  ];
}
