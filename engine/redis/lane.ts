/**
 * The lane over its connections to Redis: batches what waits, runs it, and answers each its own.
 *
 * Without a level that Redis must confirm, one connection does all. Else batches that hold such an
 * operation go over further ones (confirmed-scripts.ts).
 */
import type { Redis } from 'ioredis';
import type { DurabilityLevel, RedisLevel } from '../domain/durability.ts';
import { isRedisLevel } from '../domain/durability.ts';
import { SCRIPT_WORK_MAX } from '../domain/script-limits.ts';
import { decodeCell } from '../events/cell-codec.ts';
import type { Line } from '../runtime/line.ts';
import { readAvailability } from './availability-read.ts';
import { createBatcher, type Manner, PATIENCE } from './batcher.ts';
import type { ConfirmedWaits, ConfirmingOptions } from './confirmed-scripts.ts';
import { createConfirmedScripts } from './confirmed-scripts.ts';
import { laneKeys } from './keys.ts';
import { type CallHooks, createLaneCalls, NO_LEVELS, type Reply, refuse } from './lane-calls.ts';
import type {
  ForgetfulLane,
  Lane,
  LaneRefusal,
  OperationAnswer,
  StockResult,
} from './lane-port.ts';
import { isRefusal } from './lane-port.ts';
import type { LaneStamp, Operation, OperationResult, StockOperation } from './operation.ts';
import { FRESH_MS_MAX } from './operation.ts';
import {
  BatchEncoder,
  DEFINE_KIND,
  encodeDrop,
  encodeSkus,
  encodeStock,
  readAnswer,
  readAnswers,
  readExpiry,
  type Sending,
} from './operation-codec.ts';
import { OperationWeights } from './operation-weight.ts';
import { scriptRunner } from './script.ts';

export interface LaneLimits {
  readonly batchOperationsMax: number;
  readonly batchLinesMax: number;
  /** Admission: an operation is refused when it would wait longer; see README.md, "Overload". */
  readonly queueWaitMsMax: number;
  readonly holdAgeSMax: number;
}

export interface LaneHooks extends CallHooks {
  /** A batch came back: how many operations it had, and ms from send to reply. */
  readonly onBatch: (script: 'submit' | 'settle', operations: number, ms: number) => void;
}

export interface LaneOptions {
  readonly redis: Redis;
  readonly number: number;
  readonly limits: LaneLimits;
  readonly hooks: LaneHooks;
  /** Where levels may be asked for that Redis itself confirms. */
  readonly confirming?: ConfirmingOptions | undefined;
  /** In which the answers of a batch are given. */
  readonly line: Line;
  /** Monotonic, ms. */
  readonly now?: () => number;
}

interface Waiting {
  readonly operation: Operation;
  /** What its answer will probably wait for. */
  readonly level: DurabilityLevel;
  readonly done: (answer: OperationAnswer) => void;
  /** A script did not decide it: it counts twice the next time, until it is a batch of its own. */
  readonly weightMin?: number;
}

const OVERLOADED_RETRY_MS = 1_000;
const BEHIND_RETRY_MS = 1_000;

/** Operations of `submit`, as they are now: it is read again and again. */
interface LaneTraffic {
  /** Queued or sent, and not answered. */
  readonly waiting: number;
  /** Answered since the start, whatever with. */
  readonly decided: number;
}

export interface RunningLane extends Lane, ForgetfulLane {
  readonly queued: () => number;
  readonly traffic: LaneTraffic;
  /** Where the lane stood at its newest reply. */
  readonly seen: () => LaneStamp;
  /** Who waits for replicas or disk; undefined where nobody can. */
  readonly confirmed: ConfirmedWaits | undefined;
  /** Ends these waits and their connections. */
  close(): void;
}

