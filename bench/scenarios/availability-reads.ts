/**
 * Who looks beside who buys: 20,000 GETs of availability a second, or as much of it as this machine
 * carries beside the sale, while reserves come at a rate of their own. Each rate alone first, then
 * both at once: what the readers cost the buyers, and the other way round.
 *
 * Audit: no read has another answer than 200; each unit that was answered as reserved is reserved;
 * Redis, log and PostgreSQL agree.
 */
import { defineScenario, type Findings } from '../define-scenario.ts';
import { type SkuRange, skusOf } from '../measure/flows/zipf.ts';
import type { StreamPlan } from '../measure/wire-load.ts';
import type { Bench, Fact, Phase } from '../scenario.ts';
import { cellsOf, putOnSale, WAREHOUSE } from './goods.ts';
import {
  answersOverTime,
  measureStreams,
  refusalFacts,
  requireStatuses,
  roundRate,
  servedPerSecond,
} from './pace.ts';
import { auditUnits } from './unit-audit.ts';

export interface AvailabilityReadsSize {
  readonly callers: number;
  readonly skus: number;
  readonly warmUpSeconds: number;
  readonly closedSeconds: number;
  readonly seconds: number;
}

const UNITS_EACH = 10_000_000;
const READS_WANTED = 20_000;
const RESERVES_WANTED = 5_000;
/** Of what each carries alone: together most of the machine. */
const READS_LOAD = 0.6;
const RESERVES_LOAD = 0.2;

export const availabilityReads = defineScenario<AvailabilityReadsSize>({
  name: 'availability-reads',
  about: '20,000 reads of availability a second beside a sale: what each costs the other',
  runs: 'unless quick',
  fullSeconds: 73,
  full: { callers: 128, skus: 1_000, warmUpSeconds: 20, closedSeconds: 3, seconds: 10 },
  quick: { warmUpSeconds: 0.5, closedSeconds: 0.5, seconds: 1.2 },
  run,
});

async function run(bench: Bench, size: AvailabilityReadsSize): Promise<Findings> {
  const { seed, onProgress } = bench;
  const { callers, seconds, warmUpSeconds, closedSeconds } = size;
  const world = await bench.open();
  const skus: SkuRange = { prefix: 'SEEN', count: size.skus };
  const skuIds = skusOf(skus);
  await putOnSale(world.shop.url, cellsOf(skuIds, UNITS_EACH));
  const looks = (rate?: number): StreamPlan => ({
    ...{ callers, flow: { name: 'reads', params: { seed, skus } } },
    ...(rate !== undefined && { rate }),
  });
  const wishes = { kind: 'one', skus, warehouse: WAREHOUSE } as const;
  const buys = (phase: string, rate?: number): StreamPlan => ({
    ...{ callers, flow: { name: 'checkout', params: { seed: `${seed}/${phase}`, wishes } } },
    ...(rate !== undefined && { rate }),
  });
  onProgress('warm-up');
  const mixed = [looks(), buys('warm')];
  const warm = await measureStreams(world, 'warm-up', warmUpSeconds, mixed);
  onProgress('what each carries alone');
  const readsClosed = await measureStreams(world, 'reads, closed loop', closedSeconds, [looks()]);
  const first = [buys('closed')];
  const buysClosed = await measureStreams(world, 'reserves, closed loop', closedSeconds, first);
  const reads = rateOf(readsClosed, READS_LOAD, READS_WANTED);
  const reserves = rateOf(buysClosed, RESERVES_LOAD, RESERVES_WANTED);
  onProgress(`${reads} reads a second`);
  const alone = await measureStreams(world, 'reads alone', seconds, [looks(reads)]);
  onProgress(`${reserves} reserves a second`);
  const sale = [buys('alone', reserves)];
  const saleAlone = await measureStreams(world, 'reserves alone', seconds, sale);
  onProgress('both');
  const streams = [looks(reads), buys('both', reserves)];
  const both = await measureStreams(world, 'reads beside reserves', seconds, streams);
  onProgress('audit');
  const phases = [warm, readsClosed, buysClosed, alone, saleAlone, both];
  for (const phase of phases) {
    requireStatuses(phase, 'availability', [200]);
    requireStatuses(phase, 'reserve', [201]);
  }
  const received = skuIds.length * UNITS_EACH;
  const audit = await auditUnits(world, [{ skuIds, received, phases }]);
  await world.close();
  return {
    phases,
    facts: [...factsOf({ reads, reserves }, [alone, saleAlone, both]), ...refusalFacts(phases)],
    series: [
      answersOverTime('reads', both, 'availability', [200]),
      answersOverTime('reserved', both, 'reserve', [201]),
    ],
    audit,
  };
}

function rateOf(closed: Phase, load: number, wanted: number): number {
  return roundRate(Math.min(wanted, servedPerSecond(closed) * load));
}

function factsOf(
  rates: { readonly reads: number; readonly reserves: number },
  [alone, saleAlone, both]: readonly [Phase, Phase, Phase],
): Fact[] {
  const p99 = (phase: Phase, label: string): number =>
    phase.load.byLabel[label]?.latency.p99Ms ?? Number.NaN;
  const lower = { better: 'lower' } as const;
  const readMs = p99(both, 'availability');
  const reserveMs = p99(both, 'reserve');
  return [
    { what: `reads, of ${READS_WANTED} wanted`, value: rates.reads, unit: '/s' },
    { what: 'reserves', value: rates.reserves, unit: '/s' },
    { what: 'a read beside the sale, p99', value: readMs, unit: 'ms', ...lower },
    { what: 'a reserve beside the reads, p99', value: reserveMs, unit: 'ms', ...lower },
    {
      what: 'a read, p99, beside the sale : alone',
      value: readMs / p99(alone, 'availability'),
      ...{ unit: 'x', ...lower },
    },
    {
      what: 'a reserve, p99, beside the reads : alone',
      value: reserveMs / p99(saleAlone, 'reserve'),
      ...{ unit: 'x', ...lower },
    },
  ];
}
