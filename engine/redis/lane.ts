/** The lane over one Redis connection: encodes, batches, decodes, remembers what it has seen. */
import { randomFillSync } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { ScriptName } from '../../lua/generated/scripts.ts';
import { ByteReader } from '../events/bytes.ts';
import { decodeCell } from '../events/cell-codec.ts';
import { createBatcher } from './batcher.ts';
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
  /** Monotonic, ms. */
  readonly now?: () => number;
}

interface Waiting {
  readonly operation: Operation;
  readonly done: (answer: OperationAnswer) => void;
}

const FENCED_RETRY_MS = 1_000;
const OVERLOADED_RETRY_MS = 1_000;
const UNAVAILABLE_RETRY_MS = 1_000;

type Reply = { readonly stamp: LaneStamp; readonly reader: ByteReader };

export interface RunningLane extends Lane, ForgetfulLane {
  readonly queued: () => number;
}

export function createLane(options: LaneOptions): RunningLane {
  const { redis, limits, hooks } = options;
  const now = options.now ?? (() => performance.now());
  const keys = laneKeys(options.number);
  const run = scriptRunner(redis);
  const encoder = new BatchEncoder();
  let seen: LaneStamp = { epoch: 0, seq: 0, timeMs: Date.now(), offsetMs: 0 };
  let seenAt = now();

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

  /** Runs a script of an open lane; a refusal instead of an exception when a store fails. */
  const call = async (
    name: ScriptName,
    number: number | undefined,
    payload?: Buffer,
  ): Promise<Reply | LaneRefusal> => {
    try {
      const args = payload === undefined ? [context(number)] : [context(number), payload];
      const reader = new ByteReader((await run(name, keys.meta, args)) as Buffer);
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
  const send = (script: 'submit' | 'settle') => async (items: readonly Waiting[]) => {
    const started = now();
    const reply = await callBatch(script, items);
    hooks.onBatch(script, items.length, now() - started);
    for (const item of items) {
      const answer = 'outcome' in reply ? reply : answerOf(reply);
      try {
        item.done(answer);
      } catch (error) {
        hooks.onStoreError(error as Error);
      }
    }
  };

  const callBatch = async (
    script: 'submit' | 'settle',
    items: readonly Waiting[],
  ): Promise<Reply | LaneRefusal> => {
    try {
      const payload = encoder.encode(items.map((item) => item.operation));
      return await call(script, limits.holdAgeSMax, payload);
    } catch (error) {
      return refuseError(error as Error);
    }
  };

  const answerOf = ({ reader, stamp }: Reply): OperationAnswer => {
    try {
      return readAnswer(reader, stamp);
    } catch (error) {
      return refuseError(error as Error);
    }
  };

  const batchLimits = {
    itemsMax: limits.batchOperationsMax,
    weightMax: limits.batchLinesMax,
    waitMsMax: limits.queueWaitMsMax,
  };
  const reserves = createBatcher<Waiting>(batchLimits, send('submit'), now);
  const settlements = createBatcher<Waiting>(batchLimits, send('settle'), now);

  return {
    number: options.number,
    nowMs: () => seen.timeMs + Math.floor(now() - seenAt),
    queued: () => reserves.queued + settlements.queued,

    submit(operation, done) {
      const batcher = operation.kind === 'reserve' ? reserves : settlements;
      if (batcher.push({ operation, done }, weigh(operation))) return;
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
      const views = skus.map((sku) => readSkuView(reply.reader, sku));
      return { outcome: 'applied', stamp: reply.stamp, skus: views };
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
