/** The operations that the real orders become: what a driver sends to the engine, one step after the other. */
import type { AdjustReason, ReceiveReason } from '../../engine/stock/reasons.ts';
import type { WriteOffReason } from './classify.ts';

export interface SkuQuantity {
  readonly skuId: string;
  readonly quantity: number;
}

interface StepBase {
  /** When it happened: milliseconds since 1970, UTC. Steps come sorted by it. */
  readonly atMs: number;
  /** The invoice that this step is (part of) the doing of. */
  readonly invoice: string;
  /** One operation, one key: fit for an Idempotency-Key header. No two steps share one. */
  readonly operationKey: string;
}

export interface ReserveStep extends StepBase {
  readonly kind: 'reserve';
  readonly reservationId: string;
  readonly orderId: string;
  readonly customerId: string | undefined;
  readonly country: string;
  /** All warehouses, in the order in which to try them. The opening stock is laid out for the first. */
  readonly warehouseIds: readonly string[];
  /** One line per SKU: the invoice's repeats are merged. */
  readonly lines: readonly SkuQuantity[];
}

export interface CommitStep extends StepBase {
  readonly kind: 'commit';
  readonly reservationId: string;
  /** What is paid: the cart without what a release has taken from it. */
  readonly lines: readonly SkuQuantity[];
  /** The cart is no longer whole. */
  readonly isPartial: boolean;
}

/** Units that go back: held ones by a release, paid ones by a cancel. */
export interface GiveBackStep extends StepBase {
  readonly kind: 'release' | 'cancel';
  readonly reservationId: string;
  readonly lines: readonly SkuQuantity[];
  /** Nothing of the order is left behind it. */
  readonly isWhole: boolean;
}

interface StockStepBase extends StepBase {
  readonly skuId: string;
  readonly warehouseId: string;
}

/** A customer sent back what no order of the replay covers. */
export interface ReceiveStep extends StockStepBase {
  readonly kind: 'receive';
  readonly quantity: number;
  readonly reason: Extract<ReceiveReason, 'customer_return'>;
}

export interface AdjustStep extends StockStepBase {
  readonly kind: 'adjust';
  /** Negative takes units away. */
  readonly quantity: number;
  readonly reason: Extract<AdjustReason, 'found' | WriteOffReason>;
}

export type ReplayStep = ReserveStep | CommitStep | GiveBackStep | ReceiveStep | AdjustStep;

/** One reservation per purchase invoice. */
export function reservationIdOf(invoice: string): string {
  return `order-${invoice}`;
}

/** One line per SKU, in the order in which the SKUs first appear. */
export function mergeQuantities(lines: Iterable<SkuQuantity>): readonly SkuQuantity[] {
  const quantities = new Map<string, number>();
  for (const { skuId, quantity } of lines) {
    quantities.set(skuId, (quantities.get(skuId) ?? 0) + quantity);
  }
  return toLines(quantities);
}

export function toLines(quantities: ReadonlyMap<string, number>): readonly SkuQuantity[] {
  return [...quantities].map(([skuId, quantity]) => ({ skuId, quantity }));
}
