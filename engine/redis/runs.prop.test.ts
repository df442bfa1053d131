/**
 * A batch of reserves decides the same whether its members stand in runs or each for itself: any
 * mix of SKUs, warehouses, quantities, TTLs and attributes, more than there is of some. `fresh`
 * alone makes the difference, so the same batch goes to two lanes, with it and without. Some stand in
 * no run anyhow, and come behind the runs, upon the cells that these have changed.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CellField, Sku } from '../domain/ids.ts';
import { generationOf, packId } from '../domain/reservation-id.ts';
import { OPERATION_STATE } from '../events/hold-codec.ts';
import type { OperationResult, ReserveOperation } from './operation.ts';
import { KEYS, open, startTestLane, TERM, type TestLane } from './testing/test-lane.ts';

const SEED = Number(process.env.HOLDFAST_TEST_SEED ?? Math.trunc(Math.random() * 2 ** 31));
const RUNS = process.env.HOLDFAST_TEST_LONG === '1' ? 400 : 40;
const PLENTY = 1_000;
/** Lane time stands: the clock of Redis is far behind what meta says. */
const STANDING_MS = 4_000_000_000_250;

interface Wish {
  readonly sku: string;
  readonly warehouse: string;
  readonly quantity: number;
  readonly ttlS: number;
  readonly attributes: string;
  readonly bucket: number;
  /** Not fresh; of one warehouse, of several in order, or of any. */
  readonly single?: readonly string[];
}

const wish: fc.Arbitrary<Wish> = fc.record({
  sku: fc.constantFrom('HOT', 'COLD', 'NEVER-RECEIVED', 'NOBODY-KNOWS'),
  warehouse: fc.constantFrom('A', 'B', 'NOWHERE'),
  quantity: fc.constantFrom(1, 1, 1, 2, 3),
  ttlS: fc.constantFrom(600, 601),
  attributes: fc.constantFrom('', '', '{"order_id":"1"}', '{"customer_id":"Zoë"}'),
  bucket: fc.integer({ min: 0, max: 2 }),
});
const single: fc.Arbitrary<Wish> = fc
  .tuple(wish, fc.constantFrom([], [], ['A'], ['A', 'B'], ['B', 'NOWHERE', 'A']))
  .map(([each, fields]) => ({ ...each, single: fields }));
const followed = (runs: fc.Arbitrary<Wish[]>): fc.Arbitrary<Wish[]> =>
  fc
    .tuple(runs, fc.oneof(fc.constant([]), fc.array(single, { minLength: 1, maxLength: 10 })))
    .map(([some, more]) => [...some, ...more]);
let inRuns: TestLane;
let alone: TestLane;
beforeAll(async () => {
  [inRuns, alone] = await Promise.all([startTestLane(), startTestLane()]);
});
afterAll(() => Promise.all([inRuns.stop(), alone.stop()]));

function operationOf(each: Wish, index: number, round: number, fresh: boolean): ReserveOperation {
  const id = packId(`hf_${'0'.repeat(32)}`);
  id.writeUInt16BE(generationOf(STANDING_MS), 1);
  id.writeUIntBE(each.bucket, 5, 3);
  id[12] = index;
  id.writeUInt32BE(round, 13);
  const fingerprint = Buffer.alloc(8, index + 1);
  const line = {
    sku: each.sku as Sku,
    quantity: each.quantity,
    fields: (each.single ?? [each.warehouse]) as CellField[],
  };
  return {
    kind: 'reserve',
    id,
    fresh: fresh && each.single === undefined,
    fingerprint,
    ttlS: each.ttlS,
    partial: false,
    split: true,
    attributes: each.attributes,
    lines: [line],
  };
}

async function begin(t: TestLane, units: number, round: number): Promise<void> {
  await t.redis.flushall();
  await open(t.state, TERM + round);
  await t.redis.hset(KEYS.meta, 'time', STANDING_MS);
  const adjust = { 'HOT@A': units, 'HOT@B': 2, 'COLD@A': 1, 'COLD@B': 1 };
  await t.receive(adjust);
  await t.redis.hset(KEYS.stock('NEVER-RECEIVED'), '', '');
}

