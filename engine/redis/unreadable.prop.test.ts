/**
 * One broken cell in a batch of 64 reserves over 8 SKUs, broken in every way: the operations that need
 * it are refused and nothing of it is written; all others are decided as if those had not been asked,
 * which is what a twin lane with whole cells is there for. And what Lua can read is what TypeScript can.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CellField, Sku } from '../domain/ids.ts';
import { addressOf, generationOf, packId } from '../domain/reservation-id.ts';
import { encodeCell } from '../events/cell-codec.ts';
import { decodeHold, encodeHold, OPERATION_STATE } from '../events/hold-codec.ts';
import type { OperationResult, ReserveOperation } from './operation.ts';
import { KEYS, open, reserve, startTestLane, TERM, type TestLane } from './testing/test-lane.ts';
import { readableCell } from './unreadable.ts';

const SEED = Number(process.env.HOLDFAST_TEST_SEED ?? Math.trunc(Math.random() * 2 ** 31));
const IS_LONG = process.env.HOLDFAST_TEST_LONG === '1';
const BATCH_RUNS = IS_LONG ? 300 : 30;
const BYTES_RUNS = IS_LONG ? 5_000 : 500;
const TIMEOUT_MS = 300_000;
/** Lane time stands: the clock of Redis is far behind what meta says. */
const STANDING_MS = 4_000_000_000_250;
const BATCH = 64;
const SKUS = Array.from({ length: 8 }, (_, i) => `SKU-${i}` as Sku);

let lane: TestLane;
let twin: TestLane;
beforeAll(async () => {
  [lane, twin] = await Promise.all([startTestLane(), startTestLane()]);
});
afterAll(() => Promise.all([lane.stop(), twin.stop()]));

const count = fc.oneof(fc.integer({ min: -3, max: 300 }), fc.maxSafeInteger());
const cellBytes = fc
  .record({ available: count, reserved: count, allocated: count, version: count })
  .map(encodeCell);
const flipped = (whole: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  fc.tuple(whole, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([bytes, at, by]) => {
    const copy = Buffer.from(bytes);
    copy[at % copy.length] = (copy[at % copy.length] ?? 0) ^ by;
    return copy;
  });
const bytesUpTo = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes));
/** Empty, cut off, too long, with another head or byte, or anything at all. */
const damaged = (whole: fc.Arbitrary<Buffer>, maxLength: number): fc.Arbitrary<Buffer> =>
  fc.oneof(
    fc.constant(Buffer.alloc(0)),
    fc.tuple(whole, fc.nat()).map(([bytes, length]) => bytes.subarray(0, length % bytes.length)),
    fc.tuple(whole, bytesUpTo(9)).map((parts) => Buffer.concat(parts)),
    flipped(whole),
    bytesUpTo(maxLength),
  );
const broken = damaged(cellBytes, 300).filter((bytes) => readableCell(bytes) === undefined);

interface Wish {
  readonly form: 'run' | 'named' | 'cart' | 'partial';
  readonly skus: readonly Sku[];
  readonly units: number;
}

const wish: fc.Arbitrary<Wish> = fc.record({
  form: fc.constantFrom('run', 'run', 'named', 'cart', 'partial'),
  skus: fc.uniqueArray(fc.constantFrom(...SKUS), { minLength: 2, maxLength: 3 }),
  units: fc.constantFrom(1, 1, 2, 5),
});

function operationOf({ form, skus, units }: Wish, index: number): ReserveOperation {
  const named = form === 'cart' || form === 'partial' ? skus : skus.slice(0, 1);
  const lines = Object.fromEntries(named.map((sku) => [`${sku}@A`, units]));
  if (form !== 'run')
    return reserve(packId(`client-${index}`), lines, { partial: form === 'partial' });
  const id = packId(`hf_${'0'.repeat(32)}`);
  id.writeUInt16BE(generationOf(STANDING_MS), 1);
  id.writeUInt32BE(index, 13);
  return reserve(id, lines, { fresh: true });
}

async function begin(t: TestLane, round: number): Promise<void> {
  await t.redis.flushall();
  await open(t.state, TERM + round);
  await t.redis.hset(KEYS.meta, 'time', STANDING_MS);
  // Less than is asked for of most.
  await t.receive(Object.fromEntries(SKUS.map((sku, i) => [`${sku}@A`, 4 + 4 * i])));
}

/** Cells, reservations and deadlines, byte for byte, but for one key. */
async function contents(t: TestLane, except: string): Promise<Record<string, string[]>> {
  const all: Record<string, string[]> = {};
  for (const key of (await t.redis.keys('hf:{0}:*')).sort()) {
    if (key.includes(':due:')) {
      all[key] = (await t.redis.lrangeBuffer(key, 0, -1)).map((bytes) => bytes.toString('hex'));
    } else if (/:(stock|hold|cart):/.test(key) && key !== except) {
      const fields = await t.redis.hgetallBuffer(key);
      // The receipt of the stock has another id in each lane.
      const kept = Object.entries(fields).filter(([, bytes]) => bytes[0] !== OPERATION_STATE);
      if (kept.length === 0) continue;
      all[key] = kept.map(([field, bytes]) => `${field} ${bytes.toString('hex')}`).sort();
    }
  }
  return all;
}

