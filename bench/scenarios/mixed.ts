/**
 * A shop's day at once: six of ten requests look, three reserve or settle (of the holds 70 of 100
 * are committed, 20 released, 10 forgotten), and stock comes in for SKUs that run out. The scarce
 * ones are the most wanted, so that part of the reserves is refused and sold again.
 *
 * Audit: units put there and received during the run are available, held, or acknowledged as
 * committed, none more; Redis, log and PostgreSQL agree.
 */
import { defineScenario, type Findings } from '../define-scenario.ts';
import { type SkuRange, skusOf } from '../measure/flows/zipf.ts';
import type { StreamPlan } from '../measure/wire-load.ts';
import { cpuUsPerAnswer } from '../phase.ts';
import type { Bench, Fact, Phase } from '../scenario.ts';
import { cellsOf, putOnSale, WAREHOUSE } from './goods.ts';
import {
  answersOverTime,
  measureStreams,
  openRate,
  refusalFacts,
  requireStatuses,
  servedPerSecond,
} from './pace.ts';
import { auditUnits, tallied } from './unit-audit.ts';

export interface MixedSize {
  readonly callers: number;
  readonly skus: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** Of the requests; the callers are shared out alike. */
const SHARES = { checkout: 0.38, reads: 0.6, receives: 0.02 } as const;
const FATES = { commitShare: 0.7, releaseShare: 0.2 } as const;
const UNITS_EACH = 20;
const RECEIVED_AT_ONCE = 10;

export const mixed = defineScenario<MixedSize>({
  name: 'mixed',
  about: 'reads, reserves, commits, releases and incoming stock at once, in a shop’s shares',
  runs: 'always',
  fullSeconds: 23,
  full: { callers: 240, skus: 1_000, warmUpSeconds: 3, seconds: 15 },
  quick: { warmUpSeconds: 1, seconds: 2 },
  run,
});

async function run(bench: Bench, size: MixedSize): Promise<Findings> {
  const { seed, onProgress } = bench;
  const { callers, seconds, warmUpSeconds } = size;
  const world = await bench.open();
  const skus: SkuRange = { prefix: 'MIX', count: size.skus };
  const skuIds = skusOf(skus);
  await putOnSale(world.shop.url, cellsOf(skuIds, UNITS_EACH));
  const streams = (phase: string, rate?: number): readonly StreamPlan[] =>
    flowsOf(`${seed}/${phase}`, `mixed-${phase}`, skus).map(({ share, flow }) => ({
      callers: Math.max(1, Math.round(callers * share)),
      flow,
      ...(rate !== undefined && { rate: rate * share }),
    }));
  onProgress('closed loop');
  const closed = await measureStreams(world, 'closed loop', warmUpSeconds, streams('closed'));
  const rate = openRate(closed);
  onProgress(`open loop, ${rate} a second`);
  const open = await measureStreams(world, 'open loop', seconds, streams('open', rate));
  onProgress('audit');
  const phases = [closed, open];
  for (const phase of phases) {
    requireStatuses(phase, 'availability', [200]);
    requireStatuses(phase, 'reserve', [201, 409]);
    requireStatuses(phase, 'commit', [200]);
    requireStatuses(phase, 'release', [200]);
  }
  const audit = await auditUnits(world, [{ skuIds, received: skuIds.length * UNITS_EACH, phases }]);
  return {
    phases,
    facts: [...factsOf(closed, open), ...refusalFacts(phases)],
    series: [
      answersOverTime('reads', open, 'availability', [200]),
      answersOverTime('reserved', open, 'reserve', [201]),
      answersOverTime('refused', open, 'reserve', [409]),
      answersOverTime('committed', open, 'commit', [200]),
    ],
    audit,
  };
}

function flowsOf(
  seed: string,
  keys: string,
  skus: SkuRange,
): readonly { readonly share: number; readonly flow: StreamPlan['flow'] }[] {
  const wishes = { kind: 'one', skus, warehouse: WAREHOUSE } as const;
  const receives = { seed, skus, warehouse: WAREHOUSE, units: RECEIVED_AT_ONCE, keys };
  return [
    {
      share: SHARES.checkout,
      flow: { name: 'checkout', params: { seed, wishes, keys, ...FATES } },
    },
    { share: SHARES.reads, flow: { name: 'reads', params: { seed, skus } } },
    { share: SHARES.receives, flow: { name: 'receives', params: receives } },
  ];
}

function factsOf(closed: Phase, open: Phase): Fact[] {
  const lower = { better: 'lower' } as const;
  const labels = ['availability', 'reserve', 'commit', 'release', 'receive'];
  const { load } = open;
  const reserves = tallied(load, 'held') + tallied(load, 'refused');
  return [
    { what: 'requests, closed loop', value: servedPerSecond(closed), unit: '/s', better: 'higher' },
    { what: 'engine, a request', value: cpuUsPerAnswer(open, 'engine'), unit: 'us', ...lower },
    { what: 'reserves refused', value: tallied(load, 'refused') / reserves, unit: '' },
    ...labels.map((label) => ({
      what: `${label} at 0.6 of it, p99`,
      value: load.byLabel[label]?.latency.p99Ms ?? Number.NaN,
      ...{ unit: 'ms', ...lower },
    })),
  ];
}
