/** The stack that fails over: what comes back as what after a death, a promotion, a crash of the starter. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { currentTestRun, serverDirectory } from '../../engine/testing/test-run.ts';
import { waitFor } from './deadline.ts';
import { isRunning, signalProcess } from './process-identity.ts';
import { readServerRecord } from './server-process.ts';
import { type Stack, startStack } from './stack.ts';
import {
  type ServerRole,
  serverRole,
  stackAddresses,
  stackStatus,
  stopStack,
} from './stack-status.ts';
import { startElsewhere } from './testing/start-elsewhere.ts';

const TIMEOUT_MS = 60_000;
const TEST_TIMEOUT_MS = 200_000;
const env = { ...process.env, REDIS_URL: '', DATABASE_URL: '', KAFKA_BROKERS: '' };

const cleanups: Array<() => unknown> = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function stackDirectory(): string {
  return serverDirectory(currentTestRun(), 'stack');
}

async function start(directory: string, options: { sentinel?: boolean } = {}): Promise<Stack> {
  const stack = await startStack({ directory, log: 'embedded', env, ...options });
  cleanups.push(() => stack.stop());
  return stack;
}

/** `{ 'redis-1': 'primary', ... }` of the servers that run. */
async function rolesIn(directory: string): Promise<Record<string, ServerRole>> {
  const statuses = stackStatus(directory, env);
  const roles = await Promise.all(
    statuses.map(async (status) => [status.name, await serverRole(status)] as const),
  );
  return Object.fromEntries(roles.flatMap(([name, role]) => (role ? [[name, role]] : [])));
}

async function untilRole(directory: string, name: string, role: ServerRole): Promise<void> {
  const has = async () => (await rolesIn(directory))[name] === role || undefined;
  if ((await waitFor(has, TIMEOUT_MS)) === undefined) {
    throw new Error(`${name} is no ${role}: ${JSON.stringify(await rolesIn(directory))}`);
  }
}

async function untilPromoted(directory: string): Promise<string> {
  const find = async () => {
    const found = Object.entries(await rolesIn(directory));
    return found.find(([name, role]) => name.startsWith('redis') && role === 'primary')?.[0];
  };
  const name = await waitFor(find, TIMEOUT_MS);
  if (name === undefined) throw new Error('no Redis was promoted');
  return name;
}

async function query(directory: string, name: string, text: string): Promise<unknown> {
  const address = stackStatus(directory, env).find((server) => server.name === name)?.address;
  const client = new Client({ connectionString: address });
  await client.connect();
  try {
    return Object.values((await client.query(text)).rows[0] ?? {})[0];
  } finally {
    await client.end();
  }
}

describe('startStack with a Redis group and a standby', () => {
  it(
    'brings a killed primary back as a replica, and a stopped group as it was',
    async () => {
      const directory = stackDirectory();
      const first = await start(directory, { sentinel: true });
      expect(first.redisUrl).toMatch(/^redis\+sentinel:\/\/127[\d.:]+(,127[\d.:]+){2}\/holdfast$/);
      expect(first.databaseUrl).toMatch(/@127[\d.:]+,127[\d.:]+\/holdfast$/);
      expect(stackAddresses(directory, env)).toMatchObject(first.env);
      expect(await rolesIn(directory)).toEqual({
        'redis-1': 'primary',
        'redis-2': 'replica',
        'redis-3': 'replica',
        postgres: 'primary',
        'postgres-2': 'standby',
      });

      const killed = readServerRecord(join(directory, 'redis-1'));
      if (killed === undefined) throw new Error('redis-1 has no record');
      signalProcess(killed.process, 'SIGKILL');
      const promoted = await untilPromoted(directory);
      expect(promoted).not.toBe('redis-1');
      // Nobody says --sentinel: what runs in the directory goes on.
      const again = await start(directory);
      expect(again.env).toEqual(first.env);
      expect(again.servers.filter(({ source }) => source === 'started')).toMatchObject([
        { name: 'redis-1' },
      ]);
      await untilRole(directory, 'redis-1', 'replica');
      await again.stop();
      await first.stop();

      const second = await start(directory, { sentinel: true });
      expect(second.env).toEqual(first.env);
      expect((await rolesIn(directory))[promoted]).toBe('primary');
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'lets a promoted standby lead, and the old primary follow it',
    async () => {
      const directory = stackDirectory();
      const first = await start(directory, { sentinel: true });
      await query(directory, 'postgres-2', 'SELECT pg_promote()');
      await query(directory, 'postgres-2', 'CREATE TABLE kept AS SELECT 7 AS x');
      await query(directory, 'postgres', 'CREATE TABLE written_behind_its_back AS SELECT 7 AS x');
      await first.stop();

      const second = await start(directory, { sentinel: true });
      expect(await rolesIn(directory)).toMatchObject({
        postgres: 'standby',
        'postgres-2': 'primary',
      });
      expect(await query(directory, 'postgres', 'SELECT x FROM kept')).toBe(7);
      expect(existsSync(join(directory, 'postgres/cluster.replaced/PG_VERSION'))).toBe(true);
      await second.stop();

      const single = await start(directory);
      expect(single.servers.map(({ name }) => name)).toEqual(['redis', 'postgres-2']);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'clears what a starter that was killed left behind, also when one Redis is wanted now',
    async () => {
      const directory = stackDirectory();
      const idle = 'setInterval(() => {}, 1000);';
      const starter = await startElsewhere({ directory, sentinel: true }, idle, env);
      cleanups.push(() => starter.kill('SIGKILL'));
      const leftovers = stackStatus(directory, env).flatMap(({ directory: of }) => {
        const record = readServerRecord(of);
        return record === undefined ? [] : [record.process];
      });
      expect(leftovers).toHaveLength(8);
      starter.kill('SIGKILL');
      await once(starter, 'exit');
      const single = await start(directory);
      expect(single.redisUrl).toMatch(/^redis:\/\//);
      expect(leftovers.filter(isRunning)).toEqual([]);
      await expect(start(directory, { sentinel: true })).rejects.toThrow(/a single Redis runs in/);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'keeps the number of replicas, and stops all of them',
    async () => {
      const directory = stackDirectory();
      const up = await startStack({
        directory,
        log: 'embedded',
        sentinel: true,
        replicas: 3,
        keepRunning: true,
        env,
      });
      cleanups.push(() => stopStack(directory));
      expect(up.servers.filter(({ name }) => name.startsWith('redis-'))).toHaveLength(4);
      const other = startStack({ directory, log: 'embedded', replicas: 2, env });
      await expect(other).rejects.toThrow(/has 3 replicas: say --replicas 3/);
      const { stopped } = await stopStack(directory);
      expect(stopped).toContain('sentinel-4');
      expect(stopped).toContain('postgres-2');
    },
    TEST_TIMEOUT_MS,
  );
});
