/**
 * What a cell, a live reservation and the tombstone of one take of Redis' memory, and what a SKU that
 * stands in 2,000 warehouses costs. No engine, persister or HTTP: the lane's own scripts fill an
 * emptied Redis, so the bytes are the product's; the log is trimmed as the persister trims it.
 *
 * Audited by the lane's count: units received = available + reserved, units of accepted reserves =
 * reserved, and after the releases nothing is reserved.
 */
import type { Redis } from 'ioredis';
import { HASHED_BUCKETS } from '../../engine/domain/reservation-id.ts';
import { atMost, type BudgetRow } from '../budgets.ts';
import { defineScenario, type Findings } from '../define-scenario.ts';
import { randomFrom } from '../load/random.ts';
import { type CartScripts, measureCarts } from '../measure/cart-scripts.ts';
import { type CellMemory, measureCells } from '../measure/cell-memory.ts';
import type { Anatomy } from '../measure/footprint.ts';
import { type HoldMemory, measureHolds } from '../measure/hold-memory.ts';
import type { ScriptCost } from '../measure/script-cost.ts';
import { measureWide, type WideSku } from '../measure/wide-sku.ts';
import type { AuditReport, Bench, Fact } from '../scenario.ts';

export interface MemorySize {
  /** Each in WAREHOUSES warehouses. */
  readonly skus: number;
  /** With ids of the engine's own, which stand together. */
  readonly madeHolds: number;
  /** With such, where more of them stand together than Redis packs. */
  readonly crowdedHolds: number;
  /** With Idempotency-Keys, which are spread: as many as show what that costs in many. */
  readonly keyedHolds: number;
  /** In which the one wide SKU stands. */
  readonly warehouses: number;
  /** Timed, of each kind of reserve of the wide SKU. */
  readonly batches: number;
}

const WAREHOUSES = 50;
/** The design's: 10M SKUs in 50 warehouses. */
const CELLS_GOAL = 500_000_000;
/** A script that runs longer is noticed by those who wait behind it. */
const SCRIPT_MS_MAX = 5;
const GIB = 2 ** 30;

export const memory = defineScenario<MemorySize>({
  name: 'memory',
  about: 'bytes of a cell, a live reservation and a tombstone; a SKU in 2,000 warehouses',
  runs: 'always',
  fullSeconds: 88,
  full: {
    skus: 100_000,
    madeHolds: 1_200_000,
    crowdedHolds: 300_000,
    keyedHolds: 600_000,
    warehouses: 2_000,
    batches: 200,
  },
  quick: { skus: 2_000, madeHolds: 20_000, crowdedHolds: 20_000, keyedHolds: 20_000, batches: 20 },
  run,
});

async function run(bench: Bench, size: MemorySize): Promise<Findings> {
  const { redis } = await bench.openStores();
  return await measureMemory(redis, size, bench.seed, bench.onProgress);
}

/** The Redis is emptied: it must be the bench's own. */
async function measureMemory(
  redis: Redis,
  size: MemorySize,
  seed: string,
  say: (what: string) => void,
): Promise<Findings> {
  const catalogue = { skus: size.skus, warehouses: WAREHOUSES };
  const cells = await measureCells(redis, catalogue, randomFrom(`memory/${seed}`), say);
  const holds = [
    await measureHolds(redis, 'made', size.madeHolds, say),
    await measureHolds(redis, 'crowded', size.crowdedHolds, say),
    await measureHolds(redis, 'keyed', size.keyedHolds, say),
  ];
  say(`a SKU in ${size.warehouses} warehouses`);
  const wide = await measureWide(redis, size.warehouses, size.batches);
  say('carts');
  const carts = await measureCarts(redis, size.batches);
  await redis.flushall('SYNC');
  return {
    facts: [
      ...cellFacts(cells),
      ...holds.flatMap(holdFacts),
      ...wideFacts(wide),
      ...carts.costs.flatMap(scriptFacts),
    ],
    budgets: [...budgetsOf(cells, holds, wide), ...carts.costs.map(scriptBudget)],
    audit: auditOf(cells, holds, wide, carts),
  };
}

function cellFacts({ cells, bytesPerCell, anatomy }: CellMemory): Fact[] {
  const gibOf = (count: number): number => (count * bytesPerCell) / GIB;
  return [
    { what: `cells filled, ${WAREHOUSES} warehouses a SKU`, value: cells, unit: 'cells' },
    { what: 'a cell', value: bytesPerCell, unit: 'bytes', better: 'lower' },
    ...anatomyFacts('a cell', anatomy),
    {
      what: '10M SKUs x 50 warehouses, extrapolated',
      value: gibOf(CELLS_GOAL),
      unit: 'GiB',
      better: 'lower',
    },
  ];
}

