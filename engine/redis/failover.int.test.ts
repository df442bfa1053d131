/**
 * One Redis object over a group whose primary goes away in each way that it can: commands flow again
 * on the new primary, what was in flight is rejected with its reason, and nothing is sent twice.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { redisCommand } from '../../deploy/local/redis.ts';
import {
  hasGroups,
  startRedisGroup,
  type TestRedisGroup,
  type TestRedisNode,
} from '../testing/redis-group.ts';
import { startRedis } from '../testing/servers.ts';
import { currentTestRun, serverDirectory } from '../testing/test-run.ts';
import { startTestServer } from '../testing/test-server.ts';
import { until } from '../testing/until.ts';
import { connectRedis, whenReady } from './connect.ts';
import { openRedisSource } from './open-source.ts';

const TEST_MS_MAX = 180_000;
const READY_MS_MAX = 30_000;
const IN_FLIGHT = 50;

const clients: Redis[] = [];
const connect = async (url: string, source = openRedisSource({ url })): Promise<Redis> => {
  const client = connectRedis({ url, source, name: 'test', onError: () => undefined });
  clients.push(client);
  await whenReady(client, READY_MS_MAX);
  return client;
};
/** Where the client's socket ends. */
const isAt = ({ stream }: Redis, { host, port }: { host: string; port: number }) =>
  stream.remoteAddress === host && stream.remotePort === port;
afterEach(() => {
  for (const client of clients.splice(0)) client.disconnect();
});

