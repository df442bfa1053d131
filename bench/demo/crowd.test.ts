import { describe, expect, it } from 'vitest';
import { planFlashSale, planLateShoppers, usualLengthMs } from './crowd.ts';

const size = { seed: 'test', shoppers: 2_000, arrivalMs: 8_000 };

describe('planFlashSale', () => {
  it('has everything that makes a sale awkward', () => {
    const plans = planFlashSale(size);
    for (const ending of ['commit', 'abandon', 'release', 'change'] as const) {
      expect(plans.filter((plan) => plan.ending === ending).length).toBeGreaterThan(0);
    }
    for (const duplicates of ['none', 'concurrent', 'after'] as const) {
      expect(plans.filter((plan) => plan.duplicates === duplicates).length).toBeGreaterThan(0);
    }
    const last = Math.max(...plans.map(({ arriveAtMs, thinkMs }) => arriveAtMs + thinkMs));
    expect(usualLengthMs(size)).toBeGreaterThan(last);
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
