/**
 * Calls of a lane's scripts: what each is told of the lane, what its reply tells, and refusals in
 * the place of exceptions.
 *
 * Replies come in any order, over several connections: `seen` only moves forward, and nothing else
 * here knows of order.
 */
import { randomFillSync } from 'node:crypto';
import type { ScriptName } from '../../lua/generated/scripts.ts';
import type { RedisLevel } from '../domain/durability.ts';
import { ByteReader } from '../events/bytes.ts';
import type { LaneRefusal, OperationAnswer } from './lane-port.ts';
import type { FenceReason, LaneStamp, OperationResult, Unreadable } from './operation.ts';
import { encodeContext, isFenced, readStamp, type Sending } from './operation-codec.ts';
import { mayArrive, publicReason } from './store-fault.ts';
import { sentenceOf } from './unreadable.ts';

export interface CallHooks {
  readonly onFenced: (reason: FenceReason) => void;
  readonly onStoreError: (error: Error) => void;
  /** An operation or the sweeper met a cell or record that cannot be read; once for each. */
  readonly onUnreadable: (what: Unreadable) => void;
}

export interface LaneCallsOptions {
  readonly hooks: CallHooks;
  /** Monotonic, ms. */
  readonly now: () => number;
  /** Runs a script, with confirmations of these levels behind it; rejects as Redis does. */
  readonly run: (
    name: ScriptName,
    args: readonly Buffer[],
    levels: ReadonlySet<RedisLevel>,
  ) => Promise<unknown>;
}

export interface Reply {
  readonly stamp: LaneStamp;
  /** Behind the stamp. */
  readonly reader: ByteReader;
}

export interface LaneCalls {
  /** No later than the lane's time, and behind it by the way of one reply; ms. */
  readonly nowMs: () => number;
  /** Of the newest reply. */
  readonly seen: () => LaneStamp;
  /** What a batch that is sent now says of its time. */
  readonly sending: () => Sending;
  /** What a script is told of the lane; `number`: an argument of its own. */
  readonly context: (number?: number) => Buffer;
  /** Runs a script of an open lane; a refusal instead of an exception when a store fails. */
  readonly call: (
    name: ScriptName,
    number: number | undefined,
    payload?: Buffer | readonly Buffer[],
    levels?: ReadonlySet<RedisLevel>,
  ) => Promise<Reply | LaneRefusal>;
  readonly refuseError: (error: Error) => LaneRefusal;
  readonly refuseUnreadable: (what: Unreadable) => LaneRefusal;
  /** The result; a refusal when it met what cannot be read. */
  readonly orRefusal: (result: OperationResult) => OperationAnswer;
}

const FENCED_RETRY_MS = 1_000;
const UNAVAILABLE_RETRY_MS = 1_000;
/** A person must repair it first. */
const UNREADABLE_RETRY_MS = 30_000;

export const NO_LEVELS: ReadonlySet<RedisLevel> = new Set();

export function createLaneCalls({ hooks, now, run }: LaneCallsOptions): LaneCalls {
  let seen: LaneStamp = { epoch: 0, seq: 0, timeMs: Date.now(), offsetMs: 0 };
  let seenAt = now();

  const see = (stamp: LaneStamp): void => {
    if (stamp.epoch > seen.epoch || (stamp.epoch === seen.epoch && stamp.seq >= seen.seq)) {
      seen = stamp;
      seenAt = now();
    }
  };

  const nowMs = (): number => seen.timeMs + Math.floor(now() - seenAt);

  const context = (number?: number): Buffer =>
    encodeContext({
      seenEpoch: seen.epoch,
      seenSeq: seen.seq,
      nonce: randomFillSync(Buffer.allocUnsafe(8)),
      ...(number !== undefined && { number }),
    });

  const refuseError = (error: Error): LaneRefusal => {
    hooks.onStoreError(error);
    const refusal = refuse('store_unavailable', publicReason(error), UNAVAILABLE_RETRY_MS);
    return { ...refusal, mayArrive: mayArrive(error) };
  };

  const refuseUnreadable = (what: Unreadable): LaneRefusal => {
    hooks.onUnreadable(what);
    return refuse('unreadable', sentenceOf(what), UNREADABLE_RETRY_MS);
  };

  return {
    nowMs,
    seen: () => seen,
    sending: () => ({ epoch: seen.epoch, timeMs: nowMs(), atMs: now() }),
    context,

    async call(name, number, payload, levels = NO_LEVELS) {
      try {
        const args = [context(number)].concat(payload ?? []);
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
    },

    refuseError,
    refuseUnreadable,
    orRefusal: (result) =>
      result.unreadable === undefined ? result : refuseUnreadable(result.unreadable),
  };
}

export function refuse(
  outcome: LaneRefusal['outcome'],
  detail: string,
  retryAfterMs: number,
): LaneRefusal {
  return { outcome, detail, retryAfterMs };
}
