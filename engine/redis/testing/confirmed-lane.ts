/** A lane on a real primary with two real replicas: what is asked of it at a level, and who has it. */
import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import type { DurabilityLevel, RedisLevel } from '../../domain/durability.ts';
import { packId } from '../../domain/reservation-id.ts';
import type { TestRedis } from '../../testing/servers.ts';
import { connectRedis, whenReady } from '../connect.ts';
import type { LaneStamp, Operation, OperationResult } from '../operation.ts';
import { KEYS, reserve, startTestLane, type TestLane, type TestLaneOptions } from './test-lane.ts';

export const SOON = { timeout: 30_000 };
/** Each `buy` takes one. */
const UNITS = { 'X@A': 1_000 };
const REPLICAS = 2;
/** As the engine has it: whoever was silent for longer is not in sync. */
const SILENCE_S_MAX = 2;

export interface ConfirmedLane extends TestLane {
  ask(operation: Operation, level?: DurabilityLevel): Promise<OperationResult>;
  /** Whether the level was reached for what stands there. */
  reached(level: RedisLevel, stamp: LaneStamp): Promise<boolean>;
}

/** Both replicas are in sync when it resolves. */
export async function startConfirmedLane(options: TestLaneOptions): Promise<ConfirmedLane> {
  const args = ['--repl-diskless-sync-delay', '0', ...(options.args ?? [])];
  const t = await startTestLane({ replicas: REPLICAS, ...options, args });
  await t.receive(UNITS);
  await untilInSync(t.redis, REPLICAS);
  const { confirmed } = t.lane;
  if (confirmed === undefined) throw new Error('the lane confirms nothing');
  return {
    ...t,
    ask: (operation, level) =>
      new Promise((resolve) =>
        t.lane.submit(operation, (answer) => resolve(answer as OperationResult), level),
      ),
    reached: (level, stamp) => new Promise((resolve) => confirmed.wait(level, stamp, resolve)),
  };
}

export const buy = (id: string): Operation => reserve(packId(id), { 'X@A': 1 });

/** Replicas that are online, have acknowledged something, and were not silent for long. */
export async function countInSync(redis: Redis): Promise<number> {
  return (await readInSync(redis)).length;
}

/** What each replica that is in sync has acknowledged. */
export async function readInSync(redis: Redis): Promise<number[]> {
  const replicas = (await redis.info('replication')).matchAll(
    /state=online,offset=(\d+),lag=(\d+)/g,
  );
  return [...replicas]
    .filter(([, offset, lag]) => Number(offset) > 0 && Number(lag) <= SILENCE_S_MAX)
    .map(([, offset]) => Number(offset));
}

export async function untilInSync(redis: Redis, replicas: number): Promise<void> {
  await expect.poll(() => countInSync(redis), SOON).toBe(replicas);
}

/** Runs `use` over a connection to one node. */
export async function onNode<T>(server: TestRedis, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = connectRedis({ url: server.url, name: 'test', onError: () => undefined });
  try {
    await whenReady(redis, SOON.timeout);
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}

/** What `buy` was given, as far as the log of a node names it: ids of letters and a number. */
export async function boughtOn(server: TestRedis): Promise<ReadonlySet<string>> {
  const entries = await onNode(server, (redis) => redis.xrangeBuffer(KEYS.log, '-', '+'));
  const texts = entries.map(([, fields]) => fields.map(String).join(''));
  return new Set(texts.flatMap((text) => text.match(/buy-\d+/g) ?? []));
}
