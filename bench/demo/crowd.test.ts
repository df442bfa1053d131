import { describe, expect, it } from 'vitest';
import { peakPerS, planFlashSale, planLateShoppers, usualLengthMs } from './crowd.ts';
import { measureCapacity, paceOf } from './pace.ts';

const size = { seed: 'test', shoppers: 2_000, arrivalMs: 8_000 };

describe('planFlashSale', () => {
  it('lets the same shoppers come more slowly', () => {
    const [usual, slow] = [planFlashSale(size, 1), planFlashSale(size, 2)];
    expect(slow.map(({ arriveAtMs }) => Math.round(arriveAtMs))).toEqual(
      usual.map(({ arriveAtMs }) => Math.round(2 * arriveAtMs)),
    );
    expect(slow.map(({ thinkMs, ending }) => [thinkMs, ending])).toEqual(
      usual.map(({ thinkMs, ending }) => [thinkMs, ending]),
    );
  });

  it('has everything that makes a sale awkward', () => {
    const plans = planFlashSale(size, 1);
    for (const ending of ['commit', 'abandon', 'release', 'change'] as const) {
      expect(plans.filter((plan) => plan.ending === ending).length).toBeGreaterThan(0);
    }
    for (const duplicates of ['none', 'concurrent', 'after'] as const) {
      expect(plans.filter((plan) => plan.duplicates === duplicates).length).toBeGreaterThan(0);
    }
    const last = Math.max(...plans.map(({ arriveAtMs, thinkMs }) => arriveAtMs + thinkMs));
    expect(usualLengthMs(size, 1)).toBeGreaterThan(last);
  });
});

describe('planLateShoppers', () => {
  it('brings more than are needed, who take one unit each', () => {
    const plans = planLateShoppers('test', 30);
    expect(plans).toHaveLength(60);
    expect(plans.every(({ quantity, ending }) => quantity === 1 && ending === 'commit')).toBe(true);
    expect(planLateShoppers('test', 1_000_000)).toHaveLength(10_000);
  });
});

describe('pace', () => {
  it('is 1 where the machine is fast, and bounded where it is slow', () => {
    expect(paceOf(1_000_000, 6_000)).toBe(1);
    expect(paceOf(8_000, 6_000)).toBe(1.25);
    expect(paceOf(0, 6_000)).toBe(2);
  });

  it('knows the peak of the crowd', () => {
    const plans = planFlashSale(size, 1);
    const firstSecond = plans.filter(({ arriveAtMs }) => arriveAtMs < 250).length * 4;
    expect(peakPerS(size) / firstSecond).toBeGreaterThan(0.8);
    expect(peakPerS(size) / firstSecond).toBeLessThan(1.25);
  });

  it('counts the answers to callers who do not wait', async () => {
    let calls = 0;
    const keys = new Set<string | undefined>();
    const call = async ({ key }: { readonly key?: string }) => {
      calls += 1;
      keys.add(key);
      await new Promise((resolve) => setTimeout(resolve, 1));
      const isLost = calls % 2 === 0;
      return { status: isLost ? 503 : 409, code: '', body: undefined, isReplay: false };
    };
    const perS = await measureCapacity({ call }, 'SKU', 100);
    expect(keys.size).toBe(calls);
    expect(perS).toBeGreaterThan(0);
    // Half of them were no answers, and it took a little longer than asked for.
    expect(perS).toBeLessThanOrEqual((calls / 2 + 1) / 0.1);
  });
});