describe.runIf(hasGroups())('over a group', () => {
  let group: TestRedisGroup;
  beforeAll(async () => {
    group = await startRedisGroup();
  }, TEST_MS_MAX);
  afterAll(() => group?.stop());
  /** All run again, and agree. */
  afterEach(async () => {
    for (const node of group.nodes) {
      if (node.isRunning) node.resume('data');
      if (node.isSentinelRunning) node.resume('sentinel');
    }
    await Promise.all(group.nodes.map((node) => node.restart()));
    await group.settled();
  }, TEST_MS_MAX);

  const others = (primary: TestRedisNode) => group.nodes.filter((node) => node !== primary);
  const sentinels = () => /\/\/([^/]*)/.exec(group.url)?.[1]?.split(',') ?? [];
  const sentinelOf = ({ host }: TestRedisNode) => {
    const found = sentinels().find((each) => each.startsWith(`${host}:`));
    if (found === undefined) throw new Error(`no Sentinel listens on ${host}`);
    return found;
  };
  const name = (each: readonly string[]) => `redis+sentinel://${each.join(',')}/${group.master}`;

  /** Each command names a key of its own: one that ran twice left a 2. */
  const keys = (round: string) => Array.from({ length: IN_FLIGHT }, (_, i) => `once:${round}:${i}`);
  const send = (redis: Redis, round: string) =>
    Promise.all(
      keys(round).map((key) =>
        redis.incr(key).then(
          () => 'done',
          (error: Error) => error.message,
        ),
      ),
    );
  const runs = async (redis: Redis, round: string) =>
    Math.max(...(await redis.mget(keys(round))).map(Number));

  async function flowsOn(redis: Redis, old: TestRedisNode): Promise<void> {
    await until('a command runs on another primary', async () => {
      const isDone = await redis.set('flows', 'on').catch(() => undefined);
      return isDone === 'OK' && !isAt(redis, old);
    });
    // One Sentinel promotes, the others hear of it.
    await until('a majority names it', async () => isAt(redis, await group.primary()));
  }

  it('stays where a majority of the Sentinels says', { timeout: TEST_MS_MAX }, async () => {
    const primary = await group.primary();
    const [elsewhere] = others(primary);
    if (elsewhere === undefined) throw new Error('a group has replicas');
    const redis = await connect(group.url);
    // One Sentinel was set up anew, with a wrong address.
    const liar = await connect(`redis://${sentinelOf(primary)}`);
    const lie = [elsewhere.host, String(elsewhere.port)];
    // In one go: within a second or two the others have put it right.
    const [, , told] = await Promise.all([
      liar.call('SENTINEL', 'REMOVE', group.master),
      liar.call('SENTINEL', 'MONITOR', group.master, ...lie, '2'),
      liar.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', group.master),
    ]);
    expect(told, 'it lies').toEqual(lie);
    // Another claims a later failover than any that was, to a node that does not answer.
    const braggart = await startLiar(group.master, await silentPort());
    try {
      const other = await connect(name([`127.0.0.1:${braggart.port}`, ...sentinels()]));
      expect(isAt(other, primary)).toBe(true);
      expect(await other.incr('believed')).toBe(1);
      expect(await redis.incr('believed')).toBe(2);
      expect(isAt(redis, primary)).toBe(true);
    } finally {
      await braggart.stop();
      await liar.call('SENTINEL', 'REMOVE', group.master);
      const truth = [primary.host, String(primary.port)];
      await liar.call('SENTINEL', 'MONITOR', group.master, ...truth, '2');
      const times = ['down-after-milliseconds', '1000', 'failover-timeout', '5000'];
      await liar.call('SENTINEL', 'SET', group.master, ...times);
    }
  });

  it('is there while most Sentinels hang', { timeout: TEST_MS_MAX }, async () => {
    const primary = await group.primary();
    const before = await connect(group.url);
    for (const node of others(primary)) node.pause('sentinel');
    const after = await connect(group.url);
    expect(isAt(after, primary)).toBe(true);
    expect(await before.ping()).toBe('PONG');
  });

  it('goes on when the primary is killed, and what it was told of is worth nothing', {
    timeout: TEST_MS_MAX,
  }, async () => {
    const old = await group.primary();
    // Those that it was told of are a liar, and one that dies with the primary.
    const braggart = await startLiar(group.master, await silentPort());
    try {
      const redis = await connect(name([`127.0.0.1:${braggart.port}`, sentinelOf(old)]));
      const outcomes = send(redis, 'kill');
      await old.kill('SIGKILL', 'both');
      await outcomes;
      await flowsOn(redis, old);
      expect(await runs(redis, 'kill')).toBeLessThanOrEqual(1);
    } finally {
      await braggart.stop();
    }
  });

  it('goes on when the primary hangs, with all its connections', {
    timeout: TEST_MS_MAX,
  }, async () => {
    const old = await group.primary();
    const source = openRedisSource({ url: group.url });
    const many = await Promise.all(Array.from({ length: 8 }, () => connect(group.url, source)));
    const [redis, subscriber, ...rest] = many;
    if (redis === undefined || subscriber === undefined) throw new Error('there are eight');
    const heard: string[] = [];
    subscriber.on('message', (_, message) => heard.push(message));
    await subscriber.subscribe('news');
    old.pause();
    const outcomes = send(redis, 'hang');
    await Promise.all([redis, ...rest].map((client) => flowsOn(client, old)));
    for (const outcome of await outcomes) expect(outcome).toMatch(/may have run|timed out/);
    // The subscription moves along, without anybody asking for it again.
    await until('the subscriber is there', async () => {
      await redis.publish('news', 'here');
      return heard.length > 0 && !isAt(subscriber, old);
    });
    old.resume();
    await group.settled();
    expect(await runs(redis, 'hang')).toBeLessThanOrEqual(1);
    expect(isAt(redis, await group.primary())).toBe(true);
  });

  it('goes on when an operator moves the primary', { timeout: TEST_MS_MAX }, async () => {
    const old = await group.primary();
    const redis = await connect(group.url);
    const sentinel = await connect(`redis://${sentinels()[0]}`);
    // One that was asked for is given up when it takes too long, and nobody begins another.
    await until('the Sentinels moved it', async () => {
      await sentinel.call('SENTINEL', 'FAILOVER', group.master).catch(() => undefined);
      return (await group.primary()) !== old;
    });
    await flowsOn(redis, old);
  });

  it('says what is wrong when nobody knows the primary', { timeout: TEST_MS_MAX }, async () => {
    const fail = (url: string) => {
      const redis = connectRedis({ url, name: 'test', onError: () => undefined });
      clients.push(redis);
      return whenReady(redis, 5_000);
    };
    await Promise.all([
      expect(fail(group.url.replace(/\/[^/]*$/, '/nosuch'))).rejects.toThrow(
        new RegExp(`"nosuch".*knows no master "nosuch"; it knows "${group.master}"`),
      ),
      expect(fail('redis+sentinel://127.0.0.1:1,127.0.0.1:2/sale')).rejects.toThrow(
        /"sale".*127\.0\.0\.1:1.*ECONNREFUSED.*127\.0\.0\.1:2.*ECONNREFUSED/,
      ),
    ]);
  });
});

