/**
 * Who waits until Redis has confirmed a position, and what is under way to confirm it. No I/O.
 *
 * A confirmation is a WAIT (or WAITAOF) behind a script that answered with a position: when it
 * succeeds, all that stood up to there in that epoch is confirmed, whichever connection wrote it,
 * because the positions of an epoch are in the order of one node's writes. Replies may come in any
 * order: a mark only moves forward.
 *
 * A wait is in one of three states. `covered`: a confirmation under way is at or behind its
 * position. `probed`: none was, so one is asked for, behind a script of its own. Ended: told true,
 * by a mark of its own epoch, or false, as soon as neither holds any more. So nobody waits for what
 * cannot come, and each is told once.
 */
import type { RedisLevel } from '../domain/durability.ts';
import { REDIS_LEVELS } from '../domain/durability.ts';
import type { LaneStamp } from './operation.ts';

type Position = Pick<LaneStamp, 'epoch' | 'seq'>;

/** To be called once, when the confirmation of its level ended. */
export type EndConfirmation = (reached: boolean) => void;

interface Wait {
  readonly level: RedisLevel;
  readonly stamp: Position;
  readonly done: (reached: boolean) => void;
  isProbed: boolean;
}

interface Expected {
  readonly level: RedisLevel;
  readonly stamp: Position;
}

/** A confirmation of the first is one of the second: fsync nests replicated. */
function implies(confirmed: RedisLevel, wanted: RedisLevel): boolean {
  return confirmed === wanted || confirmed === 'fsync';
}

function covers(by: Position, position: Position): boolean {
  return by.epoch === position.epoch && by.seq >= position.seq;
}

/**
 * Runs a script that changes nothing with confirmations of the levels behind it, and announces them
 * through `expect`; resolves when they have ended, and does not reject.
 */
export type Probe = (levels: ReadonlySet<RedisLevel>) => Promise<void>;

export class ReplicaWaits {
  readonly #probe: Probe;
  readonly #marks: Record<RedisLevel, Position> = {
    replicated: { epoch: 0, seq: 0 },
    fsync: { epoch: 0, seq: 0 },
  };
  readonly #expected = new Set<Expected>();
  #waits: Wait[] = [];
  #isProbing = false;

  constructor(probe: Probe) {
    this.#probe = probe;
  }

  get waiting(): number {
    return this.#waits.length;
  }

  /** A confirmation of `level` is under way behind the script that answered `stamp`. */
  expect(level: RedisLevel, stamp: Position): EndConfirmation {
    const expectation: Expected = { level, stamp };
    this.#expected.add(expectation);
    return (reached) => {
      if (!this.#expected.delete(expectation)) return;
      if (reached) this.#advance(level, stamp);
      this.#sweep();
    };
  }

  /** Calls `done` once: now, when a confirmation ends, or when it is known that none will come. */
  wait(level: RedisLevel, stamp: Position, done: (reached: boolean) => void): void {
    const wait: Wait = { level, stamp, done, isProbed: false };
    if (this.#isConfirmed(wait)) {
      done(true);
      return;
    }
    wait.isProbed = !this.#mayBeConfirmed(wait);
    this.#waits.push(wait);
    if (wait.isProbed && !this.#isProbing) void this.#runProbes();
  }

  /** Ends all waits as not reached. */
  close(): void {
    const left = this.#waits;
    this.#waits = [];
    for (const { done } of left) done(false);
  }

  #isConfirmed({ level, stamp }: Wait): boolean {
    return covers(this.#marks[level], stamp);
  }

  #mayBeConfirmed(wait: Wait): boolean {
    if (wait.isProbed) return true;
    for (const each of this.#expected) {
      if (implies(each.level, wait.level) && covers(each.stamp, wait.stamp)) return true;
    }
    return false;
  }

  #advance(confirmed: RedisLevel, { epoch, seq }: Position): void {
    for (const level of REDIS_LEVELS) {
      if (!implies(confirmed, level)) continue;
      const mark = this.#marks[level];
      const isForward = epoch > mark.epoch || (epoch === mark.epoch && seq > mark.seq);
      if (isForward) this.#marks[level] = { epoch, seq };
    }
  }

  /** Ends every wait whose end is known. They are told last: a callback may wait again. */
  #sweep(): void {
    const ended: Wait[] = [];
    const kept: Wait[] = [];
    for (const wait of this.#waits) {
      (this.#isConfirmed(wait) || !this.#mayBeConfirmed(wait) ? ended : kept).push(wait);
    }
    this.#waits = kept;
    for (const wait of ended) wait.done(this.#isConfirmed(wait));
  }

  /** One at a time: it serves all who asked before it began. */
  async #runProbes(): Promise<void> {
    this.#isProbing = true;
    for (;;) {
      const asking = this.#waits.filter((wait) => wait.isProbed);
      if (asking.length === 0) break;
      await this.#probe(new Set(asking.map(({ level }) => level)));
      for (const wait of asking) wait.isProbed = false;
      this.#sweep();
    }
    this.#isProbing = false;
  }
}
