/** One counter record: the units of a SKU at a warehouse that a pool may sell from. */

export interface Cell {
  readonly available: number;
  readonly reserved: number;
  readonly allocated: number;
  /** Counts the writes of the cell in Redis; equal versions mean equal values. */
  readonly version: number;
}

/** Units that one line of a request may name. */
export const QUANTITY_MAX = 1_000_000_000;
