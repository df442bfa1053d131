/** The settings of real servers, read and judged; each mend is run, and mends. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { hasGroups, startRedisGroup } from '../testing/redis-group.ts';
import { startRedis } from '../testing/servers.ts';
import { connectRedis, whenReady } from './connect.ts';
import { laneKeys } from './keys.ts';
import { openRedisSource } from './open-source.ts';
import { type RedisFacts, readRedisFacts } from './settings-facts.ts';
import { judgeRedis } from './settings-rules.ts';

const run = promisify(execFile);
const TEST_MS_MAX = 120_000;
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function open(url: string): Promise<{ redis: Redis; facts: () => Promise<RedisFacts> }> {
  const source = openRedisSource({ url });
  const redis = connectRedis({ url, source, name: 'test', onError: () => undefined });
  ends.push(() => redis.disconnect());
  await whenReady(redis, 5_000);
  return { redis, facts: () => readRedisFacts(redis, source) };
}

const words = (facts: RedisFacts) =>
  judgeRedis(facts).map(({ severity, what }) => `${severity}: ${what}`);

async function plainRedis(args: readonly string[] = []) {
  const server = await startRedis({ args });
  ends.push(() => server.stop());
  return await open(server.url);
}

/** What a person would paste. */
async function mend(facts: RedisFacts): Promise<void> {
  for (const { mend } of judgeRedis(facts)) {
    const [program = '', ...args] = mend.replace(/ {3}\(.*$/, '').split(' ');
    await run(program, args);
  }
}

describe('one Redis', () => {
  it('has nothing wrong as the local stack starts it', async () => {
    const { facts } = await plainRedis();
    expect(words(await facts())).toEqual([]);
  });

  it('is told everything at once, and the commands mend it', async () => {
    const { facts } = await plainRedis([
      ...['--maxmemory-policy', 'allkeys-lru'],
      ...['--appendonly', 'no'],
      ...['--repl-backlog-ttl', '3600'],
      ...['--auto-aof-rewrite-min-size', '64mb'],
      ...['--hash-max-listpack-value', '64'],
    ]);
    expect(words(await facts())).toEqual([
      'error: maxmemory-policy is allkeys-lru; it should be noeviction',
      'error: appendonly is no; it should be yes',
      'warning: repl-backlog-ttl is 3600; it should be 0',
      'warning: auto-aof-rewrite-min-size is 67108864; it should be 512mb',
      'warning: hash-max-listpack-value is 64; it should be 512',
    ]);
    await mend(await facts());
    expect(words(await facts())).toEqual([]);
  });

  it('that is a replica, or forbids CONFIG, is told so', async () => {
    const { redis, facts } = await plainRedis();
    await redis.call('REPLICAOF', '127.0.0.1', '1');
    expect(words(await facts())).toContain('error: is a replica');
    await redis.call('REPLICAOF', 'NO', 'ONE');
    await redis.call('ACL', 'SETUSER', 'default', '-config');
    expect(words(await facts())).toEqual([
      'warning: does not tell its settings (CONFIG is forbidden)',
    ]);
  });

  it('that holds what another release wrote is refused', async () => {
    const { redis, facts } = await plainRedis();
    await redis.hset(laneKeys(0).meta, 'schema', '999');
    await redis.hset(laneKeys(1).meta, 'schema', '1');
    expect(words(await facts())).toEqual([
      expect.stringMatching(
        /^error: holds a lane of version 999; this release works on version \d+$/,
      ),
      'error: holds more lanes than this release runs',
    ]);
  });
});

describe.runIf(hasGroups())('a Redis group', () => {
  it('is checked on every node and every Sentinel', { timeout: TEST_MS_MAX }, async () => {
    const group = await startRedisGroup();
    ends.push(() => group.stop());
    const { redis, facts } = await open(group.url);
    expect(words(await facts())).toEqual([]);

    const primary = await group.primary();
    const replica = group.nodes.find((node) => node !== primary);
    const direct = await open(replica?.url ?? '');
    await direct.redis.config('SET', 'maxmemory-policy', 'volatile-lru');
    await redis.config('SET', 'min-replicas-to-write', '0');
    await redis.config('SET', 'min-replicas-max-lag', '60');
    await redis.config('SET', 'repl-backlog-size', '1mb');
    await redis.config('SET', 'repl-timeout', '15');
    expect(words(await facts()).sort()).toEqual([
      'error: maxmemory-policy is volatile-lru; it should be noeviction',
      'error: min-replicas-max-lag is 60; it should be 2',
      'error: min-replicas-to-write is 0; it should be 1',
      'warning: repl-backlog-size is 1048576; it should be 64mb',
      'warning: repl-timeout is 15; it should be 60',
    ]);
    await mend(await facts());
    expect(words(await facts())).toEqual([]);

    replica?.pause('sentinel');
    const [first] = judgeRedis(await facts());
    expect(first).toMatchObject({
      severity: 'warning',
      where: expect.stringContaining('Sentinel'),
    });
    replica?.resume('sentinel');
  });

  const facts: RedisFacts = {
    kind: 'sentinel',
    primary: {
      address: { host: 'a', port: 1 },
      role: 'master',
      version: '7.0.15',
      isCluster: false,
      replicas: 2,
      settings: undefined,
    },
    replicas: [],
    sentinels: [],
    silent: [],
    lane: { schema: undefined, hasMoreLanes: false },
  };
  const sentinel = {
    address: { host: 's', port: 2 },
    quorum: 2,
    downAfterMs: 1_000,
    sentinels: 3,
    replicas: ['b', 'c'].map((host) => ({ address: { host, port: 1 }, priority: 100 })),
  };
  const about = (change: Partial<typeof sentinel>) =>
    words({ ...facts, sentinels: [{ ...sentinel, ...change }] }).slice(1);

  it.each([
    [{}, []],
    [{ quorum: 4 }, ['error: wants 4 of 3 Sentinels to agree']],
    [{ quorum: 1 }, ['warning: lets 1 of 3 Sentinels begin a failover; 2 are a majority']],
    [{ downAfterMs: 30_000 }, [expect.stringMatching(/^warning: waits 30000 ms/)]],
    [{ downAfterMs: 50 }, [expect.stringMatching(/^warning: waits only 50 ms/)]],
    [{ sentinels: 1, quorum: 1 }, ['error: has 1 Sentinel']],
    [{ sentinels: 5, quorum: 3 }, ['warning: has 5 Sentinels for 3 data nodes']],
    [
      { replicas: sentinel.replicas.map((each) => ({ ...each, priority: 0 })) },
      ['error: has only replicas of replica-priority 0'],
    ],
  ])('whose Sentinels say %j', (change, expected) => {
    expect(about(change)).toEqual(expected);
  });
});