describe('over one Redis', () => {
  it('leaves a node that became a replica, and says where it was when it is gone', async () => {
    const server = await startRedis();
    try {
      const redis = await connect(server.url);
      const admin = await connect(server.url);
      await admin.call('REPLICAOF', '127.0.0.1', '1');
      const { stream } = redis;
      await expect(redis.incr('a')).rejects.toThrow(/READONLY/);
      await until('it left', () => redis.stream !== stream && redis.status === 'ready');
      await admin.call('REPLICAOF', 'NO', 'ONE');
      expect(await redis.incr('a')).toBe(1);
      process.kill(server.pid, 'SIGSTOP');
      const hung = redis.incr('a').catch((error: Error) => error.message);
      await server.kill('SIGKILL');
      expect(await hung).toContain(`Redis at 127.0.0.1:${server.port}: the connection broke`);
      const late = connectRedis({ url: server.url, name: 'test', onError: () => undefined });
      clients.push(late);
      await expect(whenReady(late, 1_500)).rejects.toThrow(
        `Redis at 127.0.0.1:${server.port} is not ready after 1500 ms: connect ECONNREFUSED`,
      );
    } finally {
      await server.stop();
    }
  });

  it.runIf(hasGroups())('connects from the local address that was set', async () => {
    const server = await startRedis();
    try {
      const source = openRedisSource({ url: server.url, localAddress: '127.0.0.7' });
      const errors: string[] = [];
      const onError = ({ message }: Error) => errors.push(message);
      const redis = connectRedis({ url: server.url, source, name: 'test', onError });
      clients.push(redis);
      // In protected mode Redis refuses whoever does not come from 127.0.0.1, and says so.
      await until('it was told', () =>
        errors.some((message) => /broke \(DENIED .*protected mode/.test(message)),
      );
      const admin = await connect(server.url);
      await admin.config('SET', 'protected-mode', 'no');
      await whenReady(redis, READY_MS_MAX);
      expect(await redis.client('INFO')).toContain('addr=127.0.0.7:');
    } finally {
      await server.stop();
    }
  });
});

/** Somebody who takes connections and says nothing. */
async function silentPort(): Promise<number> {
  const silent = createServer().listen(0, '127.0.0.1').unref();
  await once(silent, 'listening');
  return (silent.address() as AddressInfo).port;
}

/** A Sentinel that claims the 99th failover, to that port. */
function startLiar(master: string, to: number) {
  const run = currentTestRun();
  const directory = serverDirectory(run, 'liar');
  return startTestServer({
    command: (port) => {
      const file = join(directory, 'sentinel.conf');
      const lies = [`monitor ${master} 127.0.0.1 ${to} 2`, `config-epoch ${master} 99`];
      writeFileSync(file, [...lies.map((lie) => `sentinel ${lie}`), ''].join('\n'));
      const plain = redisCommand({ directory, port });
      return {
        ...plain,
        title: 'a Sentinel that lies',
        args: [file, '--sentinel', '--port', String(port), '--bind', '127.0.0.1'],
      };
    },
    stopSignal: 'SIGTERM',
    owner: run.owner,
  });
}
