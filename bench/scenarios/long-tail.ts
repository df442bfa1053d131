/**
 * Many SKUs, wanted by Zipf's law: what a batch with hardly two requests of one SKU costs, where
 * hot-sku has them all of one. Set up through the API: products, then stock in bulk.
 *
 * Audit: of all SKUs together, each unit that was answered as reserved is reserved in Redis, the
 * engine counted as many, and Redis, log and PostgreSQL agree, cell by cell.
 */
import { defineScenario, type Findings } from '../define-scenario.ts';
import { type SkuRange, skusOf } from '../measure/flows/zipf.ts';
import type { FlowSpec } from '../measure/flows.ts';
import { cpuUsPerAnswer, redisUsPerAnswer } from '../phase.ts';
import type { Bench } from '../scenario.ts';
import { cellsOf, putOnSale, WAREHOUSE } from './goods.ts';
import {
  answersOverTime,
  type LoopsSize,
  measureLoops,
  refusalFacts,
  requireStatuses,
  servedPerSecond,
} from './pace.ts';
import { auditUnits } from './unit-audit.ts';

export interface LongTailSize extends LoopsSize {
  readonly skus: number;
}

const UNITS_EACH = 1_000_000;

export const longTail = defineScenario<LongTailSize>({
  name: 'long-tail',
  about: '100,000 SKUs (quick: 1,000) wanted by Zipf: batches of many SKUs over HTTP',
  runs: 'always',
  fullSeconds: 81,
  full: { callers: 256, skus: 100_000, warmUpSeconds: 3, seconds: 10 },
  quick: { skus: 1_000, warmUpSeconds: 0.5, seconds: 1.2 },
  run,
});

async function run(bench: Bench, size: LongTailSize): Promise<Findings> {
  const { seed, onProgress } = bench;
  const world = await bench.open();
  const skus: SkuRange = { prefix: 'TAIL', count: size.skus, zipf: 1 };
  const skuIds = skusOf(skus);
  onProgress(`${size.skus} products and their stock`);
  const startMs = performance.now();
  await putOnSale(world.shop.url, cellsOf(skuIds, UNITS_EACH));
  const setUpS = (performance.now() - startMs) / 1_000;
  const wishes = { kind: 'one', skus, warehouse: WAREHOUSE } as const;
  const reserves = (phase: string): FlowSpec => ({
    name: 'checkout',
    params: { seed: `${seed}/${phase}`, wishes },
  });
  const { warm, closed, open } = await measureLoops(world, size, reserves, onProgress);
  onProgress('audit');
  const phases = [warm, closed, open];
  for (const phase of phases) requireStatuses(phase, 'reserve', [201]);
  const audit = await auditUnits(world, [{ skuIds, received: skuIds.length * UNITS_EACH, phases }]);
  return {
    phases,
    facts: [
      { what: 'SKUs', value: size.skus, unit: '' },
      { what: 'set-up through the API', value: size.skus / setUpS, unit: 'SKUs/s', ...HIGHER },
      { what: 'reserves, closed loop', value: servedPerSecond(closed), unit: '/s', ...HIGHER },
      { what: 'Redis, a reserve', value: redisUsPerAnswer(closed), unit: 'us', ...LOWER },
      { what: 'engine, a reserve', value: cpuUsPerAnswer(closed, 'engine'), unit: 'us', ...LOWER },
      { what: 'p99 at 0.6 of it', value: open.load.latency.p99Ms, unit: 'ms', ...LOWER },
      ...refusalFacts(phases),
    ],
    series: [answersOverTime('reserved, open loop', open, 'reserve', [201])],
    audit,
  };
}

const HIGHER = { better: 'higher' } as const;
const LOWER = { better: 'lower' } as const;
