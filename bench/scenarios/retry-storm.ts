/**
 * Clients that do not trust their network: each reserve is sent one to five times under one
 * Idempotency-Key, most copies while others of it are under way. It shows what a retry costs beside
 * a first request.
 *
 * Audit: of the copies of a key one made the hold and all show the same one; in Redis exactly one
 * unit a key is reserved; the engine counted as many; Redis, log and PostgreSQL agree.
 */
import { defineScenario, type Findings } from '../define-scenario.ts';
import { type SkuRange, skusOf } from '../measure/flows/zipf.ts';
import type { FlowSpec } from '../measure/flows.ts';
import { cpuUsPerAnswer } from '../phase.ts';
import type { Bench, Fact, Phase } from '../scenario.ts';
import { cellsOf, putOnSale, WAREHOUSE } from './goods.ts';
import {
  answersOverTime,
  type LoopsSize,
  measureFlow,
  measureLoops,
  refusalFacts,
  requireStatuses,
  servedPerSecond,
} from './pace.ts';
import { auditUnits, equal, tallied, tallyOf } from './unit-audit.ts';

const SKUS: SkuRange = { prefix: 'STORM', count: 100 };
const UNITS_EACH = 10_000_000;
const COPIES_MAX = 5;
/** Fewer than callers: so copies of one key meet. */
const OPEN_PER_CALLER = 0.25;

export const retryStorm = defineScenario<LoopsSize>({
  name: 'retry-storm',
  about: 'each reserve one to five times under one key, many at once: exactly one hold each',
  runs: 'always',
  fullSeconds: 50,
  full: { callers: 256, warmUpSeconds: 3, seconds: 10 },
  quick: { warmUpSeconds: 0.5, seconds: 1.5 },
  run,
});

async function run(bench: Bench, size: LoopsSize): Promise<Findings> {
  const { seed, onProgress } = bench;
  const { callers, seconds } = size;
  const world = await bench.open();
  const skuIds = skusOf(SKUS);
  await putOnSale(world.shop.url, cellsOf(skuIds, UNITS_EACH));
  const flow = (keys: string, copiesMax = COPIES_MAX): FlowSpec => {
    const openMax = Math.max(1, Math.floor(callers * OPEN_PER_CALLER));
    const cart = { skus: SKUS, warehouse: WAREHOUSE };
    return {
      name: 'retries',
      params: { seed: `${seed}/${keys}`, ...cart, keys: `retry-${keys}`, copiesMax, openMax },
    };
  };
  const { warm, closed: storm, open } = await measureLoops(world, size, flow, onProgress);
  onProgress('each once');
  const once = await measureFlow(world, 'each once', { callers, seconds }, flow('once', 1));
  onProgress('audit');
  const phases = [warm, storm, open, once];
  for (const phase of phases) requireStatuses(phase, 'reserve', [200, 201]);
  const sum = tallyOf(phases);
  const audit = await auditUnits(
    world,
    [{ skuIds, received: skuIds.length * UNITS_EACH, phases }],
    [
      equal(
        'keys were answered, and not each time refused',
        sum('keys') - sum('refusedKeys'),
        'have a hold',
        sum('held'),
        sum('unknownUnits'),
      ),
      equal('keys with two holds, or none that was made', sum('violations'), 'are right', 0),
    ],
  );
  return {
    phases,
    facts: [...factsOf(once, storm, open), ...refusalFacts(phases)],
    series: [
      answersOverTime('holds made', open, 'reserve', [201]),
      answersOverTime('retries answered', open, 'reserve', [200]),
    ],
    audit,
  };
}

function factsOf(once: Phase, storm: Phase, open: Phase): Fact[] {
  const higher = { better: 'higher' } as const;
  const lower = { better: 'lower' } as const;
  const part = (name: string): number => tallied(storm.load, name) / tallied(storm.load, 'keys');
  const engine = cpuUsPerAnswer(storm, 'engine') / cpuUsPerAnswer(once, 'engine');
  return [
    { what: 'requests, each once', value: servedPerSecond(once), unit: '/s', ...higher },
    { what: 'requests, in the storm', value: servedPerSecond(storm), unit: '/s', ...higher },
    { what: 'requests for a hold', value: 1 + part('replays'), unit: '' },
    { what: 'keys of which copies were under way at once', value: part('together'), unit: '' },
    { what: 'engine CPU of a request, storm : each once', value: engine, unit: 'x', ...lower },
    { what: 'p99 at 0.6 of it', value: open.load.latency.p99Ms, unit: 'ms', ...lower },
  ];
}
