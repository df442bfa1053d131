/**
 * The lane over its connections to Redis: encodes, batches, decodes, remembers what it has seen.
 *
 * Without a level that Redis must confirm, one connection does all. Else batches that hold such an
 * operation go over further ones (confirmed-scripts.ts), so replies come in any order: `seen` only
 * moves forward, and nothing else here knows of order.
 */
import { randomFillSync } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { ScriptName } from '../../lua/generated/scripts.ts';
import type { DurabilityLevel, RedisLevel } from '../domain/durability.ts';
import { isRedisLevel } from '../domain/durability.ts';
import { ByteReader } from '../events/bytes.ts';
import { decodeCell } from '../events/cell-codec.ts';
import { createBatcher } from './batcher.ts';
import type { ConfirmedWaits, ConfirmingOptions } from './confirmed-scripts.ts';
import { createConfirmedScripts } from './confirmed-scripts.ts';
import { laneKeys } from './keys.ts';
import type {
  ForgetfulLane,
  Lane,
  LaneRefusal,
  OperationAnswer,
  StockResult,
} from './lane-port.ts';
import type { FenceReason, LaneStamp, Operation, StockOperation } from './operation.ts';
import {
  BatchEncoder,
  DEFINE_KIND,
  encodeContext,
  encodeDrop,
  encodeSkus,
  encodeStock,
  isFenced,
  readAnswer,
  readAnswers,
  readSkuView,
  readStamp,
} from './operation-codec.ts';
import { scriptRunner } from './script.ts';

export interface LaneLimits {
  readonly batchOperationsMax: number;
  readonly batchLinesMax: number;
  readonly queueWaitMsMax: number;
  readonly holdAgeSMax: number;
}

export interface LaneHooks {
  /** A batch came back: how many operations it had, and ms from send to reply. */
  readonly onBatch: (script: 'submit' | 'settle', operations: number, ms: number) => void;
  readonly onFenced: (reason: FenceReason) => void;
  readonly onStoreError: (error: Error) => void;
}

export interface LaneOptions {
  readonly redis: Redis;
  readonly number: number;
  readonly limits: LaneLimits;
  readonly hooks: LaneHooks;
  /** Where levels may be asked for that Redis itself confirms. */
  readonly confirming?: ConfirmingOptions | undefined;
  /** Monotonic, ms. */
  readonly now?: () => number;
}

interface Waiting {
  readonly operation: Operation;
  /** What its answer will probably wait for. */
  readonly level: DurabilityLevel;
  readonly done: (answer: OperationAnswer) => void;
}

const FENCED_RETRY_MS = 1_000;
const OVERLOADED_RETRY_MS = 1_000;
const UNAVAILABLE_RETRY_MS = 1_000;

type Reply = { readonly stamp: LaneStamp; readonly reader: ByteReader };

export interface RunningLane extends Lane, ForgetfulLane {
  readonly queued: () => number;
  /** Who waits for replicas or disk; undefined where nobody can. */
  readonly confirmed: ConfirmedWaits | undefined;
  /** Ends these waits and their connections. */
  close(): void;
}

