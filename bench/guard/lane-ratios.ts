/** What a reservation and its commit cost in Redis, in instructions of a bare counter's script, a request each. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { freePort } from '../../deploy/local/ports.ts';
import { redisCommand, redisUrl } from '../../deploy/local/redis.ts';
import { connectRedis, whenReady } from '../../engine/redis/connect.ts';
import { type DrivenLane, driveLane } from '../measure/lane-driver.ts';
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
/** A batch of settlements is of many buyers, and these have bought of the few that sell. */
const COMMITS = { batch: 64, skus: 16 } as const;

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
    const { batch, skus } = COMMITS;
    const commits = `Redis, commit, batch ${batch}, ${skus} SKUs`;
    onProgress(`counting: ${commits}`);
    const count = await triedAgain(() => countCommits(server));
    ratios[`${commits} : bare counter`] = count / counter;
    return ratios;
  } finally {
    server.redis.disconnect();
    await server.process.kill();
  }
}

type SendMany = (count: number) => Promise<void>;

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

async function countLane(server: CountedRedis, each: LaneCase): Promise<number> {
  const lane = await driveLane(server.redis, each);
  await inTurn(WARM_UP, each.batch, lane.reserve);
  const count = await countBatches(server, lane, each.batch, lane.reserve);
  await audit(lane, WARM_UP + COUNTED);
  return count;
}

async function countCommits(server: CountedRedis): Promise<number> {
  const { batch } = COMMITS;
  const lane = await driveLane(server.redis, COMMITS);
  await inTurn(WARM_UP + COUNTED, batch, lane.reserve);
  await inTurn(WARM_UP, batch, lane.commit);
  const count = await countBatches(server, lane, batch, lane.commit);
  await audit(lane, 0);
  return count;
}

/** One batch at a time: a second one would wait for it, and might be late. */
async function inTurn(count: number, batch: number, send: SendMany): Promise<void> {
  for (let left = count; left > 0; left -= batch) await send(batch);
}

/** Instructions of one operation. */
async function countBatches(
  { process }: CountedRedis,
  lane: DrivenLane,
  batch: number,
  send: SendMany,
): Promise<number> {
  const before = lane.sent().batches;
  const count = await process.count(() => inTurn(COUNTED, batch, send));
  const batches = lane.sent().batches - before;
  if (batches * batch !== COUNTED) throw new Error(`${COUNTED} went out in ${batches} batches`);
  return count / COUNTED;
}

async function audit(lane: DrivenLane, wanted: number): Promise<void> {
  const reserved = await lane.reserved();
  if (reserved !== wanted) throw new Error(`audit: ${wanted} should be reserved, ${reserved} are`);
}

async function countCounter({ redis, process }: CountedRedis): Promise<number> {
  const digest = await loadPeer(redis, PEERS['EVALSHA of a bare counter']);
  await sendPeer(redis, digest, WARM_UP);
  return (await process.count(() => sendPeer(redis, digest, COUNTED))) / COUNTED;
}
