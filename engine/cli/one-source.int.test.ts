/** A whole Holdfast in one process watches each Sentinel as often as a single connection does. */
import { Redis } from 'ioredis';
import { afterEach, expect, it } from 'vitest';
import { connectRedis, whenReady } from '../redis/connect.ts';
import { startTestEngine } from '../testing/engine.ts';
import { startRedisGroup, type TestRedisGroup } from '../testing/redis-group.ts';

const READY_MS_MAX = 30_000;
const WAIT_MS_MAX = 60_000;
const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

it('shares one watcher of the Sentinels among its roles', async () => {
  const group = await startRedisGroup();
  ends.push(() => group.stop());
  await group.settled();
  const alone = await connectionsAt(group);

  const one = connectRedis({ url: group.url, name: 'one', onError: () => undefined });
  await whenReady(one, READY_MS_MAX);
  const withOne = await connectionsAt(group);
  expect(withOne).toBeGreaterThan(alone);
  one.disconnect();
  await until('it is gone', async () => (await connectionsAt(group)) === alone);

  const engine = await startTestEngine({ redisUrl: group.url });
  ends.push(() => engine.close());
  // Questions that are asked once come and go beside it.
  await until('one watcher', async () => (await connectionsAt(group)) === withOne);
}, 240_000);

/** Of clients to the first Sentinel, the one that asks left out. */
async function connectionsAt(group: TestRedisGroup): Promise<number> {
  const { host = '', port = 0 } = sentinelOf(group);
  const client = new Redis({ host, port, name: '', enableReadyCheck: false });
  try {
    const list = String(await client.call('CLIENT', 'LIST'));
    return list.split('\n').filter((line) => line.includes(' cmd=')).length - 1;
  } finally {
    client.disconnect();
  }
}

function sentinelOf({ url }: TestRedisGroup): { host?: string; port?: number } {
  const [, host, port] = /@?([\d.]+):(\d+)/.exec(url) ?? [];
  return { ...(host !== undefined && { host }), port: Number(port) };
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