/** What a client is told, and what every reader of the store will see. */
async function stateOf(t: TestLane, results: OperationResult[]) {
  const holds: string[] = [];
  for (const key of await t.redis.keys('hf:{0}:hold:*')) {
    const found = (await t.redis.callBuffer('HGETALL', key)) as Buffer[];
    for (let i = 0; i < found.length; i += 2) {
      const [id, bytes] = [found[i], found[i + 1]];
      // The receipt of the units has an id of its own in each lane.
      if (bytes?.[0] === OPERATION_STATE) continue;
      holds.push(`${key} ${id?.toString('hex')} ${bytes?.toString('hex')}`);
    }
  }
  const due = await Promise.all(
    (await t.redis.keys('hf:{0}:due:*')).map(async (key) => {
      const elements = await t.redis.lrangeBuffer(key, 0, -1);
      const references = Buffer.concat(elements).toString('hex').match(/.{46}/g) ?? [];
      return [key, references.sort()];
    }),
  );
  const changes = (await t.entries()).flatMap(({ cells, changes: all }) =>
    all.filter(({ type }) => type === 'reserved').map(forReaders(cells)),
  );
  return {
    results: results.map(({ outcome, record, shortages }) => ({ outcome, record, shortages })),
    cells: await Promise.all(['HOT', 'COLD'].map((sku) => t.cells(sku))),
    seconds: await t.redis.zrange(KEYS.deadlines, '0', '-1'),
    due: Object.fromEntries(due) as unknown,
    holds: holds.sort(),
    changes: changes.sort(),
  };
}

/** A change without the index of its cell, which depends on the order of deciding. */
function forReaders(cells: readonly { readonly sku: string; readonly field: string }[]) {
  return (change: unknown): string =>
    JSON.stringify(change, (key, value: unknown) => {
      if (key !== 'cell') return value;
      const cell = cells[value as number];
      return `${cell?.sku}@${cell?.field}`;
    });
}

it(`decides in runs as alone (seed ${SEED})`, { timeout: 120_000 }, async () => {
  let round = 0;
  const property = fc.asyncProperty(
    // Enough of one SKU that what is due in a second fills more than one element.
    followed(
      fc.oneof(
        fc.array(wish, { minLength: 1, maxLength: 40 }),
        fc.array(
          wish.map((each) => ({ ...each, sku: 'HOT', warehouse: 'A', quantity: 1 })),
          {
            minLength: 120,
            maxLength: 200,
          },
        ),
        // All of several runs hold, so that the columns go into the entry as they came.
        fc.array(
          wish.map((each) => ({ ...each, sku: 'HOT', warehouse: 'A' })),
          {
            minLength: 2,
            maxLength: 200,
          },
        ),
      ),
    ),
    fc.oneof(fc.integer({ min: 1, max: 150 }), fc.constant(PLENTY)),
    async (wishes, units) => {
      round++;
      // Alone, reserves are decided in their order; in runs, run by run. So only what does not
      // depend on the order may be compared: those who want the same stand together, unless there is
      // enough for all.
      const isEnough =
        units === PLENTY &&
        wishes.every((each) => each.single !== undefined || each.sku + each.warehouse === 'HOTA');
      const sorted = isEnough
        ? wishes
        : [...wishes].sort((a, b) => (termsOf(a) < termsOf(b) ? -1 : 1));
      const isSingle = (each: Wish) => each.single !== undefined;
      const inOrder = sorted.filter((each) => !isSingle(each)).concat(sorted.filter(isSingle));
      const [together, apart] = await Promise.all(
        [inRuns, alone].map(async (t) => {
          await begin(t, units, round);
          const results = await Promise.all(
            inOrder.map((each, i) => t.submit(operationOf(each, i, round, t === inRuns))),
          );
          return stateOf(t, results);
        }),
      );
      expect(together).toEqual(apart);
    },
  );
  await fc.assert(property, { seed: SEED, numRuns: RUNS });
});

const termsOf = ({ sku, warehouse, quantity, ttlS }: Wish) =>
  `${sku} ${warehouse} ${quantity} ${ttlS}`;
