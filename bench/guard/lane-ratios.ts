/** What a reservation costs in Redis, in instructions of a bare counter's script, a request each. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { freePort } from '../../deploy/local/ports.ts';
import { redisCommand, redisUrl } from '../../deploy/local/redis.ts';
import { connectRedis, whenReady } from '../../engine/redis/connect.ts';
import { driveLane } from '../measure/lane-driver.ts';
import type { Bench } from '../scenario.ts';
import { LANE_CASES, type LaneCase, loadPeer, PEERS, sendPeer } from '../scenarios/lane.ts';
import { type CountedProcess, startCounted } from './instructions.ts';
import type { Ratios } from './judge.ts';
import { triedAgain } from './tried-again.ts';

/** Counting is slow, and the machine may be busy besides. */
const READY_MS_MAX = 120_000;
const COMMAND_MS_MAX = 300_000;
/** Operations in whole batches: enough that a turn of Redis' own clock is nothing beside them. */
const COUNTED = 1_024;
const WARM_UP = 512;

/** Redis has an emptied server of its own here: the one that is counted. */
export async function laneRatios({ directory, onProgress }: Bench): Promise<Ratios> {
  onProgress('Redis starts, counted');
  const server = await startCountedRedis(join(directory, 'redis'));
  try {
    await server.process.begin();
    const ratios: Record<string, number> = {};
    onProgress('counting: a bare counter in Redis');
    const counter = await countCounter(server);
    for (const each of LANE_CASES) {
      onProgress(`counting: Redis, ${each.name}`);
      const count = await triedAgain(() => countLane(server, each));
      ratios[`Redis, ${each.name} : bare counter`] = count / counter;
    }
    return ratios;
  } finally {
    server.redis.disconnect();
    await server.process.kill();
  }
}

interface CountedRedis {
  readonly redis: Redis;
  readonly process: CountedProcess;
}

async function startCountedRedis(directory: string): Promise<CountedRedis> {
  const port = await freePort();
  const data = join(directory, 'data');
  await mkdir(data, { recursive: true });
  // What Redis does by the clock would be more of it, the slower the count.
  const { command, args } = redisCommand({ directory: data, port, args: ['--hz', '1'] });
  const env = process.env;
  const counted = await startCounted({ command, args, env, directory: join(directory, 'counts') });
  const redis = connectRedis(
    { url: redisUrl(port), name: 'holdfast-guard', onError: () => undefined },
    { commandTimeout: COMMAND_MS_MAX },
  );
  try {
    await Promise.race([whenReady(redis, READY_MS_MAX), counted.broken]);
  } catch (error) {
    redis.disconnect();
    await counted.kill();
    throw error;
  }
  return { redis, process: counted };
}

async function countLane({ redis, process }: CountedRedis, each: LaneCase): Promise<number> {
  const lane = await driveLane(redis, each);
  // One batch at a time: a second one would wait for it, and might be late.
  const reserve = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left -= each.batch) await lane.reserve(each.batch);
  };
  await reserve(WARM_UP);
  const before = lane.sent().batches;
  const count = await process.count(() => reserve(COUNTED));
  const batches = lane.sent().batches - before;
  if (batches * each.batch !== COUNTED)
    throw new Error(`${COUNTED} went out in ${batches} batches`);
  const reserved = await lane.reserved();
  if (reserved !== WARM_UP + COUNTED) {
    throw new Error(`audit: ${WARM_UP + COUNTED} were accepted, ${reserved} are reserved`);
  }
  return count / COUNTED;
}

async function countCounter({ redis, process }: CountedRedis): Promise<number> {
  const digest = await loadPeer(redis, PEERS['EVALSHA of a bare counter']);
  await sendPeer(redis, digest, WARM_UP);
  return (await process.count(() => sendPeer(redis, digest, COUNTED))) / COUNTED;
}
