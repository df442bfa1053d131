/** What the demo shows at one moment: plain data, from which a frame or a line is laid out. */
import type { Percentiles } from './meter.ts';
import type { OrdersTally } from './orders.ts';
import type { Balances, Place, Rows } from './probe.ts';

export interface SaleView {
  readonly skuId: string;
  readonly name: string;
  readonly units: number;
  readonly shoppers: number;
  /** Not before the doors open. */
  readonly balances: Balances | undefined;
  readonly soldOutAnswers: number;
  readonly duplicates: number;
  /** Shoppers who are through. */
  readonly through: number;
  /** Requests that wait at the door. */
  readonly waiting: number;
}

export interface TrafficView {
  readonly requestsPerS: number;
  /** Of the last windows, the oldest first. */
  readonly history: readonly number[];
  readonly reserve: Percentiles | undefined;
  readonly commit: Percentiles | undefined;
}

export interface View {
  /** What is being done. */
  readonly phase: string;
  readonly elapsedMs: number;
  readonly log: 'kafka' | 'embedded';
  readonly sale: SaleView;
  readonly orders: OrdersTally | undefined;
  readonly traffic: TrafficView;
  readonly lane: Place | undefined;
  readonly persisted: Place | undefined;
  readonly rows: Rows | undefined;
}

/** Entries that PostgreSQL has yet to apply; undefined where the two cannot be compared. */
export function lagEntries(view: Pick<View, 'lane' | 'persisted'>): number | undefined {
  const { lane, persisted } = view;
  if (lane === undefined || persisted === undefined || lane.epoch !== persisted.epoch) {
    return undefined;
  }
  // PostgreSQL was read after Redis, and may have gone on meanwhile.
  return Math.max(0, lane.seq - persisted.seq);
}
