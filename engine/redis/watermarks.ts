/**
 * Who waits for a durability level, and who for a sign of life.
 *
 * A watermark (epoch, seq) of a level covers the waits of its own epoch up to seq; it comes over a
 * channel, and every POLL_MS from a small key while anybody waits. A wait ends as not reached when
 * its epoch has ended (a watermark of a later epoch came) or its time is up: the outcome is then
 * unknown, and the id resolves it. Waits come in any order, because a lane's replies do. What Redis
 * itself confirms (`replicated`, `fsync`) is waited for elsewhere (replica-waits.ts), and has no
 * bound here: each confirmation has its own.
 */
import type { Redis } from 'ioredis';
import type { DurabilityLevel, RedisLevel } from '../domain/durability.ts';
import { isRedisLevel, stronger } from '../domain/durability.ts';
import type { Line } from '../runtime/line.ts';
import type { ConfirmedWaits } from './confirmed-scripts.ts';
import { laneKeys } from './keys.ts';
import type { Watermarks } from './lane-port.ts';
import type { LaneStamp } from './operation.ts';

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
  /** The registry's row; asked for signs of life. */
  readonly readRegistry: () => Promise<{ term: number; state: string }>;
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
const POLL_MS = 50;

export interface RunningWatermarks extends Watermarks {
  readonly waiting: () => number;
  readonly last: (level: LoggedLevel) => Mark;
  close(): void;
}

export function createWatermarks(options: WatermarkOptions): RunningWatermarks {
  const { line } = options;
  const keys = laneKeys(options.lane);
  const marks: Record<LoggedLevel, Mark> = {
    logged: { epoch: 0, seq: 0 },
    persisted: { epoch: 0, seq: 0 },
  };
  let isClosed = false;
  const waits: Record<LoggedLevel, Wait[]> = { logged: [], persisted: [] };
  const enqueue = (level: LoggedLevel, stamp: LaneStamp, done: Wait['done']): void => {
    if (isClosed) done(false);
    else waits[level].push({ stamp, until: performance.now() + options.waitMsMax, done });
  };
  const signs = createSignsOfLife(options, (stamp, done) =>
    enqueue('logged', { ...stamp, seq: stamp.seq + 1 }, done),
  );

  const isCovered = (level: LoggedLevel, { epoch, seq }: LaneStamp): boolean =>
    epoch === marks[level].epoch && seq <= marks[level].seq;

  const tell = ({ done }: Wait, isReached: boolean): void => {
    if (line.isFree()) done(isReached);
    else line.wait(() => done(isReached));
  };

  const settle = (level: LoggedLevel): void => {
    const mark = marks[level];
    const queue = waits[level];
    const time = performance.now();
    let keep = 0;
    for (const wait of queue) {
      const { epoch, seq } = wait.stamp;
      if (epoch === mark.epoch && seq <= mark.seq) tell(wait, true);
      else if (epoch < mark.epoch || wait.until <= time) tell(wait, false);
      else queue[keep++] = wait;
    }
    queue.length = keep;
  };

  const advance = (level: string | undefined, epoch: number, seq: number): void => {
    if ((level !== 'logged' && level !== 'persisted') || !Number.isSafeInteger(epoch)) return;
    const mark = marks[level];
    if (epoch < mark.epoch || (epoch === mark.epoch && seq <= mark.seq)) return;
    marks[level] = { epoch, seq };
    settle(level);
    // What is persisted is logged, also when nobody said so.
    if (level === 'persisted') advance('logged', epoch, seq);
  };

  const endListening = listen(options.subscriber, keys.marksChannel, advance);

  const poll = async (): Promise<void> => {
    if (waits.logged.length + waits.persisted.length === 0) return;
    const stored = await options.redis.hgetall(keys.marks).catch(() => ({}));
    for (const [level, value] of Object.entries(stored)) {
      const [epoch, seq] = String(value).split(' ');
      advance(level, Number(epoch), Number(seq));
    }
    settle('logged');
    settle('persisted');
  };
  const timer = setInterval(() => void poll(), POLL_MS);

  return {
    wait(level, stamp, done) {
      if (level === 'memory') {
        done(true);
        return;
      }
      if (isRedisLevel(level)) {
        if (options.confirmed === undefined) done(false);
        else options.confirmed.wait(level, stamp, done);
      } else if (isCovered(level, stamp)) done(true);
      else enqueue(level, stamp, done);
    },
    known(stamp, level) {
      if (isCovered('persisted', stamp)) return 'persisted';
      return isCovered('logged', stamp) ? stronger(level, 'logged') : level;
    },
    confirmOpen: signs,
    waiting: () =>
      waits.logged.length + waits.persisted.length + (options.confirmed?.waiting() ?? 0),
    last: (level) => marks[level],
    close() {
      clearInterval(timer);
      endListening();
      isClosed = true;
      for (const level of ['logged', 'persisted'] as const) {
        for (const wait of waits[level].splice(0)) wait.done(false);
      }
    },
  };
}

/** Gives each mark of the channel to `advance`; the result ends it. */
function listen(
  subscriber: Redis,
  channel: string,
  advance: (level: string | undefined, epoch: number, seq: number) => void,
): () => void {
  const onMessage = (_channel: string, message: string): void => {
    const [level, epoch, seq] = message.split(' ');
    advance(level, Number(epoch), Number(seq));
  };
  const subscribe = (): void => {
    subscriber.subscribe(channel).catch(ignoreUntilNextReady);
  };
  subscriber.on('message', onMessage);
  subscriber.on('ready', subscribe);
  if (subscriber.status === 'ready') subscribe();
  return () => {
    subscriber.off('message', onMessage);
    subscriber.off('ready', subscribe);
  };
}

/** A subscription that failed is made again when the connection is ready again. */
function ignoreUntilNextReady(): void {}

/**
 * One look at the registry serves all who asked before it began. When PostgreSQL cannot be asked,
 * a valid entry behind the reply's position is the other sign.
 */
function createSignsOfLife(
  options: WatermarkOptions,
  waitForEntry: (stamp: LaneStamp, done: (alive: boolean) => void) => void,
): Watermarks['confirmOpen'] {
  let asking: { stamp: LaneStamp; done: (alive: boolean) => void }[] = [];
  let busy = false;
  const ask = async (): Promise<void> => {
    busy = true;
    while (asking.length > 0) {
      const askers = asking;
      asking = [];
      const row = await options.readRegistry().catch(() => undefined);
      for (const { stamp, done } of askers) {
        if (row === undefined) waitForEntry(stamp, done);
        else done(row.state === 'open' && row.term === stamp.epoch);
      }
    }
    busy = false;
  };
  return (stamp, done) => {
    asking.push({ stamp, done });
    if (!busy) void ask();
  };
}
