/**
 * The real invoices as operations in order of time: what a shop would have asked of the engine. Pure.
 *
 * - A purchase becomes a cart: a reserve, and its commit when it is paid. The data knows no time between cart
 *   and payment, so one is assumed, the same for all.
 * - A cancelled line goes to the customer's latest earlier order of that SKU: a release while that order is
 *   only held, a cancel once it is paid. What no earlier order covers was bought before the data begins (or,
 *   12 times, only after the cancellation): a return, received into stock.
 * - A write-off, or units found, corrects the stock.
 */
import { classify, writeOffReason } from './classify.ts';
import { groupBy, sumOf } from './group.ts';
import { Purchases, purchaseKey } from './matching.ts';
import type { OrderLine } from './parse.ts';
import type { AdjustStep, ReplayStep, SkuQuantity } from './replay-step.ts';
import { mergeQuantities, reservationIdOf, toLines } from './replay-step.ts';
import type { MutableReplaySummary, ReplaySummary } from './replay-summary.ts';
import { emptySummary } from './replay-summary.ts';
import { homeWarehouse, rankWarehouses } from './warehouses.ts';

export interface Replay {
  readonly steps: readonly ReplayStep[];
  readonly summary: ReplaySummary;
}

export interface ReplayOptions {
  /** From cart to payment. Six minutes, within the hold's ten, leaves one real cancellation before its payment. */
  readonly paymentDelayMs?: number;
}

const PAYMENT_DELAY_MS = 6 * 60_000;

export function buildReplay(
  lines: readonly OrderLine[],
  { paymentDelayMs = PAYMENT_DELAY_MS }: ReplayOptions = {},
): Replay {
  const builder = new ReplayBuilder(lines, paymentDelayMs);
  const invoices = [...groupBy(lines, (line) => line.invoice)]
    .map(([invoice, ofInvoice]) => ({ invoice, ofInvoice, atMs: earliest(ofInvoice) }))
    .toSorted((left, right) => left.atMs - right.atMs);
  for (const { invoice, ofInvoice, atMs } of invoices) builder.addInvoice(invoice, atMs, ofInvoice);
  return builder.finish();
}

/** An order whose cart has been reserved. What is left of it shrinks as units go back. */
interface OpenOrder {
  readonly orderId: string;
  readonly paidAtMs: number;
  readonly left: Map<string, number>;
  isPaid: boolean;
  wasReduced: boolean;
}

class ReplayBuilder {
  readonly #paymentDelayMs: number;
  readonly #steps: ReplayStep[] = [];
  readonly #summary: MutableReplaySummary = emptySummary();
  readonly #purchases = new Purchases();
  readonly #orders = new Map<string, OpenOrder>();
  /** Orders not yet paid, the earliest first: all wait equally long. */
  readonly #unpaid: OpenOrder[] = [];
  /** Customer and SKU of every purchase in the data, also of those that come later. */
  readonly #everBought: ReadonlySet<string>;