export function createLane(options: LaneOptions): RunningLane {
  const { redis, limits, hooks } = options;
  const now = options.now ?? (() => performance.now());
  const keys = laneKeys(options.number);
  const runPlain = scriptRunner(redis);
  const encoder = new BatchEncoder();
  let seen: LaneStamp = { epoch: 0, seq: 0, timeMs: Date.now(), offsetMs: 0 };
  let seenAt = now();

  const confirmed =
    options.confirming &&
    createConfirmedScripts({
      ...options.confirming,
      lane: options.number,
      context: () => context(),
      onRoom: () => {
        reserves.onRoom();
        settlements.onRoom();
      },
      onError: hooks.onStoreError,
    });

  const see = (stamp: LaneStamp): void => {
    if (stamp.epoch > seen.epoch || (stamp.epoch === seen.epoch && stamp.seq >= seen.seq)) {
      seen = stamp;
      seenAt = now();
    }
  };

  const context = (number?: number): Buffer =>
    encodeContext({
      seenEpoch: seen.epoch,
      seenSeq: seen.seq,
      nonce: randomFillSync(Buffer.allocUnsafe(8)),
      ...(number !== undefined && { number }),
    });

  const run = (
    name: ScriptName,
    args: readonly Buffer[],
    levels: ReadonlySet<RedisLevel>,
  ): Promise<unknown> =>
    confirmed === undefined || levels.size === 0
      ? runPlain(name, keys.meta, args)
      : confirmed.run(name, args, levels);

  /** Runs a script of an open lane; a refusal instead of an exception when a store fails. */
  const call = async (
    name: ScriptName,
    number: number | undefined,
    payload?: Buffer,
    levels: ReadonlySet<RedisLevel> = NO_LEVELS,
  ): Promise<Reply | LaneRefusal> => {
    try {
      const args = payload === undefined ? [context(number)] : [context(number), payload];
      const reader = new ByteReader((await run(name, args, levels)) as Buffer);
      const stamp = readStamp(reader);
      if (isFenced(stamp)) {
        hooks.onFenced(stamp.fenced);
        return refuse('fenced', `the lane is closed (${stamp.fenced})`, FENCED_RETRY_MS);
      }
      see(stamp);
      return { stamp, reader };
    } catch (error) {
      return refuseError(error as Error);
    }
  };

  const refuseError = (error: Error): LaneRefusal => {
    hooks.onStoreError(error);
    return refuse('store_unavailable', publicReason(error), UNAVAILABLE_RETRY_MS);
  };

  /** Every item is answered once, whatever fails: the batch, its decoding, or a callback. */
  const send = async (
    script: 'submit' | 'settle',
    items: readonly Waiting[],
    levels: ReadonlySet<RedisLevel>,
  ): Promise<void> => {
    const started = now();
    const answers = await callBatch(script, items, levels);
    hooks.onBatch(script, items.length, now() - started);
    answers.forEach((answer, i) => {
      try {
        items[i]?.done(answer);
      } catch (error) {
        hooks.onStoreError(error as Error);
      }
    });
  };

  const callBatch = async (
    script: 'submit' | 'settle',
    items: readonly Waiting[],
    levels: ReadonlySet<RedisLevel>,
  ): Promise<readonly OperationAnswer[]> => {
    const refuseAll = (refusal: LaneRefusal) => items.map(() => refusal);
    try {
      const batch = encoder.encode(items.map((item) => item.operation));
      const reply = await call(script, limits.holdAgeSMax, batch.payload, levels);
      if ('outcome' in reply) return refuseAll(reply);
      return readAnswers(reply.reader, reply.stamp, batch);
    } catch (error) {
      return refuseAll(refuseError(error as Error));
    }
  };

  const batchLimits = {
    itemsMax: limits.batchOperationsMax,
    weightMax: limits.batchLinesMax,
    waitMsMax: limits.queueWaitMsMax,
  };
  const batcherOf = (script: 'submit' | 'settle') =>
    createBatcher<Waiting>(
      batchLimits,
      {
        send: (items, isConfirmed) =>
          send(script, items, isConfirmed ? levelsOf(items) : NO_LEVELS),
        hasRoom: () => confirmed?.hasRoom() ?? false,
      },
      now,
    );
  const reserves = batcherOf('submit');
  const settlements = batcherOf('settle');

  return {
    number: options.number,
    nowMs: () => seen.timeMs + Math.floor(now() - seenAt),
    queued: () => reserves.queued + settlements.queued,

    confirmed,
    close: () => confirmed?.close(),

    submit(operation, done, level = 'memory') {
      const batcher = operation.kind === 'reserve' ? reserves : settlements;
      const isConfirmed = confirmed !== undefined && isRedisLevel(level);
      if (batcher.push({ operation, level, done }, weigh(operation), isConfirmed)) return;
      const detail = `requests wait longer than ${limits.queueWaitMsMax} ms for Redis`;
      setImmediate(done, refuse('overloaded', detail, OVERLOADED_RETRY_MS));
    },

    async stock(operation) {
      const reply = await call('stock', undefined, encodeStock(operation));
      return 'outcome' in reply ? reply : readStock(reply, operation);
    },

    async availability(skus) {
      const reply = await call('availability', undefined, encodeSkus(skus));
      if ('outcome' in reply) return reply;
      try {
        const views = skus.map((sku) => readSkuView(reply.reader, sku));
        return { outcome: 'applied', stamp: reply.stamp, skus: views };
      } catch (error) {
        // A cell that somebody wrote over: reconcile names it; PostgreSQL can answer meanwhile.
        return refuseError(error as Error);
      }
    },

    async defineProducts(skus) {
      const reply = await call('stock', undefined, encodeSkus(skus, DEFINE_KIND));
      return 'outcome' in reply ? reply : { outcome: 'applied', stamp: reply.stamp };
    },

    async drop(generation, firstBucket, buckets) {
      const payload = encodeDrop(generation, firstBucket, buckets);
      const reply = await call('drop', undefined, payload);
      if ('outcome' in reply) return reply;
      return { outcome: 'applied', stamp: reply.stamp, idle: reply.reader.u8() === 1 };
    },

    async expire(recordsMax) {
      const reply = await call('expire', recordsMax);
      if ('outcome' in reply) return reply;
      return { outcome: 'expired', expired: reply.reader.u32(), more: reply.reader.u8() === 1 };
    },
  };
}

const NO_LEVELS: ReadonlySet<RedisLevel> = new Set();

function levelsOf(items: readonly Waiting[]): ReadonlySet<RedisLevel> {
  const levels = new Set<RedisLevel>();
  for (const { level } of items) if (isRedisLevel(level)) levels.add(level);
  return levels;
}

/**
 * What an operation may cost its batch, in cells. A line without preference may be split over up to
 * 255 cells; 250 of them stay below the 65,535 that an entry can count.
 */
const OPEN_LINE_WEIGHT = 16;

function weigh(operation: Operation): number {
  if (operation.kind !== 'reserve')
    return 'lines' in operation ? (operation.lines?.length ?? 1) : 1;
  let weight = 0;
  for (const { fields } of operation.lines) {
    weight += fields.length === 0 ? OPEN_LINE_WEIGHT : fields.length;
  }
  return weight;
}

/** What a client may be told; the log has the rest. */
function publicReason({ message }: Error): string {
  if (/writeable|Connection is closed|ECONN/.test(message)) return 'Redis cannot be reached.';
  if (/timed out/.test(message)) return 'Redis did not answer in time.';
  if (message.startsWith('NOREPLICAS'))
    return 'Redis has too few replicas in reach to take writes.';
  if (message.startsWith('OOM'))
    return 'Redis is out of memory; it takes no more reserves for now.';
  return 'Redis could not do it; the log of the engine says why.';
}

function refuse(
  outcome: LaneRefusal['outcome'],
  detail: string,
  retryAfterMs: number,
): LaneRefusal {
  return { outcome, detail, retryAfterMs };
}

function readStock({ stamp, reader }: Reply, operation: StockOperation): StockResult {
  const answer = readAnswer(reader, stamp);
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
