/**
 * Who waits for a durability level, and who for a sign of life.
 *
 * A watermark (epoch, seq) of a level covers the waits of its own epoch up to seq; it comes over a
 * channel, and every POLL_MS from a small key while anybody waits. A wait ends as not reached when
 * its epoch has ended (a watermark of a later epoch came) or its time is up, also while Redis hangs:
 * the outcome is then unknown, and the id resolves it. Waits come in any order, because a lane's
 * replies do. Those who move the watermarks are told that somebody waits (demands.ts). What Redis
 * itself confirms (`replicated`, `fsync`) is waited for elsewhere (replica-waits.ts), and has no bound
 * here: each confirmation has its own.
 */
import type { Redis } from 'ioredis';
import type { DurabilityLevel, RedisLevel } from '../domain/durability.ts';
import { isRedisLevel, stronger } from '../domain/durability.ts';
import type { Line } from '../runtime/line.ts';
import type { ConfirmedWaits } from './confirmed-scripts.ts';
import { createDemands } from './demands.ts';
import { laneKeys } from './keys.ts';
import type { Watermarks } from './lane-port.ts';
import type { LaneStamp } from './operation.ts';
import { listen, type PlaceMessage, readPlaceMessage } from './place-messages.ts';

export interface WatermarkOptions {
  readonly redis: Redis;
  /** A connection of its own: a subscriber takes no other command. */
  readonly subscriber: Redis;
  readonly lane: number;
  readonly waitMsMax: number;
  /** In which those are told whose wait has ended. */
  readonly line: Line;
  /** For the levels that Redis confirms; undefined: they are never reached. */
  readonly confirmed?: ConfirmedWaits | undefined;
  /**
   * The registry's row; asked for signs of life. Rejects by the deadline (`performance.now`), also
   * when PostgreSQL hangs.
   */
  readonly readRegistry: (deadline: number) => Promise<{ term: number; state: string }>;
}

interface Mark {
  readonly epoch: number;
  readonly seq: number;
}

interface Wait {
  readonly stamp: LaneStamp;
  readonly until: number;
  readonly done: (reached: boolean) => void;
}

type LoggedLevel = Exclude<DurabilityLevel, 'memory' | RedisLevel>;
const LOGGED_LEVELS = ['logged', 'persisted'] as const satisfies readonly LoggedLevel[];
const POLL_MS = 50;
/**
 * A look at the registry takes a millisecond. Who asks waits for two at most: one that is under way,
 * and its own.
 */
const LOOK_MS_MAX = 2_000;

export interface RunningWatermarks extends Watermarks {
  readonly waiting: () => number;
  readonly last: (level: LoggedLevel) => Mark;
  close(): void;
}

export function createWatermarks(options: WatermarkOptions): RunningWatermarks {
  const { redis, line, waitMsMax } = options;
  const keys = laneKeys(options.lane);
  const demand = createDemands(redis, options.lane);
  const tell = ({ done }: Wait, isReached: boolean): void => {
    if (line.isFree()) done(isReached);
    else line.wait(() => done(isReached));
  };
  const waitsOf = (level: LoggedLevel): LevelWaits =>
    new LevelWaits(tell, (stamp) => demand(level, stamp));
  const levels: Readonly<Record<LoggedLevel, LevelWaits>> = {
    logged: waitsOf('logged'),
    persisted: waitsOf('persisted'),
  };
  const { logged, persisted } = levels;

  const advance = ({ level, epoch, seq }: PlaceMessage): void => {
    const isOurs = LOGGED_LEVELS.some((each) => each === level);
    if (!isOurs || !Number.isSafeInteger(epoch)) return;
    levels[level as LoggedLevel].advance({ epoch, seq });
    // What is persisted is logged, also when nobody said so.
    if (level === 'persisted') logged.advance({ epoch, seq });
  };
  const endListening = listen(options.subscriber, keys.marksChannel, advance);

  let isReading = false;
  const read = async (): Promise<void> => {
    isReading = true;
    const stored = await redis.hgetall(keys.marks).catch(() => ({}));
    isReading = false;
    for (const [level, value] of Object.entries(stored)) {
      advance(readPlaceMessage(`${level} ${value}`));
    }
    for (const level of LOGGED_LEVELS) levels[level].tellAgain();
  };
  /** Looks at the time first, and asks once at a time: a Redis that hangs answers after seconds. */
  const poll = (): void => {
    for (const level of LOGGED_LEVELS) levels[level].endLate();
    if (!isReading && logged.length + persisted.length > 0) void read();
  };
  const timer = setInterval(poll, POLL_MS);

  return {
    wait(level, stamp, done) {
      if (level === 'memory') {
        done(true);
        return;
      }
      if (isRedisLevel(level)) {
        if (options.confirmed === undefined) done(false);
        else options.confirmed.wait(level, stamp, done);
      } else if (levels[level].covers(stamp)) done(true);
      else levels[level].push(stamp, performance.now() + waitMsMax, done);
    },
    known(stamp, level) {
      if (persisted.covers(stamp)) return 'persisted';
      return logged.covers(stamp) ? stronger(level, 'logged') : level;
    },
    confirmOpen: createSignsOfLife(options, (stamp, until, done) =>
      logged.push({ ...stamp, seq: stamp.seq + 1 }, until, done),
    ),
    waiting: () => logged.length + persisted.length + (options.confirmed?.waiting() ?? 0),
    last: (level) => levels[level].mark,
    close() {
      clearInterval(timer);
      endListening();
      for (const level of LOGGED_LEVELS) levels[level].close();
    },
  };
}

