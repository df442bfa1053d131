/**
 * What is sent behind a script so that Redis says when its writes are replicated or on disk, and
 * what the answers are worth. No I/O.
 *
 * A write is replicated when a quorum of the replicas has it, and so has every replica that the
 * primary shows in sync: Sentinel promotes by offsets that it read up to a second apart, so with
 * only a quorum it may take the replica that has less, or give up two nodes in a row. WAIT counts
 * replicas; how many it must count is told behind it, by the script `confirm`. When that is more
 * than was asked for, because a replica came, or because one was lost and WAIT ended short, the
 * next round asks for that many (confirmation-rounds.ts).
 */
import type { RedisLevel } from '../domain/durability.ts';
import { ByteReader } from '../events/bytes.ts';
import type { DurabilitySupport } from './durability-support.ts';
import type { LaneStamp } from './operation.ts';
import { isFenced, readStamp } from './operation-codec.ts';

/**
 * For so long a replica may be silent and still hold up acknowledgements. A replica acknowledges
 * once a second, and the primary counts in whole seconds: 1 would drop one that is well whenever a
 * machine is busy, and each second more is one that a replica which hangs costs every caller. It is
 * what min-replicas-max-lag is best set to, as well.
 */
const SILENCE_S_MAX = 2;

/** The argument of the script `confirm`, behind its context. */
export const CONFIRM_ARGUMENT = Buffer.of(SILENCE_S_MAX);

export type WaitCommand = readonly ['WAIT' | 'WAITAOF', ...number[]];

export interface Confirmation {
  readonly level: RedisLevel;
  /** `needed`: replicas that must have it, as far as is known; `waitMs`: for each command. */
  readonly commands: (needed: number, waitMs: number) => readonly WaitCommand[];
  /** Whether these replies, and what was needed just behind them, say that the level was reached. */
  readonly isReached: (replies: readonly unknown[], needed: number) => boolean;
}

/**
 * The confirmations of these levels, the quicker first, so that who needs less is not kept by the
 * disk. What the node cannot confirm is left out.
 */
export function planConfirmations(
  levels: ReadonlySet<RedisLevel>,
  { quorum, fsync }: DurabilitySupport,
): Confirmation[] {
  // A deployment without replicas has none that could be promoted, whoever is attached.
  const enough = (needed: number): number => (quorum === 0 ? 0 : Math.max(quorum, needed));
  const hasEnough = (reply: unknown, needed: number): boolean =>
    typeof reply === 'number' && reply >= enough(needed);
  const wait = (level: RedisLevel): Confirmation => ({
    level,
    commands: (needed, waitMs) => [['WAIT', enough(needed), waitMs]],
    isReached: ([reply], needed) => hasEnough(reply, needed),
  });
  // Of the disks a quorum is enough: a replica that was just copied tells nothing of its disk while
  // it writes its first file, and has what was sent to it meanwhile all the same.
  const waitAof: Confirmation = {
    level: 'fsync',
    commands: (needed, waitMs) => [
      ['WAIT', enough(needed), waitMs],
      ['WAITAOF', 1, quorum, waitMs],
    ],
    isReached: ([reply, onDisk], needed) => {
      const [local, replicas] = Array.isArray(onDisk) ? (onDisk as unknown[]) : [];
      return hasEnough(reply, needed) && Number(local) >= 1 && Number(replicas) >= quorum;
    },
  };
  const needsFsync = levels.has('fsync') && fsync !== 'never';
  // Where each reply is behind the fsync, so is the reply to WAIT; `WAIT 0` asks nobody.
  if (needsFsync && fsync === 'reply') return [wait('fsync')];
  return [
    ...(levels.has('replicated') && quorum > 0 ? [wait('replicated')] : []),
    ...(needsFsync ? [waitAof] : []),
  ];
}

/**
 * How many replicas must have what stood at `before`; undefined when the node is no longer what it
 * was when the script ran, as the script `confirm` (`check`) tells: open, with the same replication
 * id, at the position or beyond it in the same epoch. Demoted and promoted again in between, it has
 * another replication id (and so is fenced), and what WAIT counted may have been another history.
 */
export function readNeeded(before: LaneStamp, check: unknown): number | undefined {
  if (!Buffer.isBuffer(check)) return undefined;
  const reader = new ByteReader(check);
  const now = readStamp(reader);
  return isSameHistory(before, now) ? reader.u16() : undefined;
}

function isSameHistory(before: LaneStamp, now: ReturnType<typeof readStamp>): now is LaneStamp {
  return !isFenced(now) && now.epoch === before.epoch && now.seq >= before.seq;
}