  constructor(lines: readonly OrderLine[], paymentDelayMs: number) {
    this.#paymentDelayMs = paymentDelayMs;
    this.#everBought = new Set(
      lines
        .filter((line) => classify(line) === 'sale')
        .flatMap(({ customerId, sku }) =>
          customerId === undefined ? [] : [purchaseKey(customerId, sku)],
        ),
    );
  }

  addInvoice(invoice: string, atMs: number, lines: readonly OrderLine[]): void {
    this.#payUntil(atMs);
    this.#summary.invoices += 1;
    this.#summary.lines += lines.length;
    const kinds = groupBy(lines, classify);
    for (const kind of ['not_goods', 'invalid_id'] as const) {
      for (const line of kinds.get(kind) ?? []) this.#skip(`${kind}: ${line.sku}`);
    }
    const isEmpty = [...kinds.keys()].every(
      (kind) => kind === 'not_goods' || kind === 'invalid_id',
    );
    if (isEmpty) this.#summary.invoicesWithoutGoods += 1;

    this.#sell(invoice, atMs, kinds.get('sale') ?? []);
    this.#cancel(invoice, atMs, kinds.get('cancellation') ?? []);
    const writeOffs = groupBy(kinds.get('write_off') ?? [], (line) =>
      writeOffReason(line.description),
    );
    for (const [reason, ofReason] of writeOffs) this.#adjust(invoice, atMs, reason, ofReason);
    this.#adjust(invoice, atMs, 'found', kinds.get('found') ?? []);
  }

  finish(): Replay {
    this.#payUntil(Number.POSITIVE_INFINITY);
    return { steps: this.#steps, summary: this.#summary };
  }

  #sell(invoice: string, atMs: number, lines: readonly OrderLine[]): void {
    const [first] = lines;
    if (first === undefined) return;
    const { country, customerId } = first;
    const merged = mergeQuantities(
      lines.map((line) => ({ skuId: line.sku, quantity: line.quantity })),
    );
    for (const { skuId, quantity } of merged) {
      this.#purchases.add(customerId, skuId, invoice, quantity);
    }
    this.#steps.push({
      kind: 'reserve',
      atMs,
      invoice,
      operationKey: `${invoice}:reserve`,
      reservationId: reservationIdOf(invoice),
      orderId: invoice,
      customerId,
      country,
      warehouseIds: rankWarehouses(country, invoice),
      lines: merged,
    });
    const order: OpenOrder = {
      orderId: invoice,
      paidAtMs: atMs + this.#paymentDelayMs,
      left: new Map(merged.map(({ skuId, quantity }) => [skuId, quantity])),
      isPaid: false,
      wasReduced: false,
    };
    this.#orders.set(invoice, order);
    this.#unpaid.push(order);
    this.#countCart(lines, merged);
  }

  #countCart(lines: readonly OrderLine[], merged: readonly SkuQuantity[]): void {
    const summary = this.#summary;
    summary.carts += 1;
    summary.saleLines += lines.length;
    summary.giftLines += lines.filter((line) => line.unitPricePence <= 0).length;
    summary.cartLines += merged.length;
    if (merged.length < lines.length) summary.cartsMerged += 1;
    if (merged.length > 100) summary.cartsOver100Lines += 1;
    summary.cartLinesMax = Math.max(summary.cartLinesMax, merged.length);
    summary.unitsOrdered += sumOf(merged, (line) => line.quantity);
  }

  /** Commits what is due at or before the instant; an order that was released whole is never paid. */
  #payUntil(atMs: number): void {
    for (;;) {
      const [order] = this.#unpaid;
      if (order === undefined || order.paidAtMs > atMs) return;
      this.#unpaid.shift();
      order.isPaid = true;
      if (order.left.size === 0) continue;
      this.#summary.commits += 1;
      this.#steps.push({
        kind: 'commit',
        atMs: order.paidAtMs,
        invoice: order.orderId,
        operationKey: `${order.orderId}:commit`,
        reservationId: reservationIdOf(order.orderId),
        lines: toLines(order.left),
        isPartial: order.wasReduced,
      });
    }
  }

  #cancel(invoice: string, atMs: number, lines: readonly OrderLine[]): void {
    const fromOrders = new Map<string, SkuQuantity[]>();
    const returned: OrderLine[] = [];
    for (const line of lines) {
      const { customerId, sku } = line;
      let unmatched = -line.quantity;
      for (const { orderId, quantity } of this.#purchases.takeBack(customerId, sku, unmatched)) {
        unmatched -= quantity;
        const fromOrder = fromOrders.get(orderId) ?? [];
        fromOrder.push({ skuId: sku, quantity });
        fromOrders.set(orderId, fromOrder);
      }
      this.#countCancellation(line, unmatched);
      if (unmatched > 0) returned.push({ ...line, quantity: unmatched });
    }
    for (const [orderId, taken] of fromOrders) this.#giveBack(invoice, atMs, orderId, taken);
    this.#receive(invoice, atMs, returned);
  }

  #countCancellation(line: OrderLine, unmatched: number): void {
    const summary = this.#summary;
    summary.cancellationLines += 1;
    if (unmatched === 0) summary.cancellationLinesMatched += 1;
    else if (unmatched < -line.quantity) summary.cancellationLinesMatchedInPart += 1;
    else {
      summary.cancellationLinesReturned += 1;
      const { customerId, sku } = line;
      if (customerId !== undefined && this.#everBought.has(purchaseKey(customerId, sku))) {
        summary.cancellationLinesBoughtLater += 1;
      }
    }
  }

  #giveBack(invoice: string, atMs: number, orderId: string, taken: readonly SkuQuantity[]): void {
    const order = this.#orders.get(orderId);
    if (order === undefined) throw new Error(`${invoice} cancels ${orderId}, which was never sold`);
    const lines = mergeQuantities(taken);
    for (const { skuId, quantity } of lines) {
      const left = (order.left.get(skuId) ?? 0) - quantity;
      if (left < 0) throw new Error(`${invoice} cancels more ${skuId} than ${orderId} has left`);
      if (left === 0) order.left.delete(skuId);
      else order.left.set(skuId, left);
    }
    order.wasReduced = true;
    const kind = order.isPaid ? 'cancel' : 'release';
    if (kind === 'cancel') this.#summary.cancels += 1;
    else this.#summary.releases += 1;
    this.#steps.push({
      kind,
      atMs,
      invoice,
      operationKey: `${invoice}:${orderId}`,
      reservationId: reservationIdOf(orderId),
      lines,
      isWhole: order.left.size === 0,
    });
  }

  /** One step per SKU, at the warehouse that is nearest to the customer. */
  #receive(invoice: string, atMs: number, lines: readonly OrderLine[]): void {
    for (const [skuId, ofSku] of groupBy(lines, (line) => line.sku)) {
      const [nearest] = ofSku.flatMap((line) =>
        rankWarehouses(line.country, line.customerId ?? invoice),
      );
      this.#summary.stockSteps.customer_return += 1;
      this.#steps.push({
        kind: 'receive',
        atMs,
        invoice,
        operationKey: `${invoice}:return:${skuId}`,
        skuId,
        warehouseId: nearest ?? homeWarehouse(skuId),
        quantity: sumOf(ofSku, (line) => line.quantity),
        reason: 'customer_return',
      });
    }
  }

  /** One step per SKU, at the warehouse that the SKU falls to. */
  #adjust(
    invoice: string,
    atMs: number,
    reason: AdjustStep['reason'],
    lines: readonly OrderLine[],
  ): void {
    this.#summary.correctionLines += lines.length;
    for (const [skuId, ofSku] of groupBy(lines, (line) => line.sku)) {
      this.#summary.stockSteps[reason] += 1;
      this.#steps.push({
        kind: 'adjust',
        atMs,
        invoice,
        operationKey: `${invoice}:${reason}:${skuId}`,
        skuId,
        warehouseId: homeWarehouse(skuId),
        quantity: sumOf(ofSku, (line) => line.quantity),
        reason,
      });
    }
  }

  #skip(reason: string): void {
    this.#summary.skippedLines[reason] = (this.#summary.skippedLines[reason] ?? 0) + 1;
  }
}

/** One invoice of the file was written over two minutes: it counts from its first line. */
function earliest(lines: readonly OrderLine[]): number {
  return lines.reduce(
    (first, line) => Math.min(first, line.invoicedAtMs),
    Number.POSITIVE_INFINITY,
  );
}
