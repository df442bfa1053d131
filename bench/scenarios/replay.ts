/**
 * The real orders of bench/data in their order of time, days in seconds: carts over four warehouses,
 * commits, releases, cancellations, returns and corrections, each due at its time divided by the
 * speed. Nights pass in a moment and mornings are bursts, as they were.
 *
 * Audit: every step was answered as a correct engine answers it; what was reserved, committed,
 * cancelled, returned and corrected adds up to the balances in Redis, unit by unit; Redis, log and
 * PostgreSQL agree.
 */
import { defineScenario, type Findings } from '../define-scenario.ts';
import { deriveCatalogue } from '../orders/catalogue.ts';
import { deriveOpeningStock } from '../orders/opening-stock.ts';
import { readRealOrders } from '../orders/parse.ts';
import { buildReplay } from '../orders/replay.ts';
import { WAREHOUSES } from '../orders/warehouses.ts';
import type { Bench, Fact, Phase } from '../scenario.ts';
import { countUnits, putOnSale, type Units } from './goods.ts';
import { answersOverTime, measureFlow, refusalFacts } from './pace.ts';
import { type Check, equal, noneOf, reportOf, tallied } from './unit-audit.ts';

export interface ReplaySize {
  readonly callers: number;
  /** In which the days of the data pass. */
  readonly seconds: number;
}

/** To answer the last steps, on a busy machine. */
const MORE_S = 60;
const KINDS = ['reserve', 'commit', 'release', 'cancel', 'receive', 'adjust'] as const;

export const replay = defineScenario<ReplaySize>({
  name: 'replay',
  about: 'the real orders, days in seconds: carts, payments, cancellations, returns, corrections',
  runs: 'always',
  fullSeconds: 34,
  full: { callers: 64, seconds: 30 },
  quick: { seconds: 3 },
  run,
});

async function run(bench: Bench, size: ReplaySize): Promise<Findings> {
  const { onProgress } = bench;
  // Its products are those of `carts`, in other numbers.
  const world = await bench.open({ isOwn: true });
  const { shop } = world;
  const lines = await readRealOrders();
  const { steps } = buildReplay(lines);
  const spanMs = (steps.at(-1)?.atMs ?? 0) - (steps[0]?.atMs ?? 0);
  const speed = spanMs / (size.seconds * 1_000);
  const skuIds = deriveCatalogue(lines).products.map(({ skuId }) => skuId);
  const stock = deriveOpeningStock(lines);
  onProgress(`${skuIds.length} products in four warehouses`);
  const warehouseIds = WAREHOUSES.map(({ warehouseId }) => warehouseId);
  await putOnSale(shop.url, stock.cells, warehouseIds);
  onProgress(`${steps.length} steps, ${Math.round(speed)} times as fast as they were`);
  const flow = { name: 'replay', params: { speed } } as const;
  const bounds = { callers: size.callers, seconds: size.seconds + MORE_S };
  const phase = await measureFlow(world, 'the real orders', bounds, flow);
  onProgress('audit');
  await shop.whenPersisted();
  const units = await countUnits(shop.url, skuIds);
  const differences = await shop.audit();
  const audit = reportOf([
    ...stepChecks(phase, steps.length),
    ...unitChecks(phase, stock.units, units),
    noneOf(differences),
  ]);
  return {
    phases: [phase],
    facts: [...factsOf(phase, speed), ...refusalFacts([phase])],
    series: [
      answersOverTime('carts reserved', phase, 'reserve', [201]),
      answersOverTime('carts refused', phase, 'reserve', [409]),
      answersOverTime('carts paid', phase, 'commit', [200]),
    ],
    audit,
  };
}

function stepChecks({ load }: Phase, steps: number): Check[] {
  const done = KINDS.reduce((sum, kind) => sum + tallied(load, kind), 0);
  const left = tallied(load, 'refused') + tallied(load, 'skipped');
  return [
    equal('steps of the real orders', steps, 'were done, refused or left out', done + left),
    equal('steps answered as nobody expects', tallied(load, 'failed'), 'should be', 0),
  ];
}

function unitChecks({ load }: Phase, opening: number, units: Units): Check[] {
  const of = (kind: (typeof KINDS)[number]): number => tallied(load, `${kind}Units`);
  const { available, reserved, allocated } = units;
  const received = opening + of('receive') + of('adjust');
  return [
    equal(
      'units in the beginning, returned and corrected',
      received,
      'are available, reserved or committed',
      available + reserved + allocated,
    ),
    equal(
      'units were answered as held, neither released nor paid',
      of('reserve') - of('release') - of('commit'),
      'are held',
      reserved,
    ),
    equal(
      'units were answered as paid and not cancelled',
      of('commit') - of('cancel'),
      'are committed',
      allocated,
    ),
  ];
}

function factsOf({ load }: Phase, speed: number): Fact[] {
  const lower = { unit: 'ms', better: 'lower' } as const;
  const p99 = (label: string): number => load.byLabel[label]?.latency.p99Ms ?? Number.NaN;
  return [
    { what: 'times as fast as it was', value: speed, unit: 'x' },
    { what: 'carts reserved', value: tallied(load, 'reserve'), unit: '' },
    { what: 'carts refused for want of stock', value: tallied(load, 'refused'), unit: '' },
    { what: 'units paid', value: tallied(load, 'commitUnits'), unit: '' },
    { what: 'reserve of a cart over four warehouses, p99', value: p99('reserve'), ...lower },
    { what: 'commit of a cart, p99', value: p99('commit'), ...lower },
  ];
}
