/**
 * The crowd of a flash sale, planned from a seed: who comes when, for how much, and what each does with a hold.
 * Pure: the same model gives the same plans, and one shopper's plan does not depend on how many others come.
 * How a shopper acts on answers is in shopper.ts.
 */
import { randomFrom } from './random.ts';

export interface SaleModel {
  /** Any text. Print it: with it the same crowd comes again. */
  readonly seed: string;
  readonly shoppers: number;
  /** All first visits begin within this time. */
  readonly durationMs: number;
  /** How long the engine keeps a hold: whoever comes back waits for abandoned holds at least as long. */
  readonly holdTtlMs: number;

  /** Part of the shoppers who wait for the doors: they come evenly within `burstMs`. The rest trickles off. */
  readonly burstShare?: number;
  readonly burstMs?: number;

  /** Time from hold to decision: log-normal around the median, cut at the bounds. */
  readonly thinkMedianMs?: number;
  /** Standard deviation of the logarithm: 0.6 lets 1 of 20 take 2.7 times the median. */
  readonly thinkSigma?: number;
  readonly thinkMinMs?: number;
  readonly thinkMaxMs?: number;

  /** Endings of a first visit; who does none of these commits. */
  readonly abandonShare?: number;
  readonly releaseShare?: number;
  readonly changeShare?: number;
  /** Shoppers who want 2 units and not 1. */
  readonly twoUnitsShare?: number;
  /** Shoppers of whom every request is sent twice with the same key: half at once, half after the answer. */
  readonly duplicateShare?: number;
  /** Shoppers who, sold out, come back for one unit until the abandoned holds must be free again. */
  readonly comeBackShare?: number;
  readonly comeBackEveryMs?: number;
}

export type ResolvedSaleModel = Required<SaleModel>;

/** What a shopper does with the first hold. `change`: releases it and comes again for the other quantity. */
export type Ending = 'commit' | 'abandon' | 'release' | 'change';
export type Duplicates = 'none' | 'concurrent' | 'after';

export interface ShopperPlan {
  readonly shopperId: string;
  /** Since the sale's start, as are all times named "at" and "until". */
  readonly arriveAtMs: number;
  readonly quantity: 1 | 2;
  readonly thinkMs: number;
  readonly ending: Ending;
  readonly duplicates: Duplicates;
  readonly comeBack: { readonly everyMs: number; readonly untilMs: number } | undefined;
}

/** The model with its defaults, to be printed with a result. @throws RangeError that names the wrong part. */
export function resolveModel(model: SaleModel): ResolvedSaleModel {
  const resolved: ResolvedSaleModel = {
    ...model,
    burstShare: model.burstShare ?? 0.4,
    burstMs: model.burstMs ?? model.durationMs * 0.1,
    thinkMedianMs: model.thinkMedianMs ?? 800,
    thinkSigma: model.thinkSigma ?? 0.6,
    thinkMinMs: model.thinkMinMs ?? 50,
    thinkMaxMs: model.thinkMaxMs ?? model.holdTtlMs * 0.8,
    abandonShare: model.abandonShare ?? 0.1,
    releaseShare: model.releaseShare ?? 0.06,
    changeShare: model.changeShare ?? 0.04,
    twoUnitsShare: model.twoUnitsShare ?? 0.1,
    duplicateShare: model.duplicateShare ?? 0.1,
    comeBackShare: model.comeBackShare ?? 0.1,
    comeBackEveryMs: model.comeBackEveryMs ?? 1_000,
  };
  for (const [name, value] of Object.entries(resolved)) {
    if (typeof value !== 'number') continue;
    const max = name.endsWith('Share') ? 1 : Number.MAX_SAFE_INTEGER;
    if (!(value >= 0 && value <= max)) {
      throw new RangeError(`${name} of the sale model is ${value}; it must be 0 to ${max}`);
    }
  }
  const { abandonShare, releaseShare, changeShare } = resolved;
  if (abandonShare + releaseShare + changeShare > 1) {
    throw new RangeError('abandonShare, releaseShare and changeShare of the sale model exceed 1');
  }
  if (!Number.isInteger(resolved.shoppers)) throw new RangeError('shoppers must be a whole number');
  if (resolved.thinkMinMs > resolved.thinkMaxMs) {
    throw new RangeError('thinkMinMs of the sale model is above thinkMaxMs');
  }
  return resolved;
}

/** The plans in the order of arrival. */
export function planSale(model: SaleModel): readonly ShopperPlan[] {
  const resolved = resolveModel(model);
  const digits = String(resolved.shoppers).length;
  const plans = Array.from({ length: resolved.shoppers }, (_, index) =>
    planShopper(resolved, `shopper-${String(index + 1).padStart(digits, '0')}`, index),
  );
  return plans.toSorted((left, right) => left.arriveAtMs - right.arriveAtMs);
}

function planShopper(model: ResolvedSaleModel, shopperId: string, index: number): ShopperPlan {
  const random = randomFrom(`${model.seed}/${index}`);
  // Each draw has its place, whatever the shares are: changing one share leaves the other choices as they were.
  const arriveAtMs = drawArrival(model, random(), random());
  const quantity = random() < model.twoUnitsShare ? 2 : 1;
  const thinkMs = drawThinkTime(model, random(), random());
  const ending = drawEnding(model, random());
  const isDoubled = random() < model.duplicateShare;
  const atOnce = random() < 0.5;
  const comesBack = random() < model.comeBackShare;
  // Not all at the same beat.
  const everyMs = model.comeBackEveryMs * (0.5 + random());
  return {
    shopperId,
    arriveAtMs,
    quantity,
    thinkMs,
    ending,
    duplicates: isDoubled ? (atOnce ? 'concurrent' : 'after') : 'none',
    comeBack: comesBack ? { everyMs, untilMs: comeBackUntilMs(model) } : undefined,
  };
}

/**
 * The last first visit may think, change its mind, hold again and abandon; its units are free a TTL later, to
 * the whole second and with the sweeper's second. Then everybody who comes back has two more chances.
 */
function comeBackUntilMs(model: ResolvedSaleModel): number {
  const lastHoldMs = model.durationMs + 2 * model.thinkMaxMs + model.holdTtlMs;
  return lastHoldMs + 2_000 + 3 * model.comeBackEveryMs;
}

function drawArrival(model: ResolvedSaleModel, which: number, when: number): number {
  if (which < model.burstShare) return when * Math.min(model.burstMs, model.durationMs);
  // Exponential decay with a mean of about a quarter of the duration, cut off at its end (inverse CDF).
  const decay = 4;
  return (-Math.log(1 - when * (1 - Math.exp(-decay))) / decay) * model.durationMs;
}

function drawThinkTime(model: ResolvedSaleModel, first: number, second: number): number {
  // Box-Muller; 1 - first is never 0.
  const normal = Math.sqrt(-2 * Math.log(1 - first)) * Math.cos(2 * Math.PI * second);
  const thinkMs = model.thinkMedianMs * Math.exp(model.thinkSigma * normal);
  return Math.min(model.thinkMaxMs, Math.max(model.thinkMinMs, thinkMs));
}

function drawEnding(model: ResolvedSaleModel, draw: number): Ending {
  if (draw < model.abandonShare) return 'abandon';
  if (draw < model.abandonShare + model.releaseShare) return 'release';
  if (draw < model.abandonShare + model.releaseShare + model.changeShare) return 'change';
  return 'commit';
}
