/**
 * The start wrapper against real servers: what a careless restart does to a group, and what becomes
 * of the same restart when the Sentinels are asked first.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, describe, expect, it } from 'vitest';
import {
  hasGroups,
  type RedisGroupOptions,
  startRedisGroup,
  type TestRedisGroup,
  type TestRedisNode,
} from '../../engine/testing/redis-group.ts';
import { waitFor } from '../local/deadline.ts';
import { packageRoot } from '../local/paths.ts';
import { logPath } from '../local/server-process.ts';

const WRITES = 100;
/** No Sentinel acts within this time: what happens before it, happens without them. */
const NEVER_MS = 600_000;
/** Longer than a loaded machine needs to start everything at once. */
const UNHURRIED_MS = 5_000;
const TIMEOUT_MS = 100_000;
const TEST_TIMEOUT_MS = 300_000;

const isHere = hasGroups();

const cleanups: Array<() => Promise<unknown>> = [];
afterAll(() => Promise.all(cleanups.map((cleanup) => cleanup())));

async function startGroup(options: RedisGroupOptions = {}): Promise<TestRedisGroup> {
  const group = await startRedisGroup(options);
  cleanups.push(() => group.stop());
  return group;
}

async function withClient<T>(node: TestRedisNode, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(node.url, { maxRetriesPerRequest: 0 });
  client.on('error', () => undefined);
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

/** Each write acknowledged by both replicas. */
function writeAcknowledged(node: TestRedisNode): Promise<void> {
  return withClient(node, async (client) => {
    for (let index = 0; index < WRITES; index += 1) await client.rpush('written', index);
    expect(await client.wait(2, TIMEOUT_MS)).toBe(2);
  });
}

function countWritten(node: TestRedisNode): Promise<number> {
  return withClient(node, (client) => client.llen('written'));
}

/** The primary dies, and what it wrote last never reached its disk. */
async function loseTail(primary: TestRedisNode): Promise<void> {
  const copy = await primary.copyAof();
  await writeAcknowledged(primary);
  await primary.kill();
  await primary.restoreAof(copy);
}

async function untilLogSays(node: TestRedisNode, text: RegExp): Promise<void> {
  const read = () => text.test(readFileSync(logPath(node.dir), 'utf8')) || undefined;
  if (await waitFor(read, TIMEOUT_MS)) return;
  throw new Error(`the log never said ${text}: ${readFileSync(logPath(node.dir), 'utf8')}`);
}

describe.runIf(isHere).concurrent('a primary that restarts with a truncated file', () => {
  it(
    'without the wrapper: its replicas lose what both had acknowledged',
    async () => {
      const group = await startGroup({ downAfterMs: NEVER_MS });
      const primary = await group.primary();
      await loseTail(primary);
      await primary.restartUnguarded();
      await group.settled();
      expect(await Promise.all(group.nodes.map(countWritten))).toEqual([0, 0, 0]);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'with it: it waits until a replica is promoted, and loses its own file instead',
    async () => {
      const group = await startGroup({ downAfterMs: UNHURRIED_MS });
      const old = await group.primary();
      await loseTail(old);
      await old.restart();
      // Who is primary in the end says nothing: the node may be promoted in its turn.
      await untilLogSays(old, /waiting to be replaced/);
      await untilLogSays(old, /starting as a replica/);
      await group.settled();
      expect(await Promise.all(group.nodes.map(countWritten))).toEqual([WRITES, WRITES, WRITES]);
    },
    TEST_TIMEOUT_MS,
  );
});

describe.runIf(isHere).concurrent('a start of the whole group', () => {
  it(
    'leaves the primary what it was: its file has what the level `fsync` promised',
    async () => {
      const group = await startGroup({ downAfterMs: UNHURRIED_MS });
      const primary = await group.primary();
      // The replicas stop first, so that only the primary has what is written last.
      await group.settled();
      const [, ...replicas] = group.nodes;
      await withClient(primary, (client) => client.config('SET', 'min-replicas-to-write', '0'));
      await Promise.all(replicas.map((node) => node.kill('SIGTERM', 'both')));
      await withClient(primary, (client) => client.rpush('written', 'last'));
      await primary.kill('SIGTERM', 'both');

      await Promise.all(group.nodes.map((node) => node.restart()));
      await group.settled();
      expect(await group.primary()).toBe(primary);
      expect(await Promise.all(group.nodes.map(countWritten))).toEqual([1, 1, 1]);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'without the primary: the others wait for it, then offer themselves',
    async () => {
      const group = await startGroup();
      const primary = await group.primary();
      await writeAcknowledged(primary);
      const others = group.nodes.filter((node) => node !== primary);
      await Promise.all(group.nodes.map((node) => node.kill('SIGTERM', 'both')));
      await Promise.all(others.map((node) => node.restart()));
      await group.settled();
      expect(others).toContain(await group.primary());
      expect(await Promise.all(others.map(countWritten))).toEqual([WRITES, WRITES]);
    },
    TEST_TIMEOUT_MS,
  );
});

/** Runs the program itself, with `echo` for Redis: what it says, on stdout and stderr, comes back. */
async function runProgram(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  until: RegExp,
): Promise<string> {
  const child = spawn(join(packageRoot(), 'deploy/redis/start-redis.sh'), args, {
    env: {
      ...process.env,
      HOLDFAST_REDIS_NODES: 'localhost:1',
      HOLDFAST_REDIS_SELF: 'localhost:1',
      HOLDFAST_REDIS_DOWN_AFTER_MS: '1000',
      HOLDFAST_REDIS_SERVER: 'echo',
      ...environment,
    },
  });
  cleanups.push(async () => child.kill('SIGKILL'));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  await waitFor(() => until.test(said) || undefined, TIMEOUT_MS);
  child.kill('SIGKILL');
  return said;
}

describe('start-redis.sh', () => {
  it('does what a person has decided, and hands its file over without its name', async () => {
    const decided = { HOLDFAST_SENTINELS: 'localhost:1', HOLDFAST_REDIS_START_AS: 'primary' };
    const file = join(packageRoot(), 'deploy/redis/redis.conf');
    expect(await runProgram([file, '--port', '7'], decided, /--port/)).toMatch(/^- --port 7$/m);
    expect(await runProgram(['--port', '7'], decided, /--port/)).toMatch(/^--port 7$/m);
  });

  it('says what it has to be told', async () => {
    expect(await runProgram([], { HOLDFAST_SENTINELS: '' }, /names/)).toContain(
      'HOLDFAST_SENTINELS: names every Sentinel as host:port',
    );
  });
});

describe.runIf(isHere).concurrent('a node that restarts', () => {
  it(
    'does not follow a primary that is spelt in another way than here',
    async () => {
      const group = await startGroup();
      const sentinels = group.url.replace(/^.*\/\/|\/.*$/g, '').replaceAll(',', ' ');
      const said = await runProgram([], { HOLDFAST_SENTINELS: sentinels }, /waiting/);
      expect(said).toContain('which is not in HOLDFAST_REDIS_NODES (localhost:1)');
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'waits while no majority of the Sentinels answers',
    async () => {
      const group = await startGroup();
      const [primary, replica, other] = group.nodes;
      if (primary === undefined || replica === undefined || other === undefined) throw new Error();
      await Promise.all([primary, other].map((node) => node.kill('SIGKILL', 'sentinel')));
      await replica.kill();
      const restarted = replica.restart();
      await untilLogSays(replica, /waiting: no majority of the Sentinels/);
      await Promise.all([primary.restart(), other.restart()]);
      await restarted;
      await untilLogSays(replica, /starting as a replica/);
      await group.settled();
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'does not take replicas that hang for gone before the Sentinels do',
    async () => {
      const group = await startGroup({ downAfterMs: UNHURRIED_MS });
      const [primary, ...replicas] = group.nodes;
      if (primary === undefined) throw new Error();
      for (const replica of replicas) replica.pause();
      await primary.kill();
      const restarted = primary.restart();
      await untilLogSays(primary, /is silent, and only \d Sentinels have it as down/);
      await restarted;
      for (const replica of replicas) replica.resume();
      await group.settled();
      expect(await group.primary()).toBe(primary);
    },
    TEST_TIMEOUT_MS,
  );
});
