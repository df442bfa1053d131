/** Whether a connection leads to the node that a majority of the Sentinels stands behind. */
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startRedisGroup, type TestRedisGroup } from '../testing/redis-group.ts';
import { connectRedis, whenReady } from './connect.ts';
import { whyNotPrimary } from './majority.ts';

let group: TestRedisGroup;
const connections: Redis[] = [];
beforeAll(async () => {
  group = await startRedisGroup();
  await group.settled();
}, 60_000);
afterAll(async () => {
  for (const redis of connections) redis.disconnect();
  await group.stop();
});

async function connect(url: string): Promise<Redis> {
  const redis = connectRedis({ url, name: 'test', onError: () => undefined });
  connections.push(redis);
  await whenReady(redis, 10_000);
  return redis;
}

const ask = (redis: Redis, redisUrl = group.url) =>
  whyNotPrimary(redis, { redisUrl, redisLocalAddress: undefined });

it('says nothing of the primary, and nothing where there are no Sentinels', async () => {
  const redis = await connect((await group.primary()).url);
  expect(await ask(redis)).toBeUndefined();
  expect(await ask(redis, (await group.primary()).url)).toBeUndefined();
});

it('names the primary to a connection that leads to another node', async () => {
  const primary = await group.primary();
  const other = group.nodes.find((node) => node !== primary);
  const redis = await connect(other?.url ?? '');
  expect(await ask(redis)).toMatch(/^a majority of the Sentinels names \S+, which is another node/);
});

it('finds the Sentinels that REDIS_URL does not name, and counts each once', async () => {
  const redis = await connect((await group.primary()).url);
  const [first = '', , ...rest] = group.url.split(',');
  expect(rest).toHaveLength(1);
  expect(await ask(redis, `${first}/${group.master}`)).toBeUndefined();
});

it('wants more than half of them, and is not held up by the rest', async () => {
  const redis = await connect((await group.primary()).url);
  const [a, b] = group.nodes;
  a?.pause('sentinel');
  expect(await ask(redis)).toBeUndefined();
  b?.pause('sentinel');
  expect(await ask(redis)).toMatch(/^no majority of the Sentinels/);
  a?.resume('sentinel');
  b?.resume('sentinel');
  expect(await ask(redis)).toBeUndefined();
});
