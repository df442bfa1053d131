/** What engine-process.ts is told and tells. */

/** `hold` makes reservations of a commit's own, so that commits have what to commit. */
export type EngineWork =
  | 'bare handler'
  | 'reserve'
  | 'rejection'
  | 'keyed reserve'
  | 'keyed rejection'
  | 'hold'
  | 'commit';

export interface EngineOrder {
  readonly what: EngineWork;
  /** Of BATCH requests each, one after another. */
  readonly batches: number;
}

/** When all is answered as it should be; the first says that it is ready. */
export interface EngineReport {
  /** Sent to Redis. */
  readonly batches: number;
  readonly operations: number;
}

/** There is enough of it. */
export const HOT = 'HOT';
/** There is none. */
export const SOLD_OUT = 'GONE';
/** Requests that come at once. Small, so that a busy machine counts them before they are late. */
export const BATCH = 32;
