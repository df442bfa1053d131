/**
 * Sold out, over two engines on real stores: what a rejection costs the lane, who is not rejected,
 * and when a unit that came back is sold. The engines' clocks stand still until the test moves them.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../testing/engine.ts';
import type { ReservationAnswer } from './answer.ts';
import { Cart, mergeItems } from './cart.ts';
import type { ReservationDeps } from './deps.ts';
import { PUBLIC_CALLER } from './identity.ts';
import { reserve } from './reserve.ts';
import { SoldOutCache } from './sold-out.ts';

const AGE_MS = 200;
const TEST_MS_MAX = 60_000;

interface Shop {
  readonly deps: ReservationDeps;
  readonly clock: { ms: number };
  /** Operations that its lane was given. */
  readonly asked: { count: number };
}

let t: TestEngine;
let one: Shop;
let other: Shop;

beforeAll(async () => {
  t = await startTestEngine();
  one = shopOf(t.serving.engine);
  other = shopOf((await t.startAnother()).engine);
}, TEST_MS_MAX);

afterAll(() => t.close(), TEST_MS_MAX);

function shopOf(engine: ReservationDeps): Shop {
  const clock = { ms: 0 };
  const asked = { count: 0 };
  const { lane } = engine;
  const submit: typeof lane.submit = (...operation) => {
    asked.count += 1;
    lane.submit(...operation);
  };
  const soldOut = new SoldOutCache({ ageMsMax: AGE_MS, now: () => clock.ms });
  return { deps: { ...engine, lane: { ...lane, submit }, soldOut }, clock, asked };
}

function buy({ deps }: Shop, sku: string, idempotencyKey?: string): Promise<ReservationAnswer> {
  const lines = mergeItems([{ sku_id: sku, quantity: 1 }]);
  if (!Array.isArray(lines)) throw new Error('the cart overflowed');
  const cart = new Cart(lines, { partial: false, split: true, ttlS: undefined, attributes: '' });
  const who = { caller: PUBLIC_CALLER, idempotencyKey, reservationId: undefined };
  return new Promise((done) => reserve({ cart, level: 'memory', ...who }, deps, done));
}

/** Sells the only unit, and lets both engines know that it is gone. */
async function sellOut(sku: string): Promise<ReservationAnswer> {
  await t.stock({ [`${sku}@A`]: 1 });
  const sold = await buy(one, sku, `holder of ${sku}`);
  expect(sold).toMatchObject({ outcome: 'created' });
  for (const shop of [one, other]) {
    expect(await buy(shop, sku)).toMatchObject({ outcome: 'insufficient' });
  }
  return sold;
}

const idOf = (answer: ReservationAnswer): string => ('id' in answer ? String(answer.id) : '');

it(
  'costs the lane nothing until its time is over',
  async () => {
    await sellOut('GONE');
    const before = one.asked.count;
    for (let i = 0; i < 1_000; i += 1) {
      expect(await buy(one, 'GONE')).toMatchObject({
        kind: 'decided',
        outcome: 'insufficient',
        shortages: [{ line: 0, available: 0 }],
      });
    }
    expect(one.asked.count - before).toBe(0);
    one.clock.ms += AGE_MS;
    await buy(one, 'GONE');
    expect(one.asked.count - before).toBe(1);
  },
  TEST_MS_MAX,
);

it(
  'is not said to a holder who asks again',
  async () => {
    const sold = await sellOut('MINE');
    for (const shop of [one, other]) {
      const again = await buy(shop, 'MINE', 'holder of MINE');
      expect(again).toMatchObject({ outcome: 'exists', replayed: true, id: idOf(sold) });
    }
  },
  TEST_MS_MAX,
);

it.each([
  [
    'released',
    async (id: string) => t.call('POST', '/api/v1/inventory/release', { reservation_id: id }),
  ],
  ['received', async () => t.stock({ 'BACK-received@A': 1 })],
] as const)(
  'is over, for every engine, when a unit was %s and its time has passed',
  async (how, bringBack) => {
    const sku = `BACK-${how}`;
    await bringBack(idOf(await sellOut(sku)));
    for (const shop of [other, one]) shop.clock.ms += AGE_MS;
    const answers = [await buy(other, sku), await buy(one, sku)];
    expect(answers.map((answer) => 'outcome' in answer && answer.outcome)).toEqual([
      'created',
      'insufficient',
    ]);
  },
  TEST_MS_MAX,
);
