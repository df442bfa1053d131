/**
 * Two faults that cost milliseconds and between them lead through every step: a script that dies
 * half way (a tail is relayed, newer rows are copied), and a Redis that is emptied (everything is
 * dropped and copied).
 */
import { randomBytes } from 'node:crypto';
import { reserve } from '../../engine/redis/testing/test-lane.ts';
import type { CrashPointName } from '../../engine/runtime/crash-point.ts';
import { CRASH_POINTS } from '../../engine/runtime/crash-point.ts';
import { dieHalfWay } from './forge.ts';
import { connectLane, type LaneStack, type Stack, submit } from './stack.ts';

export type RecoveryPoint = Extract<CrashPointName, `recovery.${string}`>;
export const RECOVERY_POINTS: readonly RecoveryPoint[] = CRASH_POINTS.recovery;

/** Sells one unit of what `trade` put on sale; throws when the lane would not. */
export async function sellOne(stack: LaneStack): Promise<void> {
  const operation = reserve(Buffer.from(`one-${randomBytes(6).toString('hex')}`), { B: 1 });
  const { outcome } = await submit(connectLane(stack.redis), operation);
  if (outcome !== 'created') throw new Error(`a unit could not be sold: ${outcome}`);
}

/** Makes a lane that is open need a recovery that passes the point. */
export async function breakFor(stack: Stack, point: RecoveryPoint): Promise<void> {
  await sellOne(stack);
  if (/wipe/.test(point)) await stack.redis.flushall();
  else await dieHalfWay(stack, () => sellOne(stack));
}
