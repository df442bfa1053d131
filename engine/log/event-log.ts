/**
 * The log as its writers and readers see it. Two adapters: Kafka (one record per entry, one
 * partition per lane, the term in a header), and the lane's own stream in Redis ("embedded").
 *
 * Rules that every consumer keeps (design section 7): a record of a higher term is a fence, lower
 * terms behind it are void; ids at or below the position are skipped; only the position's successor
 * is accepted; anything else stops loudly.
 */
import type { EntryKey } from '../events/entry.ts';

export interface LogRecord {
  readonly term: number;
  /** Of the record in the log; 0n where the log has none (embedded). */
  readonly offset: bigint;
  /** The entry's bytes; undefined: a bare fence. */
  readonly entry?: Buffer;
}

/** Where a consumer stands; kept in one transaction with what it applied. */
export interface ConsumerPosition extends EntryKey {
  readonly term: number;
  /** Offset of the next record to read. */
  readonly offset: bigint;
}

/** Reads records in order from a position. Embedded: silent while the lane is closed. */
export interface LogSource {
  /** Waits until there is something, or `waitMs` passed (then an empty list). */
  read(position: ConsumerPosition, limits: ReadLimits): Promise<readonly LogRecord[]>;
  close(): Promise<void>;
}

export interface ReadLimits {
  readonly recordsMax: number;
  readonly bytesMax: number;
  readonly waitMs: number;
}

/** What recovery needs of a log. */
export interface FencedLog {
  /** Resolves when nothing of a lower term can become valid any more. */
  fence(lane: number, term: number): Promise<void>;
  /** Appends the tail of a lane's stream under recovery's term, in order. Idempotent. */
  appendTail(lane: number, term: number, entries: readonly Buffer[]): Promise<void>;
}

export const LOG_TOPIC = 'hf.log';