export function createLane(options: LaneOptions): RunningLane {
  const { redis, limits, hooks, line } = options;
  const now = options.now ?? (() => performance.now());
  const keys = laneKeys(options.number);
  const encoder = new BatchEncoder(options.number);
  const weights = new OperationWeights();
  // In turns: whoever is always asked first takes every connection that is free, if enough comes.
  let rooms = 0;
  const onRoom = (): void => {
    const inTurn = rooms++ % 2 === 0 ? [settlements, reserves] : [reserves, settlements];
    for (const batcher of inTurn) batcher.onRoom();
  };

  const confirmed =
    options.confirming &&
    createConfirmedScripts({
      ...options.confirming,
      lane: options.number,
      context: () => calls.context(),
      onRoom,
      onError: hooks.onStoreError,
    });

  const runPlain = scriptRunner(redis);
  const calls = createLaneCalls({
    hooks,
    now,
    run: (name, args, levels) =>
      confirmed === undefined || levels.size === 0
        ? runPlain(name, keys.meta, args)
        : confirmed.run(name, args, levels),
  });
  const { call } = calls;

  const traffic = { waiting: 0, decided: 0 };
  const leave = (operations: number): void => {
    traffic.waiting -= operations;
    traffic.decided += operations;
  };

  /** Every item is answered once, whatever fails: the batch, its decoding, or a callback. */
  const send = async (
    script: 'submit' | 'settle',
    items: readonly Waiting[],
    levels: ReadonlySet<RedisLevel>,
  ): Promise<void> => {
    const at = calls.sending();
    const answers = await callBatch(script, items, levels, at);
    hooks.onBatch(script, items.length, now() - at.atMs);
    answers.forEach((answer, i) => {
      const item = items[i];
      if (item === undefined) return;
      if (answer !== undefined) {
        if (line.isFree()) giveSafely(item, answer, at.atMs);
        else line.wait(() => giveSafely(item, answer, at.atMs));
      } else {
        leave(1);
        enqueue(apart(withMoreRoom(item)));
      }
    });
  };

  const giveSafely = (item: Waiting, answer: OperationAnswer, sentMs: number): void => {
    leave(1);
    try {
      give(item, answer, sentMs, queue);
    } catch (error) {
      hooks.onStoreError(error as Error);
    }
  };

  const callBatch = async (
    script: 'submit' | 'settle',
    items: readonly Waiting[],
    levels: ReadonlySet<RedisLevel>,
    at: Sending,
  ): Promise<readonly (OperationAnswer | undefined)[]> => {
    const refuseAll = (refusal: LaneRefusal) => items.map(() => refusal);
    try {
      const operations = items.map((item) => item.operation);
      const batch = encoder.encode(operations, at);
      const reply = await call(script, limits.holdAgeSMax, batch.payload, levels);
      if ('outcome' in reply) return refuseAll(reply);
      const answers = readAnswers(reply.reader, reply.stamp, batch);
      weights.learn(operations, batch, answers);
      return answers.results.map((result) => result && calls.orRefusal(result));
    } catch (error) {
      return refuseAll(calls.refuseError(error as Error));
    }
  };

  const batchLimits = {
    itemsMax: limits.batchOperationsMax,
    weightMax: limits.batchLinesMax,
    waitMs: limits.queueWaitMsMax,
  };
  const overloaded = overloadedBy(limits.queueWaitMsMax);
  const batcherOf = (script: 'submit' | 'settle') =>
    createBatcher<Waiting>(
      batchLimits,
      {
        send: (items, isConfirmed) =>
          send(script, items, isConfirmed ? levelsOf(items) : NO_LEVELS),
        hasRoom: () => confirmed?.hasRoom() ?? false,
        expired: (items) => {
          leave(items.length);
          for (const { done } of items) setImmediate(done, overloaded.stalled);
        },
      },
      now,
    );
  const reserves = batcherOf('submit');
  const settlements = batcherOf('settle');

  const weightOf = ({ operation, weightMin = 0 }: Waiting): number =>
    Math.max(weights.of(operation), weightMin);

  const withMoreRoom = (item: Waiting): Waiting => ({
    ...item,
    weightMin: Math.min(SCRIPT_WORK_MAX, 2 * weightOf(item)),
  });

  const enqueue = (item: Waiting): void => {
    const { operation, level, done } = item;
    const batcher = operation.kind === 'reserve' ? reserves : settlements;
    const isConfirmed = confirmed !== undefined && isRedisLevel(level);
    const manner = MANNERS[isConfirmed ? 'confirmed' : 'plain'][operation.kind];
    const isBack = item.weightMin !== undefined;
    const admission = batcher.push(item, weightOf(item), isBack ? { ...manner, isBack } : manner);
    if (admission === 'admitted') traffic.waiting++;
    else setImmediate(done, overloaded[admission]);
  };
  const queue = { now, enqueue };

  return {
    number: options.number,
    nowMs: calls.nowMs,
    seen: calls.seen,
    queued: () => reserves.queued + settlements.queued,
    traffic,
    confirmed,
    close: () => confirmed?.close(),

    submit: (operation, done, level = 'memory') => enqueue({ operation, level, done }),

    async stock(operation) {
      const reply = await call('stock', undefined, encodeStock(operation));
      if ('outcome' in reply) return reply;
      const answer = readAnswer(reply.reader, reply.stamp);
      if (answer.unreadable !== undefined) return calls.refuseUnreadable(answer.unreadable);
      return readStock(answer, reply, operation);
    },

    availability: (skus) => readAvailability(skus, calls, hooks.onUnreadable),

    async defineProducts(skus) {
      const reply = await call('stock', undefined, encodeSkus(skus, DEFINE_KIND));
      return 'outcome' in reply ? reply : { outcome: 'applied', stamp: reply.stamp };
    },

    async drop(generation, firstBucket, buckets) {
      const payload = encodeDrop(generation, firstBucket, buckets);
      const reply = await call('drop', undefined, payload);
      if ('outcome' in reply) return reply;
      return { outcome: 'applied', stamp: reply.stamp, due: reply.reader.u16() };
    },

    async expire(workMax) {
      const reply = await call('expire', workMax);
      if ('outcome' in reply) return reply;
      const { unreadable, ...expiry } = readExpiry(reply.reader);
      unreadable.forEach(hooks.onUnreadable);
      return { outcome: 'expired', ...expiry };
    },
  };
}