/** Who waits for one level, and how far it has come. */
class LevelWaits {
  readonly #tell: (wait: Wait, isReached: boolean) => void;
  readonly #demand: (stamp: LaneStamp) => void;
  #mark: Mark = { epoch: 0, seq: 0 };
  #isClosed = false;
  readonly #waits: Wait[] = [];
  /** The furthest that was demanded. */
  #demanded: Mark = { epoch: 0, seq: 0 };

  constructor(tell: (wait: Wait, isReached: boolean) => void, demand: (stamp: LaneStamp) => void) {
    this.#tell = tell;
    this.#demand = demand;
  }

  get mark(): Mark {
    return this.#mark;
  }

  get length(): number {
    return this.#waits.length;
  }

  covers({ epoch, seq }: Mark): boolean {
    return epoch === this.#mark.epoch && seq <= this.#mark.seq;
  }

  push(stamp: LaneStamp, until: number, done: Wait['done']): void {
    if (this.#isClosed) {
      done(false);
      return;
    }
    this.#waits.push({ stamp, until, done });
    // Who comes behind others is told of when these are answered.
    if (this.#waits.length === 1) this.#tellOf(stamp);
  }

  advance({ epoch, seq }: Mark): void {
    if (!isBehind({ epoch, seq }, this.#mark)) return;
    this.#mark = { epoch, seq };
    const furthest = this.#settle();
    if (furthest !== undefined && isBehind(furthest, this.#demanded)) this.#tellOf(furthest);
  }

  /** Now and then: who has waited too long. */
  endLate(): void {
    this.#settle();
  }

  /** Now and then, because what was told may be lost. */
  tellAgain(): void {
    const furthest = this.#settle();
    if (furthest !== undefined) this.#tellOf(furthest);
  }

  #tellOf(stamp: LaneStamp): void {
    this.#demanded = stamp;
    this.#demand(stamp);
  }

  /** Ends what is reached, what can no more be, and what is over; gives the furthest that is left. */
  #settle(): LaneStamp | undefined {
    const waits = this.#waits;
    const time = performance.now();
    let keep = 0;
    let furthest: LaneStamp | undefined;
    for (const wait of waits) {
      const { stamp, until } = wait;
      if (this.covers(stamp)) this.#tell(wait, true);
      else if (stamp.epoch < this.#mark.epoch || until <= time) this.#tell(wait, false);
      else {
        waits[keep++] = wait;
        if (furthest === undefined || isBehind(stamp, furthest)) furthest = stamp;
      }
    }
    waits.length = keep;
    return furthest;
  }

  close(): void {
    this.#isClosed = true;
    for (const wait of this.#waits.splice(0)) wait.done(false);
  }
}

/** Whether `a` stands behind `b` in the log. */
function isBehind(a: Mark, b: Mark): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.seq > b.seq);
}

/** Who asked for a sign of life, and until when an entry is waited for. */
interface Asker {
  readonly stamp: LaneStamp;
  readonly until: number;
  readonly done: (alive: boolean) => void;
}

/**
 * One look at the registry serves all who asked before it began. When PostgreSQL cannot be asked,
 * a valid entry behind the reply's position is the other sign, in what is left of the time of a wait.
 */
function createSignsOfLife(
  options: WatermarkOptions,
  waitForEntry: (stamp: LaneStamp, until: number, done: Asker['done']) => void,
): Watermarks['confirmOpen'] {
  let asking: Asker[] = [];
  let busy = false;
  const ask = async (): Promise<void> => {
    busy = true;
    while (asking.length > 0) {
      const askers = asking;
      asking = [];
      const deadline = performance.now() + LOOK_MS_MAX;
      const row = await options.readRegistry(deadline).catch(() => undefined);
      for (const { stamp, until, done } of askers) {
        if (row === undefined) waitForEntry(stamp, until, done);
        else done(row.state === 'open' && row.term === stamp.epoch);
      }
    }
    busy = false;
  };
  return (stamp, done) => {
    asking.push({ stamp, until: performance.now() + options.waitMsMax, done });
    if (!busy) void ask();
  };
}
