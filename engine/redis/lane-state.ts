/** What the relay, the persister's trimming and recovery ask of a lane (scripts tail .. open). */

import type { EntryKey } from '../events/entry.ts';

/** An entry as it stands in the stream: its id, and its bytes (events/entry-codec.ts). */
export interface StreamEntry {
  readonly epoch: number;
  readonly seq: number;
  readonly bytes: Buffer;
}

/** One look at a lane: its meta and the stream behind a position, read in one script. */
export interface LaneTail {
  /** False: there is no meta at all (an empty Redis). All else is then zero. */
  readonly exists: boolean;
  readonly term: number;
  readonly open: boolean;
  /** meta.master_replid is that of the node that answered. */
  readonly replidMatches: boolean;
  /** An entry stands behind meta's last: a script died half way. */
  readonly halfDone: boolean;
  readonly last: EntryKey;
  readonly timeMs: number;
  readonly entries: readonly StreamEntry[];
}

/** `claim` closed the lane under the term, or a newer claim stands. */
export type ClaimReply =
  | {
      readonly claimed: true;
      readonly replid: string;
      readonly last: EntryKey;
      readonly timeMs: number;
      /** Holds may live in it of days that scripts look at no more. */
      readonly hasUnseenHolds: boolean;
    }
  | { readonly claimed: false; readonly term: number };

/** A recovery script ran, or the claim was lost (another term, or another node). */
export type RecoveryReply = 'done' | 'claim_lost';

/** Rows of PostgreSQL on their way back into Redis; RestoreEncoder makes it. */
export interface RestoreChunk {
  /** As the script `restore` takes them. */
  readonly bytes: Buffer;
  readonly products: number;
  readonly cells: number;
  readonly records: number;
}

/** Implemented by redis/lane-scripts.ts over one Redis connection. */
export interface LaneState {
  /**
   * Entries behind (epoch, seq), oldest first: `entriesMax`, or fewer when these have TAIL_BYTES
   * (domain/script-limits.ts).
   */
  tail(after: { epoch: number; seq: number }, entriesMax: number): Promise<LaneTail>;
  claim(term: number): Promise<ClaimReply>;
  /**
   * Drops all that stands under the lane but meta, a bounded piece a call; `more` says go on. The
   * first call sets meta's position to nothing.
   */
  wipe(term: number, replid: string): Promise<{ reply: RecoveryReply; more: boolean }>;
  /** The first chunk sets meta's position to nothing. */
  restore(term: number, replid: string, chunk: RestoreChunk): Promise<RecoveryReply>;
  /**
   * Waits until so many replicas have all that was written over this connection; says how many had
   * it after `waitMs` at the latest.
   */
  replicate(replicas: number, waitMs: number): Promise<number>;
  /** Where this connection leads, host:port; '' while there is none. */
  address(): string;
  /** Appends `opened` behind `head` as <term>-1 and opens; lane time stood still meanwhile. */
  open(
    term: number,
    replid: string,
    head: EntryKey,
    nonce: Buffer,
    timeMs: number,
  ): Promise<RecoveryReply>;
  /**
   * Removes entries that PostgreSQL has, up to and with `persisted`; embedded keeps those of the
   * last `marginMs` of lane time. Says how many went; -1 when the lane refused (fenced).
   */
  trim(persisted: { epoch: number; seq: number }, marginMs: number): Promise<number>;
  /** Writes a watermark where engines look for it, and publishes it. */
  mark(level: 'logged' | 'persisted', at: { epoch: number; seq: number }): Promise<void>;
}
