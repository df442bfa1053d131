/** The plan of the crowd: repeatable, and in the proportions that the model asks for. */
import { describe, expect, it } from 'vitest';
import { fractionOf, randomFrom } from './random.ts';
import type { SaleModel, ShopperPlan } from './shoppers.ts';
import { planSale, resolveModel } from './shoppers.ts';

const seed = process.env.HOLDFAST_TEST_SEED ?? String(Math.trunc(Math.random() * 2 ** 31));
console.info(`seed ${seed} (HOLDFAST_TEST_SEED=${seed} repeats it)`);

const MODEL: SaleModel = { seed, shoppers: 20_000, durationMs: 15_000, holdTtlMs: 5_000 };

/** The part of the crowd that matches is the share, within five standard deviations. */
function expectShare(
  crowd: readonly ShopperPlan[],
  share: number,
  matches: (plan: ShopperPlan) => boolean,
): void {
  const part = crowd.filter(matches).length / crowd.length;
  const bound = 5 * Math.sqrt((share * (1 - share)) / crowd.length);
  expect(Math.abs(part - share), `seed ${seed}: ${part}, not ${share}`).toBeLessThan(bound);
}

const plans = planSale(MODEL);

function within(fromMs: number, toMs: number): number {
  return plans.filter((plan) => plan.arriveAtMs >= fromMs && plan.arriveAtMs < toMs).length;
}

describe('planSale', () => {
  it('is the same for the same seed, and another for another', () => {
    const model = { ...MODEL, shoppers: 1_000 };
    expect(planSale(model)).toEqual(planSale(model));
    expect(planSale({ ...model, seed: `${seed}x` })).not.toEqual(planSale(model));
  });

  it("keeps a shopper's plan when more shoppers come, or another share changes", () => {
    const small = planSale({ ...MODEL, shoppers: 1_000 });
    const ids = new Set(small.map((plan) => plan.shopperId));
    const more = planSale({ ...MODEL, shoppers: 1_500 });
    expect(more.filter((plan) => ids.has(plan.shopperId))).toEqual(small);
    const greedy = planSale({ ...MODEL, shoppers: 1_000, twoUnitsShare: 1 });
    expect(greedy).toEqual(small.map((plan) => ({ ...plan, quantity: 2 })));
  });

  it('comes in order of arrival, with an own id for each shopper', () => {
    const arrivals = plans.map((plan) => plan.arriveAtMs);
    expect(arrivals).toEqual(arrivals.toSorted((left, right) => left - right));
    expect(new Set(plans.map((plan) => plan.shopperId)).size).toBe(20_000);
    expect(plans[0]?.shopperId).toMatch(/^shopper-\d{5}$/);
  });

  it('comes in a burst that trickles off within the duration', () => {
    const thirds = [within(1_500, 6_000), within(6_000, 10_500), within(10_500, 15_000)];
    expect(within(0, 1_500)).toBeGreaterThan(20_000 * 0.55);
    expect(thirds[0]).toBeGreaterThan(2 * (thirds[1] ?? 0));
    expect(thirds[1]).toBeGreaterThan(2 * (thirds[2] ?? 0));
    expect(thirds[2]).toBeGreaterThan(0);
    expect(within(0, 15_000)).toBe(20_000);
  });

  it('keeps the shares of the model', () => {
    expectShare(plans, 0.1, (plan) => plan.ending === 'abandon');
    expectShare(plans, 0.06, (plan) => plan.ending === 'release');
    expectShare(plans, 0.04, (plan) => plan.ending === 'change');
    expectShare(plans, 0.8, (plan) => plan.ending === 'commit');
    expectShare(plans, 0.1, (plan) => plan.quantity === 2);
    expectShare(plans, 0.05, (plan) => plan.duplicates === 'concurrent');
    expectShare(plans, 0.05, (plan) => plan.duplicates === 'after');
    expectShare(plans, 0.1, (plan) => plan.comeBack !== undefined);
    const other = planSale({ ...MODEL, abandonShare: 0.5, duplicateShare: 0, twoUnitsShare: 0 });
    expectShare(other, 0.5, (plan) => plan.ending === 'abandon');
    expect(other.every((plan) => plan.duplicates === 'none' && plan.quantity === 1)).toBe(true);
  });

  it('thinks log-normally within the bounds', () => {
    expectShare(plans, 0.5, (plan) => plan.thinkMs < 800);
    // One standard deviation of the logarithm above the median: 84.1 of 100 are below.
    expectShare(plans, 0.8413, (plan) => plan.thinkMs < 800 * Math.exp(0.6));
    const times = plans.map((plan) => plan.thinkMs);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(50);
    expect(Math.max(...times)).toBeLessThanOrEqual(4_000);
    const hasty = planSale({ ...MODEL, thinkMaxMs: 500 });
    expect(Math.max(...hasty.map((plan) => plan.thinkMs))).toBe(500);
  });

  it.each<[Partial<SaleModel>, RegExp]>([
    [{ abandonShare: 1.2 }, /abandonShare of the sale model is 1.2; it must be 0 to 1/],
    [{ abandonShare: 0.9, releaseShare: 0.2 }, /exceed 1/],
    [{ thinkMedianMs: Number.NaN }, /thinkMedianMs/],
    [{ thinkMinMs: 5_000 }, /thinkMinMs/],
    [{ shoppers: 1.5 }, /shoppers/],
    [{ durationMs: -1 }, /durationMs of the sale model is -1/],
  ])('refuses %o', (change, problem) => {
    expect(() => resolveModel({ ...MODEL, ...change })).toThrow(problem);
  });
});

describe('randomFrom', () => {
  it('gives even and unrelated numbers for neighbouring seeds', () => {
    const draws = Array.from({ length: 50_000 }, (_, index) => randomFrom(`${seed}/${index}`)());
    const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length;
    expect(Math.abs(mean - 0.5), `seed ${seed}`).toBeLessThan(0.007);
    const pairs = draws.slice(1).map((draw, index) => (draw - 0.5) * ((draws[index] ?? 0) - 0.5));
    const covariance = pairs.reduce((sum, product) => sum + product, 0) / pairs.length;
    expect(Math.abs(covariance), `seed ${seed}`).toBeLessThan(0.002);
    expect(draws.every((draw) => draw >= 0 && draw < 1)).toBe(true);
  });

  it('repeats on every machine', () => {
    const random = randomFrom('42');
    expect([random(), random(), random()]).toMatchInlineSnapshot(`
      [
        0.11613105819560587,
        0.5454091012943536,
        0.20946950209327042,
      ]
    `);
    expect(fractionOf('536365')).toMatchInlineSnapshot(`0.28137750551104546`);
  });
});
