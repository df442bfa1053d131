/** A lane on a Redis group: a primary that may be killed, its replicas, and the Sentinels. */
import { waitFor } from '../../deploy/local/deadline.ts';
import { connectRedis, whenReady } from '../../engine/redis/connect.ts';
import { laneScripts } from '../../engine/redis/lane-scripts.ts';
import type { TestRedisGroup, TestRedisNode } from '../../engine/testing/redis-group.ts';
import { migratedDatabase } from '../../persister/testing/database.ts';
import { connectLane, LANE, type LaneStack } from './stack.ts';

const READY_TIMEOUT_MS = 30_000;
/** Sentinels that share two cores and a disk with others need several tries, and may stand still for 30 s in between. */
const FAILOVER_TIMEOUT_MS = 120_000;

/** Connected to the primary, wherever it goes; on a database of its own. */
export async function startGroupStack(group: TestRedisGroup): Promise<LaneStack> {
  const database = await migratedDatabase();
  const redis = connectRedis({ url: group.url, name: 'test', onError: () => undefined });
  await whenReady(redis, READY_TIMEOUT_MS);
  await redis.flushall();
  return {
    redis,
    state: laneScripts(redis, LANE),
    lane: connectLane(redis),
    database,
    end: async () => {
      redis.disconnect();
      await database.end();
    },
  };
}

/** Everything runs again, and all replicas are in sync. */
export async function heal(group: TestRedisGroup): Promise<void> {
  for (const node of group.nodes) {
    if (node.isRunning) node.resume('data');
    if (node.isSentinelRunning) node.resume('sentinel');
    await node.restart();
  }
  await group.settled();
}

export async function replicasOf(group: TestRedisGroup): Promise<TestRedisNode[]> {
  const primary = await group.primary();
  return group.nodes.filter((node) => node !== primary);
}

/** Until the stack's own connection leads to another node than `old`, which takes writes. */
export async function movedAway(
  group: TestRedisGroup,
  stack: LaneStack,
  old: TestRedisNode,
): Promise<void> {
  const moved = await waitFor(async () => {
    if (stack.state.address() === `${old.host}:${old.port}`) return undefined;
    const isDone = await stack.redis.publish('test', '').then(
      () => true,
      () => undefined,
    );
    return isDone;
  }, FAILOVER_TIMEOUT_MS);
  if (moved !== undefined) return;
  const logs = group.nodes.map((node) => `Sentinel of ${node.host}:\n${node.sentinelLog()}`);
  throw new Error(
    `no primary was there after ${old.host} had gone, the connection is to ` +
      `${stack.state.address()}; of the group: ${await group.obstacle()}\n${logs.join('\n')}`,
  );
}

/** Runs `act` on the primary, and kills it before any replica has heard of it. */
export async function promoteStale(
  group: TestRedisGroup,
  stack: LaneStack,
  act: () => Promise<void>,
): Promise<void> {
  const primary = await group.primary();
  const replicas = await replicasOf(group);
  for (const replica of replicas) replica.pause('data');
  // What stands in their sockets would still reach them: these sockets are closed. And without
  // replicas a primary of ours takes no writes.
  await stack.redis.config('SET', 'min-replicas-to-write', '0');
  await stack.redis.call('CLIENT', 'KILL', 'TYPE', 'replica');
  await act();
  await primary.kill();
  for (const replica of replicas) replica.resume('data');
  await movedAway(group, stack, primary);
}
