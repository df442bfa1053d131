/**
 * A drop: 1,000 units of one SKU, and far more shoppers than units, each with an Idempotency-Key of
 * its own, at 0.6 of what the engine carries of them in a closed loop. Four of five who hold a unit
 * pay, one of ten gives it back, one of ten forgets it, and what comes back is sold to others. It
 * shows how soon the units are gone, and what being sold out costs: latency, and rejections a
 * second in a closed loop.
 *
 * Audit: when all deadlines are over nothing is held; each unit was acknowledged as committed and is
 * committed in Redis and PostgreSQL, or is available again; none more, none less.
 */
import { defineScenario, type Findings } from '../define-scenario.ts';
import type { CheckoutParams } from '../measure/flows/checkout.ts';
import { type SkuRange, skusOf } from '../measure/flows/zipf.ts';
import type { FlowSpec } from '../measure/flows.ts';
import type { Bench, Fact, Phase, World } from '../scenario.ts';
import { cellsOf, countUnits, putOnSale, WAREHOUSE, whenNothingIsHeld } from './goods.ts';
import {
  answersOverTime,
  measureFlow,
  openRate,
  refusalFacts,
  requireStatuses,
  servedPerSecond,
} from './pace.ts';
import { auditUnits, equal, tallied, tallyOf } from './unit-audit.ts';

export interface FlashDropSize {
  readonly callers: number;
  readonly units: number;
  /** In the open loop; as many seconds as they take at its rate... */
  readonly shoppersMax: number;
  /** ...and fewer shoppers where that would take longer. */
  readonly dropSecondsMax: number;
  readonly warmUpSeconds: number;
  /** Of the closed loop in which all is sold out. */
  readonly soldOutSeconds: number;
}

const DROP: SkuRange = { prefix: 'DROP', count: 1 };
const WARM: SkuRange = { prefix: 'WARM', count: 1 };
const WARM_UNITS = 100_000_000;
const TTL_S = 2;
const THINK_MS = 300;
const FATES = { commitShare: 0.8, releaseShare: 0.1, thinkMs: THINK_MS, ttlSeconds: TTL_S };
/** After the last deadline, on a busy machine. */
const BACK_S_MAX = 60;
const REST_S_MAX = 60;
const SOLD_OUT = 409;

export const flashDrop = defineScenario<FlashDropSize>({
  name: 'flash-drop',
  about:
    '1,000 units (quick: 200), a crowd of distinct shoppers: time to sell out, rejections, exactness',
  runs: 'always',
  fullSeconds: 109,
  full: {
    callers: 256,
    units: 1_000,
    shoppersMax: 1_000_000,
    dropSecondsMax: 180,
    warmUpSeconds: 5,
    soldOutSeconds: 10,
  },
  quick: {
    units: 200,
    dropSecondsMax: 2.5,
    warmUpSeconds: 0.7,
    soldOutSeconds: 0.7,
  },
  run,
});

async function run(bench: Bench, size: FlashDropSize): Promise<Findings> {
  const { seed, onProgress } = bench;
  const { callers, units, warmUpSeconds, soldOutSeconds } = size;
  const world = await bench.open();
  const { url } = world.shop;
  const [dropIds, warmIds] = [skusOf(DROP), skusOf(WARM)];
  await putOnSale(url, [...cellsOf(dropIds, units), ...cellsOf(warmIds, WARM_UNITS)]);
  const crowd = (skus: SkuRange, keys: string, more: Partial<CheckoutParams> = {}): FlowSpec => {
    const wishes = { kind: 'one', skus, warehouse: WAREHOUSE } as const;
    const key = keys === '' ? {} : { keys: `flash-${keys}` };
    return { name: 'checkout', params: { seed: `${seed}/${keys}`, wishes, ...key, ...more } };
  };
  onProgress('warming up');
  const warmUp = { callers, seconds: warmUpSeconds };
  const warm = await measureFlow(world, 'warm-up', warmUp, crowd(WARM, 'warm'));
  const rate = openRate(warm);
  const shoppers = Math.min(size.shoppersMax, Math.floor(rate * size.dropSecondsMax));
  // Whoever holds a unit asks a second time.
  const seconds = Math.ceil((shoppers + 2 * units) / rate) + TTL_S;
  onProgress(`the drop: ${shoppers} shoppers at ${rate} a second`);
  const spec = crowd(DROP, 'drop', { ...FATES, shoppers });
  const drop = await measureFlow(world, 'the drop, open loop', { callers, seconds }, spec, rate);
  const backS = await whenNothingIsHeld(url, dropIds, BACK_S_MAX);
  const rest = await sellTheRest(world, dropIds, (left) =>
    crowd(DROP, 'buyers', { commitShare: 1, shoppers: left }),
  );
  onProgress('sold out');
  const late = { callers, seconds: soldOutSeconds };
  const keyed = await measureFlow(world, 'rejections, each with a key', late, crowd(DROP, 'late'));
  const bare = await measureFlow(world, 'rejections without keys', late, crowd(DROP, ''));
  onProgress('audit');
  const all = [drop, ...rest, keyed, bare];
  for (const phase of all) requireStatuses(phase, 'reserve', [201, SOLD_OUT]);
  const sold = tallyOf(all)('committedUnits');
  const audit = await auditUnits(
    world,
    [
      { skuIds: dropIds, received: units, phases: all, expires: true },
      { skuIds: warmIds, received: WARM_UNITS, phases: [warm] },
    ],
    [equal('units there were', units, 'were sold', sold)],
  );
  return {
    phases: [warm, ...all],
    facts: [...factsOf(drop, [keyed, bare], backS), ...refusalFacts([warm, ...all])],
    series: [
      answersOverTime('sold', drop, 'reserve', [201]),
      answersOverTime('sold out', drop, 'reserve', [SOLD_OUT]),
      answersOverTime('paid', drop, 'commit', [200]),
    ],
    audit,
  };
}

/** Nothing when the crowd was too small to buy all. */
function soldOutAfter(ms: number): Fact[] {
  if (ms === 0) return [];
  const what = 'first shopper to the first rejection';
  return [{ what, value: ms / 1_000, unit: 's', better: 'lower' }];
}

/** What came back too late for the crowd. */
async function sellTheRest(
  world: World,
  skuIds: readonly string[],
  buyers: (left: number) => FlowSpec,
): Promise<readonly Phase[]> {
  const { available: left } = await countUnits(world.shop.url, skuIds);
  if (left === 0) return [];
  const bounds = { callers: 8, seconds: REST_S_MAX };
  return [await measureFlow(world, 'the last units', bounds, buyers(left))];
}

function factsOf(drop: Phase, [keyed, bare]: readonly [Phase, Phase], backS: number): Fact[] {
  const { load } = drop;
  const higher = { unit: '/s', better: 'higher' } as const;
  return [
    { what: 'shoppers', value: tallied(load, 'shoppers'), unit: '' },
    ...soldOutAfter(tallied(load, 'firstRefusedMs')),
    { what: 'units held', value: tallied(load, 'heldUnits'), unit: '' },
    { what: 'units given back', value: tallied(load, 'releasedUnits'), unit: '' },
    { what: 'commits that came after the deadline', value: tallied(load, 'late'), unit: '' },
    { what: 'end of the drop to no hold left', value: backS, unit: 's' },
    { what: 'rejections, each with a key', value: servedPerSecond(keyed), ...higher },
    { what: 'rejections without keys', value: servedPerSecond(bare), ...higher },
  ];
}