const submitAll = (t: TestLane, operations: readonly ReserveOperation[]) =>
  Promise.all(operations.map((each) => t.submit(each)));

const told = ({ outcome, record, shortages }: OperationResult) => ({ outcome, record, shortages });

it(
  `refuses what needs the cell, and decides the rest as without it (seed ${SEED})`,
  async () => {
    let round = 0;
    const property = fc.asyncProperty(
      fc.array(wish, { minLength: BATCH, maxLength: BATCH }),
      fc.constantFrom(...SKUS),
      broken,
      async (wishes, sku, bytes) => {
        round += 1;
        await Promise.all([begin(lane, round), begin(twin, round)]);
        await lane.redis.hset(KEYS.stock(sku), 'A', bytes);
        const operations = wishes.map(operationOf);
        const needs = (each: ReserveOperation) => each.lines.some((line) => line.sku === sku);
        // A partial cart goes on without that line, so it is no repeat of what the twin is asked.
        const asked = operations.filter((each) => !(each.partial && needs(each)));
        const results = await submitAll(lane, asked);
        expect(new Set(results.flatMap(({ stamp }) => stamp?.seq ?? [])).size).toBe(1);
        const rest = asked.filter((each) => !needs(each));
        const expected = await submitAll(twin, rest);
        expect(results.filter((_, i) => needs(asked[i] as ReserveOperation))).toEqual(
          asked.filter(needs).map(() => expect.objectContaining({ outcome: 'unreadable' })),
        );
        expect(results.filter((_, i) => !needs(asked[i] as ReserveOperation)).map(told)).toEqual(
          expected.map(told),
        );
        expect(await lane.redis.hgetBuffer(KEYS.stock(sku), 'A')).toEqual(bytes);
        const key = KEYS.stock(sku);
        expect(await contents(lane, key)).toEqual(await contents(twin, key));
      },
    );
    await fc.assert(property, { seed: SEED, numRuns: BATCH_RUNS });
  },
  TIMEOUT_MS,
);

it(
  `reads the cells that TypeScript reads, and no others (seed ${SEED})`,
  async () => {
    await begin(lane, 1_000);
    let asked = 0;
    const property = fc.asyncProperty(
      fc.oneof(cellBytes, damaged(cellBytes, 40)),
      async (bytes) => {
        asked += 1;
        await lane.redis.hset(KEYS.stock('SKU-0'), 'A', bytes);
        const { outcome } = await lane.submit(reserve(packId(`id-${asked}`), { 'SKU-0@A': 1 }));
        const cell = readableCell(bytes);
        const isCountable = Object.values(cell ?? {}).every((n) => Math.abs(n) <= 2 ** 52);
        if (cell !== undefined && isCountable) expect(outcome).not.toBe('unreadable');
        else expect(outcome).toBe('unreadable');
      },
    );
    await fc.assert(property, { seed: SEED, numRuns: BYTES_RUNS });
  },
  TIMEOUT_MS,
);

const record = fc
  .record({
    state: fc.constantFrom('held', 'committed', 'released', 'expired', 'closed'),
    keys: fc.array(fc.constant(Buffer.alloc(8, 7)), { maxLength: 3 }),
    lines: fc.integer({ min: 1, max: 3 }),
    number: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  })
  .map(({ state, keys, lines, number }) => {
    const common = { fingerprint: Buffer.from('12345678'), createdS: 5, operations: keys };
    const placed = Array.from({ length: lines }, (_, line) => ({
      ...{ line, sku: SKUS[line] ?? ('' as Sku), requested: 2 },
      placements: [{ field: 'A' as CellField, quantity: 2 }],
    }));
    const live = { ...common, version: 1, lines: placed };
    switch (state) {
      case 'held':
        return encodeHold({ ...live, state: 'held', deadlineS: number });
      case 'committed':
        return encodeHold({ ...live, state: 'committed', commitFingerprint: number });
      case 'closed':
        return encodeHold({
          ...common,
          ...{ state: 'closed', commitFingerprint: number, closedBy: 'ship' },
        });
      default:
        return encodeHold({ ...common, state: state as 'released' });
    }
  });

function isRecord(bytes: Buffer): boolean {
  try {
    decodeHold(bytes);
    return true;
  } catch {
    return false;
  }
}

it(
  `reads the records that TypeScript reads, and no others (seed ${SEED})`,
  async () => {
    await begin(lane, 9_000);
    const id = packId('client');
    const key = KEYS.hold(generationOf(STANDING_MS), addressOf(id).bucket);
    const property = fc.asyncProperty(fc.oneof(record, damaged(record, 90)), async (bytes) => {
      fc.pre(bytes[0] !== OPERATION_STATE);
      await lane.redis.hset(key, id, bytes);
      const { outcome } = await lane.submit({ kind: 'inspect', id });
      expect(outcome).toBe(isRecord(bytes) ? 'exists' : 'unreadable');
    });
    await fc.assert(property, { seed: SEED, numRuns: BYTES_RUNS });
  },
  TIMEOUT_MS,
);
