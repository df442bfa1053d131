/**
 * What an engine knows of its lane's backlog, from one look to the next. No I/O.
 *
 * Between two looks the lane's replies tell how many entries came, whoever wrote them; their bytes are
 * taken for those of the largest one of the last samples. So the bound is passed only by what was let
 * in before the reply that told of it: what stood in the queue, and the batches in flight.
 */
import {
  type BacklogBound,
  type BacklogLevel,
  type BacklogSize,
  EMPTY_BACKLOG,
  levelAfter,
  nextLevelBytes,
} from './backlog.ts';
import { BacklogBytes } from './backlog-size.ts';

export interface BacklogLook {
  /** Last entry of the lane. */
  readonly epoch: number;
  readonly seq: number;
  /**
   * What PostgreSQL has of this epoch; 0: nothing. A lane is opened when it has all of the epochs
   * before, so nothing of those can wait.
   */
  readonly persistedSeq: number;
  /** Lane time since the oldest entry that waits was written; undefined: not known. */
  readonly laneAgeMs: number | undefined;
  /** Bytes of entries that are evenly spread over those that were not sampled before. */
  readonly samples: readonly number[];
  /** Monotonic, ms. */
  readonly atMs: number;
}

export class BacklogBook {
  readonly #bound: BacklogBound;
  #epoch = 0;
  #seq = 0;
  #oldest = 0;
  #bytes = new BacklogBytes(0);
  /** Entries that were there at the first look are as old as lane time says. */
  #knownFrom = Number.POSITIVE_INFINITY;
  #size = EMPTY_BACKLOG;
  #level: BacklogLevel = 'calm';
  /** The next level begins here. */
  #risesAt = Number.POSITIVE_INFINITY;

  constructor(bound: BacklogBound) {
    this.#bound = bound;
  }

  get size(): BacklogSize {
    return this.#size;
  }

  get level(): BacklogLevel {
    return this.#level;
  }

  /** Entries of the epoch behind this one are wanted as samples. */
  sampledTo(epoch: number): number {
    return epoch === this.#epoch ? this.#bytes.to : 0;
  }

  learn(look: BacklogLook): void {
    const { epoch, seq, persistedSeq, samples, atMs } = look;
    if (epoch < this.#epoch || (epoch === this.#epoch && seq < this.#seq)) return;
    if (epoch > this.#epoch) this.#begin(look);
    this.#bytes.add(seq, samples, atMs);
    this.#bytes.forget(persistedSeq);
    this.#seq = seq;
    this.#size = {
      entries: Math.max(0, seq - persistedSeq),
      bytes: this.#bytes.bytes(),
      ageMs: seq > persistedSeq ? this.#ageOf(look) : 0,
    };
    this.#oldest = persistedSeq + 1;
    this.#judge(this.#size);
  }

  /** The level when this is the lane's last entry: what a reply has told since the last look. */
  levelAt(epoch: number, seq: number): BacklogLevel {
    if (seq >= this.#risesAt && epoch === this.#epoch) {
      const bytes = this.#size.bytes + (seq - this.#seq) * this.#bytes.largest;
      this.#judge({ ...this.#size, bytes });
    }
    return this.#level;
  }

  #begin({ epoch, seq, persistedSeq }: BacklogLook): void {
    this.#knownFrom = this.#epoch === 0 ? seq : 0;
    this.#epoch = epoch;
    this.#bytes = new BacklogBytes(persistedSeq);
    this.#oldest = 0;
  }

  /**
   * Lane time may jump ahead with the clock of Redis: nothing is older than it was known to us. It
   * may stand still, or go back by what no entry tells: the same entry does not become younger.
   */
  #ageOf({ persistedSeq, laneAgeMs = 0, atMs }: BacklogLook): number {
    const oldest = persistedSeq + 1;
    const seenAtMs = this.#bytes.oldestSeenAtMs() ?? atMs;
    const known = oldest <= this.#knownFrom ? Number.POSITIVE_INFINITY : atMs - seenAtMs;
    const age = Math.max(0, Math.min(laneAgeMs, known));
    return oldest === this.#oldest ? Math.max(age, this.#size.ageMs) : age;
  }

  #judge(size: BacklogSize): void {
    this.#level = levelAfter(this.#level, size, this.#bound);
    const left = nextLevelBytes(this.#level, this.#bound) - this.#size.bytes;
    this.#risesAt = this.#seq + Math.ceil(left / this.#bytes.largest);
  }
}
