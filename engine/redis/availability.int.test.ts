/**
 * Availability on a real Redis: however many SKUs are asked for, and wherever they stand, no script reads
 * more than its share; counted from what each has shown, so there is no clock in it.
 */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Sku } from '../domain/ids.ts';
import { CELLS_AT_ONCE, SCRIPT_WORK_MAX } from '../domain/script-limits.ts';
import { ByteReader } from '../events/bytes.ts';
import type { AvailabilityResult } from './lane-port.ts';
import { isFenced, readStamp } from './operation-codec.ts';
import { scriptDigest } from './script.ts';
import { KEYS, startTestLane, type TestLane } from './testing/test-lane.ts';

const RECEIPT_LINES = 1_000;
/** More cells than one script may read: such a SKU is read alone. */
const WIDEST = CELLS_AT_ONCE * SCRIPT_WORK_MAX + 1;
/** Warehouses of each SKU, by its name. */
const WIDTHS: Readonly<Record<string, number>> = {
  ...Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`FIRST${i}`, 1 + ((i * 7) % 30)])),
  WIDEST,
  ...Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`SMALL${i}`, 1])),
  ...Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`WIDE${i}`, 120])),
};
const SKUS = Object.keys(WIDTHS) as Sku[];

let t: TestLane;
/** How many SKUs each script has shown. */
let shown: number[] = [];
/** Called before each script is sent. */
let beforeScript: (script: number) => Promise<unknown> = async () => undefined;

beforeAll(async () => {
  t = await startTestLane();
  const cells = Object.entries(WIDTHS).flatMap(([sku, width]) =>
    Array.from({ length: width }, (_, i): [string, number] => [`${sku}@C${i}`, i + 1]),
  );
  for (let at = 0; at < cells.length; at += RECEIPT_LINES) {
    await t.receive(Object.fromEntries(cells.slice(at, at + RECEIPT_LINES)));
  }
  // The first time a script goes by its text, then by its digest.
  await t.lane.availability([]);
  watchScripts();
});
afterAll(() => t.stop());
beforeEach(() => {
  shown = [];
  beforeScript = async () => undefined;
});

function watchScripts(): void {
  const send = t.redis.callBuffer.bind(t.redis);
  t.redis.callBuffer = async (...args: unknown[]) => {
    const isAvailability = String(args[1]) === scriptDigest('availability');
    if (isAvailability) await beforeScript(shown.length);
    const reply: unknown = await Reflect.apply(send, t.redis, args);
    if (!isAvailability || !Buffer.isBuffer(reply)) return reply;
    const reader = new ByteReader(reply);
    if (!isFenced(readStamp(reader))) shown.push(reader.u16());
    return reply;
  };
}

async function readAll(): Promise<AvailabilityResult> {
  const answer = await t.lane.availability(SKUS);
  if (answer.outcome !== 'applied') throw new Error(answer.outcome);
  return answer;
}

it('is read in pieces, none of which is more than a script may read', async () => {
  const { skus, stamp } = await readAll();
  expect(skus.map(({ sku }) => sku)).toEqual(SKUS);
  for (const { sku, known, cells } of skus) {
    expect(known).toBe(true);
    const sum = cells.reduce((total, { available }) => total + available, 0);
    const width = WIDTHS[sku] ?? 0;
    expect([cells.length, sum], sku).toEqual([width, (width * (width + 1)) / 2]);
  }
  expect(skus.at(-1)?.stamp).toEqual(stamp);
  expect(shown.reduce((sum, count) => sum + count, 0)).toBe(SKUS.length);
  let at = 0;
  for (const count of shown) {
    const piece = skus.slice(at, at + count);
    at += count;
    expect(new Set(piece.map((each) => each.stamp)).size).toBe(1);
    const work = piece.reduce((sum, { cells }) => sum + 1 + cells.length / CELLS_AT_ONCE, 0);
    if (count > 1) expect(work).toBeLessThanOrEqual(SCRIPT_WORK_MAX);
  }
  // Whatever fits is read together: the widest alone, the others in a few.
  expect(shown).toContain(1);
  expect(shown.length).toBeLessThanOrEqual(6);
});

it('lets others in between, and each SKU says of which instant it is', async () => {
  const last = SKUS.at(-1) ?? '';
  beforeScript = async (script) => {
    if (script === 1) await t.receive({ 'FIRST0@C0': 100, [`${last}@C0`]: 100 });
  };
  const { skus } = await readAll();
  const [before, after] = [skus[0], skus.at(-1)];
  expect(before?.cells[0]).toMatchObject({ field: 'C0', available: 1 });
  expect(after?.cells.find(({ field }) => field === 'C0')).toMatchObject({ available: 101 });
  expect(after?.stamp.seq).toBeGreaterThan(before?.stamp.seq ?? Infinity);
});

it('is refused as a whole when the lane closes between two pieces', async () => {
  beforeScript = async (script) => {
    if (script === 1) await t.redis.hset(KEYS.meta, 'state', 'closed');
  };
  expect((await t.lane.availability(SKUS)).outcome).toBe('fenced');
  await t.redis.hset(KEYS.meta, 'state', 'open');
});

it('takes one script when nothing is asked for, to see whether the lane is open', async () => {
  expect(await t.lane.availability([])).toMatchObject({ outcome: 'applied', skus: [] });
  expect(shown).toEqual([0]);
});
