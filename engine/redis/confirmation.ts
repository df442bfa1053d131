/**
 * What is sent behind a script so that Redis says when its writes are replicated or on disk, and
 * what the answers are worth. No I/O.
 */
import type { RedisLevel } from '../domain/durability.ts';
import { ByteReader } from '../events/bytes.ts';
import type { DurabilitySupport } from './durability-support.ts';
import type { LaneStamp } from './operation.ts';
import { isFenced, readStamp } from './operation-codec.ts';

export interface Confirmation {
  readonly level: RedisLevel;
  readonly command: 'WAIT' | 'WAITAOF';
  readonly args: readonly number[];
  /** Whether the command's reply says that the level was reached. */
  readonly isReached: (reply: unknown) => boolean;
}

/**
 * The commands for these levels, the quicker first, so that who needs less is not kept by the disk.
 * What the node cannot confirm is left out.
 */
export function planConfirmations(
  levels: ReadonlySet<RedisLevel>,
  { quorum, fsync }: DurabilitySupport,
  timeoutMs: number,
): Confirmation[] {
  const wait = (level: RedisLevel): Confirmation => ({
    level,
    command: 'WAIT',
    args: [quorum, timeoutMs],
    isReached: (reply) => typeof reply === 'number' && reply >= quorum,
  });
  const waitAof: Confirmation = {
    level: 'fsync',
    command: 'WAITAOF',
    args: [1, quorum, timeoutMs],
    isReached: (reply) => {
      const [local, replicas] = Array.isArray(reply) ? (reply as unknown[]) : [];
      return Number(local) >= 1 && Number(replicas) >= quorum;
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
 * Whether the node is, behind a confirmation, still what it was when the script ran: open, with the
 * same replication id, at the position or beyond it in the same epoch. Demoted and promoted again
 * in between, it has another replication id (and so is fenced), and what WAIT counted may have been
 * another history.
 */
export function isSameHistory(before: LaneStamp, check: unknown): boolean {
  if (!Buffer.isBuffer(check)) return false;
  const now = readStamp(new ByteReader(check));
  return !isFenced(now) && now.epoch === before.epoch && now.seq >= before.seq;
}
