/** What became of every line of the real orders, in numbers. */
import type { AdjustStep, ReceiveStep } from './replay-step.ts';

export interface ReplaySummary {
  readonly invoices: number;
  /** Of the file; each is in exactly one of saleLines, cancellationLines, correctionLines or skippedLines. */
  readonly lines: number;
  /** Invoices of which every line was skipped. */
  readonly invoicesWithoutGoods: number;
  /** Lines that are no goods, by reason and code. */
  readonly skippedLines: Readonly<Record<string, number>>;

  readonly carts: number;
  readonly saleLines: number;
  /** Sale lines at no price: gifts within a cart. */
  readonly giftLines: number;
  /** After merging: one per SKU and cart. */
  readonly cartLines: number;
  /** Carts with a SKU on more than one line. */
  readonly cartsMerged: number;
  readonly cartsOver100Lines: number;
  readonly cartLinesMax: number;
  readonly unitsOrdered: number;
  readonly commits: number;

  readonly cancellationLines: number;
  /** Lines that earlier orders of that customer cover wholly. */
  readonly cancellationLinesMatched: number;
  /** Lines that they cover in part: the rest is a return. */
  readonly cancellationLinesMatchedInPart: number;
  readonly cancellationLinesReturned: number;
  /** Of the returned: that customer buys that SKU in the data, but only afterwards. */
  readonly cancellationLinesBoughtLater: number;
  readonly releases: number;
  readonly cancels: number;

  /** Lines of write-offs and finds. */
  readonly correctionLines: number;
  /** Receive and adjust steps, by reason. */
  readonly stockSteps: Readonly<Record<(ReceiveStep | AdjustStep)['reason'], number>>;
}

type Mutable<T> = {
  -readonly [K in keyof T]: T[K] extends number ? number : Record<keyof T[K], number>;
};
export type MutableReplaySummary = Mutable<ReplaySummary>;

export function emptySummary(): MutableReplaySummary {
  return {
    invoices: 0,
    lines: 0,
    invoicesWithoutGoods: 0,
    skippedLines: {},
    carts: 0,
    saleLines: 0,
    giftLines: 0,
    cartLines: 0,
    cartsMerged: 0,
    cartsOver100Lines: 0,
    cartLinesMax: 0,
    unitsOrdered: 0,
    commits: 0,
    cancellationLines: 0,
    cancellationLinesMatched: 0,
    cancellationLinesMatchedInPart: 0,
    cancellationLinesReturned: 0,
    cancellationLinesBoughtLater: 0,
    releases: 0,
    cancels: 0,
    correctionLines: 0,
    stockSteps: { customer_return: 0, found: 0, damage: 0, loss: 0 },
  };
}
