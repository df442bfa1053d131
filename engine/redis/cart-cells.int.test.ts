/**
 * At how many warehouses a cart may look: those that its lines name, and where a line names none all
 * where its SKU stands. Counted by what Redis is asked for, so there is no clock in it.
 */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { CART_CELLS_MAX } from '../domain/script-limits.ts';
import { reserve, startTestLane, type TestLane } from './testing/test-lane.ts';

/** Each stands in a quarter of what a cart may look at. */
const WIDE = ['W0', 'W1', 'W2', 'W3'];
const EACH = CART_CELLS_MAX / WIDE.length;
const PLENTY = 1_000;

let t: TestLane;
let id: Buffer;

beforeAll(async () => {
  t = await startTestLane();
  for (const sku of WIDE) await stand(sku, EACH);
  await stand('VAST', CART_CELLS_MAX + 1);
  // With a neighbour that has read the one, there is room in its script for the other.
  await stand('BROAD', CART_CELLS_MAX - 1);
  await stand('PAIR', 2);
  await t.receive({ 'ONE@A': PLENTY, 'TWO@A': PLENTY });
});
afterAll(() => t.stop());
beforeEach(() => {
  id = t.ids.make(t.lane.nowMs(), 0);
});

async function stand(sku: string, warehouses: number): Promise<void> {
  for (let at = 0; at < warehouses; at += 1_000) {
    const fields = Array.from({ length: Math.min(1_000, warehouses - at) }, (_, i) => at + i);
    await t.receive(Object.fromEntries(fields.map((i) => [`${sku}@C${i}`, PLENTY])));
  }
}

const open = (skus: readonly string[]): Record<string, number> =>
  Object.fromEntries(skus.map((sku) => [sku, 1]));

/** The outcome, and how many cells Redis gave to the script. */
async function ask(lines: Record<string, number>) {
  await t.redis.config('RESETSTAT');
  const { outcome } = await t.submit(reserve(id, lines));
  const stats = await t.redis.info('commandstats');
  const calls = (name: string) =>
    Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  return { outcome, reads: calls('hgetall'), writes: calls('xadd') };
}

it('is served as long as its lines look at no more than the bound', async () => {
  expect(await ask(open(WIDE))).toMatchObject({ outcome: 'created', reads: WIDE.length });
});

it('is refused before it has read a cell, and stores nothing', async () => {
  const before = await t.entries();
  const refused = { outcome: 'limit_exceeded', reads: 0, writes: 0 };
  expect(await ask({ ...open(WIDE), 'ONE@A': 1 })).toEqual(refused);
  expect(await ask(open(['VAST', 'ONE']))).toEqual(refused);
  // What is not known is found later: nothing was looked at.
  expect(await ask(open([...WIDE, 'ONE', 'NOBODY']))).toEqual(refused);
  expect((await t.entries()).length).toBe(before.length);
  expect((await t.submit({ kind: 'inspect', id })).outcome).toBe('not_found');
});

it('may be tried again under the same id, with warehouses, and is answered again when it is there', async () => {
  const all = { ...open(WIDE), 'ONE@A': 1 };
  expect((await ask(all)).outcome).toBe('limit_exceeded');
  const named = Object.fromEntries([...WIDE.map((sku) => [`${sku}@C7`, 1]), ['ONE@A', 1]]);
  expect((await ask(named)).outcome).toBe('created');
  expect((await ask(named)).outcome).toBe('exists');
});

it('counts a SKU that several lines ask for once', async () => {
  const line = { sku: 'W0' as never, quantity: 1, fields: [] };
  const lines = Array.from({ length: WIDE.length + 1 }, () => line);
  const answer = await t.submit({ ...reserve(id, {}), lines });
  expect(answer.outcome).toBe('created');
});

it('does not keep a SKU that stands in more warehouses than that from being sold', async () => {
  expect(await ask(open(['VAST']))).toMatchObject({ outcome: 'created', reads: 1 });
});

it('is decided the same whatever a neighbour in its batch has read before', async () => {
  const ids = [t.ids.make(t.lane.nowMs(), 0), t.ids.make(t.lane.nowMs(), 0)];
  const answers = await Promise.all(
    [open(['BROAD']), open(['BROAD', 'PAIR'])].map((lines, i) =>
      t.submit(reserve(ids[i] ?? id, lines, { fresh: true })),
    ),
  );
  expect(answers.map(({ outcome }) => outcome)).toEqual(['created', 'limit_exceeded']);
});
