/**
 * A batch of reserves decides the same whether its members stand in runs or each for itself: any
 * mix of SKUs, warehouses, quantities, TTLs and attributes, more than there is of some, under fresh ids and
 * under those of keys, which may have been used today, yesterday, or in the same batch. `fresh` and `apart`
 * alone make the difference, so the same batch goes to two lanes, with them and without. Some stand in
 * no run anyhow, and come behind the runs, upon the cells and the holds that these have changed.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CellField, Sku } from '../domain/ids.ts';
import { addressOf, generationOf, packId } from '../domain/reservation-id.ts';
import { OPERATION_STATE } from '../events/hold-codec.ts';
import type { OperationResult, ReserveOperation } from './operation.ts';
import { KEYS, open, startTestLane, TERM, type TestLane } from './testing/test-lane.ts';

const SEED = Number(process.env.HOLDFAST_TEST_SEED ?? Math.trunc(Math.random() * 2 ** 31));
const RUNS = process.env.HOLDFAST_TEST_LONG === '1' ? 400 : 40;
const PLENTY = 1_000;
/** Lane time stands: the clock of Redis is far behind what meta says. */
const STANDING_MS = 4_000_000_000_250;
const KEYS_MAX = 300;
/** The first keys were used: these today, as many more yesterday. */
const USED_KEYS = 20;

interface Wish {
  readonly sku: string;
  readonly warehouse: string;
  readonly quantity: number;
  readonly ttlS: number;
  readonly attributes: string;
  readonly bucket: number;
  /** Of a client; without it the id is fresh. */
  readonly key: number | undefined;
  readonly hasOtherPayload: boolean;
  /** In no run; of one warehouse, of several in order, or of any. */
  readonly single?: readonly string[];
}

const wish: fc.Arbitrary<Wish> = fc.record({
  sku: fc.constantFrom('HOT', 'COLD', 'NEVER-RECEIVED', 'NOBODY-KNOWS'),
  warehouse: fc.constantFrom('A', 'B', 'NOWHERE'),
  quantity: fc.constantFrom(1, 1, 1, 2, 3),
  ttlS: fc.constantFrom(600, 601),
  attributes: fc.constantFrom('', '', '{"order_id":"1"}', '{"customer_id":"Zoë"}'),
  bucket: fc.integer({ min: 0, max: 2 }),
  key: fc.oneof(fc.constant(undefined), fc.integer({ min: 0, max: KEYS_MAX - 1 })),
  hasOtherPayload: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true)),
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
  const id = each.key === undefined ? madeId(each, index, round) : keyedId(each.key);
  const payload = each.key === undefined ? index + 1 : each.key;
  const fingerprint = Buffer.alloc(8);
  fingerprint.writeUInt32BE(payload + (each.hasOtherPayload ? KEYS_MAX : 0));
  const line = {
    sku: each.sku as Sku,
    quantity: each.quantity,
    fields: (each.single ?? [each.warehouse]) as CellField[],
  };
  return {
    kind: 'reserve',
    id,
    fresh: fresh && each.single === undefined && each.key === undefined,
    ...((!fresh || each.single !== undefined) && { apart: true }),
    fingerprint,
    ttlS: each.ttlS,
    partial: false,
    split: true,
    attributes: each.attributes,
    lines: [line],
  };
}

function madeId({ bucket }: Wish, index: number, round: number): Buffer {
  const id = packId(`hf_${'0'.repeat(32)}`);
  id.writeUInt16BE(generationOf(STANDING_MS), 1);
  id.writeUIntBE(bucket, 5, 3);
  id[12] = index;
  id.writeUInt32BE(round, 13);
  return id;
}

/** Several keys have the same bucket. */
function keyedId(key: number): Buffer {
  const id = packId(`ik_${'0'.repeat(32)}`);
  id.writeUInt32BE(key, 5);
  id.writeUIntBE(key % 40, 14, 3);
  return id;
}

/** Holds under the first keys, of today and of yesterday. */
async function useKeys(t: TestLane): Promise<void> {
  const used = { sku: 'USED', warehouse: 'A', quantity: 1, ttlS: 900, attributes: '' };
  for (let key = 0; key < 2 * USED_KEYS; key++) {
    const wish = { ...used, bucket: 0, key, hasOtherPayload: false };
    const operation = operationOf(wish, 0, 0, false);
    expect(await t.submit(operation)).toMatchObject({ outcome: 'created' });
    if (key < USED_KEYS) continue;
    const today = generationOf(STANDING_MS);
    const { bucket } = addressOf(operation.id);
    const [from, to] = [today, today - 1].map((day) => `hf:{0}:hold:${day}:${bucket}`);
    const record = await t.redis.hgetBuffer(from ?? '', operation.id);
    await t.redis.hset(to ?? '', operation.id, record ?? '');
    await t.redis.hdel(from ?? '', operation.id);
  }
}

async function begin(t: TestLane, units: number, round: number): Promise<void> {
  await t.redis.flushall();
  await open(t.state, TERM + round);
  await t.redis.hset(KEYS.meta, 'time', STANDING_MS);
  const adjust = { 'HOT@A': units, 'HOT@B': 2, 'COLD@A': 1, 'COLD@B': 1, 'USED@A': 99 };
  await t.receive(adjust);
  await useKeys(t);
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
      // Who comes again in the same batch is decided behind it, unless he asks for the same.
      const wanted = isEnough ? inOrder : inOrder.map(withKeyOfItsOwn);
      const [together, apart] = await Promise.all(
        [inRuns, alone].map(async (t) => {
          await begin(t, units, round);
          const results = await Promise.all(
            wanted.map((each, i) => t.submit(operationOf(each, i, round, t === inRuns))),
          );
          return stateOf(t, results);
        }),
      );
      expect(together).toEqual(apart);
    },
  );
  await fc.assert(property, { seed: SEED, numRuns: RUNS });
});

/** A key that was used before may be used by one of the batch, too. */
function withKeyOfItsOwn(each: Wish, index: number, all: readonly Wish[]): Wish {
  const isFirst = all.findIndex(({ key }) => key === each.key) === index;
  return each.key === undefined || isFirst ? each : { ...each, key: KEYS_MAX + index };
}

const termsOf = ({ sku, warehouse, quantity, ttlS }: Wish) =>
  `${sku} ${warehouse} ${quantity} ${ttlS}`;
