/** Who comes to the flash sale, and when: the crowd of bench/load in the measures of the demo. Pure. */
import { planSale, type SaleModel, type ShopperPlan } from '../load/shoppers.ts';

/** Abandoned carts come back while the crowd still waits: whole seconds, as deadlines are. */
export const HOLD_TTL_S = 4;
/** Half of the shoppers come evenly, in half of the time; the others come ever more rarely (bench/load). */
const BURST_SHARE = 0.5;
const BURST_TIME_SHARE = 0.5;
const THINK_MEDIAN_MS = 700;
/** Well within the TTL: who thinks longer has abandoned the cart. */
const THINK_MS_MAX = 2_000;
const COME_BACK_SHARE = 0.1;
const COME_BACK_EVERY_MS = 1_000;

export interface SaleSize {
  readonly seed: string;
  readonly shoppers: number;
  /** All first visits come within it. */
  readonly arrivalMs: number;
}

export function planFlashSale({ seed, shoppers, arrivalMs }: SaleSize): readonly ShopperPlan[] {
  return planSale({
    seed,
    shoppers,
    durationMs: arrivalMs,
    holdTtlMs: HOLD_TTL_S * 1_000,
    burstShare: BURST_SHARE,
    burstMs: arrivalMs * BURST_TIME_SHARE,
    thinkMedianMs: THINK_MEDIAN_MS,
    thinkMaxMs: THINK_MS_MAX,
    comeBackShare: COME_BACK_SHARE,
    comeBackEveryMs: COME_BACK_EVERY_MS,
  });
}

/** When, since the sale's start, the last abandoned hold is usually gone, and its unit sold. */
export function usualLengthMs({ arrivalMs }: SaleSize): number {
  return arrivalMs + HOLD_TTL_S * 1_000 + THINK_MS_MAX;
}

const LATE_WITHIN_MS = 500;
const LATE_PER_UNIT = 2;
const LATE_MAX = 10_000;

/**
 * Those who heard that there is something left after all: they want one unit each, and take it. They come only
 * where the machine was so slow that holds expired under their shoppers' hands.
 */
export function planLateShoppers(seed: string, unitsLeft: number): readonly ShopperPlan[] {
  const model: SaleModel = {
    seed,
    shoppers: Math.min(LATE_MAX, unitsLeft * LATE_PER_UNIT),
    durationMs: LATE_WITHIN_MS,
    holdTtlMs: HOLD_TTL_S * 1_000,
    burstShare: 1,
    burstMs: LATE_WITHIN_MS,
    thinkMedianMs: 100,
    thinkMaxMs: 200,
    abandonShare: 0,
    releaseShare: 0,
    changeShare: 0,
    twoUnitsShare: 0,
    duplicateShare: 0,
    comeBackShare: 0,
  };
  return planSale(model);
}