/** Its two causes: who reads the answers has to tell a crowd from a Redis that stands still. */
function overloadedBy(waitMs: number): Readonly<Record<'crowded' | 'stalled', LaneRefusal>> {
  const because = (detail: string): LaneRefusal =>
    refuse('overloaded', detail, OVERLOADED_RETRY_MS);
  const long = waitMs * PATIENCE;
  return {
    crowded: because(`More requests wait for the lane than it answers in ${waitMs} ms.`),
    stalled: because(`What waits for the lane is not taken in ${long} ms; this was not sent.`),
  };
}

/**
 * Who is refused last: what ends a reservation. A commit that is refused is a sale that was paid for
 * already, a release gives units back; a look-up or an extension may come again and lose nothing.
 */
const mannersOf = (isConfirmed: boolean): Readonly<Record<Operation['kind'], Manner>> => {
  const patient = { isConfirmed, isPatient: true };
  const impatient = { isConfirmed, isPatient: false };
  return {
    reserve: impatient,
    extend: impatient,
    inspect: impatient,
    commit: patient,
    release: patient,
    cancel: patient,
    ship: patient,
  };
};
const MANNERS = { plain: mannersOf(false), confirmed: mannersOf(true) };

const BEHIND = 'A hold of days ago has this id, and has not expired yet; nothing was changed.';

function levelsOf(items: readonly Waiting[]): ReadonlySet<RedisLevel> {
  const levels = new Set<RedisLevel>();
  for (const { level } of items) if (isRedisLevel(level)) levels.add(level);
  return levels;
}

/** What was not decided in a run is decided by itself. */
function apart(item: Waiting): Waiting {
  const { operation } = item;
  return operation.kind === 'reserve'
    ? { ...item, operation: { ...operation, apart: true } }
    : item;
}

/**
 * A reserve under a fresh id is late only while nobody was told of it: then the lane did nothing, and
 * it is sent again, to be looked up like any other (an engine that was suspended may have made its id
 * days ago); or its reply was lost, and it is told only when it can do nothing any more.
 */
function give(
  item: Waiting,
  answer: OperationAnswer,
  sentMs: number,
  { now, enqueue }: { now: () => number; enqueue: (again: Waiting) => void },
): void {
  const { operation, level, done } = item;
  const isReserve = operation.kind === 'reserve';
  const isFresh = isReserve && operation.fresh;
  if (isReserve && answer.outcome === 'undecided') {
    if (isFresh) enqueue({ operation: { ...operation, fresh: false }, level, done });
    else done(refuse('undecided', BEHIND, BEHIND_RETRY_MS));
  } else if (isFresh && isRefusal(answer) && answer.mayArrive) {
    const leftMs = sentMs + FRESH_MS_MAX - now();
    setTimeout(done, Math.max(0, Math.ceil(leftMs)), answer);
  } else done(answer);
}

function readStock(
  answer: OperationResult,
  { stamp, reader }: Reply,
  operation: StockOperation,
): StockResult {
  const cells = reader.done
    ? []
    : operation.lines.map(({ sku, field }) => ({ sku, field, ...decodeCell(reader.bytes8()) }));
  return {
    outcome: answer.outcome as StockResult['outcome'],
    replayed: answer.replayed,
    stamp,
    cells,
    ...(answer.shortages && { shortages: answer.shortages }),
  };
}