/** Where the bytes go: to what is said, to how Redis keeps it, and the rest to the keyspace. */
function anatomyFacts(what: string, { entries, payloadBytes, hashBytes }: Anatomy): Fact[] {
  return [
    { what: `${what}: name and value alone`, value: payloadBytes, unit: 'bytes' },
    { what: `${what}: with its share of the hash`, value: hashBytes, unit: 'bytes' },
    { what: `${what}: in one hash`, value: entries, unit: 'entries' },
  ];
}

function holdFacts(holds: HoldMemory): Fact[] {
  const { kind, live, bytesLive, bytesSettled, bytesTombstone, anatomy } = holds;
  const each = (what: string, value: number): Fact => ({
    what: `${what}, id ${kind}`,
    value,
    unit: 'bytes',
    better: 'lower',
  });
  return [
    { what: `live reservations, ids ${kind}`, value: live, unit: 'holds' },
    each('a live reservation of one line', bytesLive),
    each('settled, until its deadline', bytesSettled),
    each('a tombstone', bytesTombstone),
    ...anatomyFacts(`a tombstone, id ${kind}`, anatomy),
  ];
}

/**
 * Ids that are spread by hash share their buckets only when there are many: of a few each is alone in
 * its own, which says nothing of a sale. Crowded ones are for those who plan beyond what the budget is of.
 */
function isBudgeted({ kind, live }: HoldMemory): boolean {
  return kind === 'made' || (kind === 'keyed' && live >= 4 * HASHED_BUCKETS);
}

function wideFacts({ warehouses, bytesPerCell, costs }: WideSku): Fact[] {
  return [
    {
      what: `a cell of a SKU in ${warehouses} warehouses`,
      value: bytesPerCell,
      unit: 'bytes',
      better: 'lower',
    },
    ...costs.flatMap(scriptFacts),
  ];
}

function scriptFacts({ what, cpuUs, longestUs }: ScriptCost): Fact[] {
  return [
    { what: `${what}: CPU of Redis`, value: cpuUs / 1_000, unit: 'ms', better: 'lower' },
    { what: `${what}: longest script`, value: longestUs / 1_000, unit: 'ms', better: 'lower' },
  ];
}

function scriptBudget({ what, cpuUs }: ScriptCost): BudgetRow {
  return atMost(`${what}, CPU`, cpuUs / 1_000, SCRIPT_MS_MAX, 'ms');
}

function budgetsOf(cells: CellMemory, holds: readonly HoldMemory[], wide: WideSku): BudgetRow[] {
  return [
    atMost(`a cell, ${WAREHOUSES} warehouses a SKU`, cells.bytesPerCell, 20, 'bytes'),
    ...holds
      .filter(isBudgeted)
      .flatMap(({ kind, bytesLive, bytesTombstone }) => [
        atMost(`a live reservation, id ${kind}`, bytesLive, 200, 'bytes'),
        atMost(`a tombstone, id ${kind}`, bytesTombstone, 32, 'bytes'),
      ]),
    ...wide.costs.map(({ what, ...cost }) =>
      scriptBudget({ ...cost, what: `${wide.warehouses} warehouses: ${what}` }),
    ),
  ];
}

function auditOf(
  cells: CellMemory,
  holds: readonly HoldMemory[],
  wide: WideSku,
  carts: CartScripts,
): AuditReport {
  const n = (value: number): string => value.toLocaleString('en');
  const isWideExact = wide.reserved === wide.sold && wide.available + wide.sold === wide.received;
  return {
    ok:
      cells.received === cells.available &&
      holds.every(
        ({ live, reserved, reservedAfter }) => reserved === live && reservedAfter === 0,
      ) &&
      isWideExact &&
      carts.reserved === carts.sold &&
      carts.reservedAfter === 0,
    words: [
      `${n(cells.received)} units received in ${n(cells.cells)} cells, ${n(cells.available)} available`,
      ...holds.map(
        ({ kind, live, reserved, reservedAfter }) =>
          `${n(live)} reserves accepted (ids ${kind}), ${n(reserved)} units reserved; released: ${n(reservedAfter)}`,
      ),
      `the wide SKU: ${n(wide.received)} units = ${n(wide.available)} available + ${n(wide.reserved)} reserved, ${n(wide.sold)} accepted`,
      `carts: ${n(carts.sold)} units accepted, ${n(carts.reserved)} reserved; expired: ${n(carts.reservedAfter)}`,
    ],
  };
}
