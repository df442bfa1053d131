/** The one file that spells the keys of Redis. Every key of lane n carries the hash tag `{n}`. */

/** Lanes that this release runs: one Redis, one script may touch everything. */
export const LANES = 1;
/** Version of all that stands in Redis; checked by `claim` and stored in `meta`. */
export const SCHEMA_VERSION = 2;

export interface LaneKeys {
  readonly lane: number;
  /** `hf:{n}:`, what the scripts build the other names from. */
  readonly prefix: string;
  readonly meta: string;
  readonly log: string;
  readonly deadlines: string;
  /** Small hash of watermarks, outside of the log: fields `logged` and `persisted`. */
  readonly marks: string;
  /** Channel on which the same watermarks are published. */
  readonly marksChannel: string;
  /** Channel on which those are told who bring entries further that somebody waits (demands.ts). */
  readonly demandChannel: string;
  /** Channel that nobody listens to (confirming-connections.ts says what for). */
  readonly waitChannel: string;
  readonly stock: (sku: string) => string;
  readonly hold: (generation: number, bucket: number) => string;
  readonly cart: (generation: number, bucket: number) => string;
  readonly due: (second: number) => string;
}

export function laneKeys(lane: number): LaneKeys {
  const prefix = `hf:{${lane}}:`;
  return {
    lane,
    prefix,
    meta: `${prefix}meta`,
    log: `${prefix}log`,
    deadlines: `${prefix}deadlines`,
    marks: `${prefix}marks`,
    marksChannel: `${prefix}mark`,
    demandChannel: `${prefix}demand`,
    waitChannel: `${prefix}wait`,
    stock: (sku) => `${prefix}stock:${sku}`,
    hold: (generation, bucket) => `${prefix}hold:${generation}:${bucket}`,
    cart: (generation, bucket) => `${prefix}cart:${generation}:${bucket}`,
    due: (second) => `${prefix}due:${second}`,
  };
}
