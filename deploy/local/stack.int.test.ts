import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { Kafka, logLevel } from 'kafkajs';
import { Client } from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { startRedis } from '../../engine/testing/servers.ts';
import { currentTestRun, serverDirectory } from '../../engine/testing/test-run.ts';
import { waitFor } from './deadline.ts';
import { identifyProcess, isRunning, signalProcess } from './process-identity.ts';
import { readServerRecord, type ServerRecord, writeServerRecord } from './server-process.ts';
import { type Stack, startStack } from './stack.ts';
import { stackAddresses, stackStatus, stopStack } from './stack-status.ts';
import { startElsewhere } from './testing/start-elsewhere.ts';

/** Two starts of a JVM, which take a minute each where the cores are shared by many. */
const KAFKA_TEST_TIMEOUT_MS = 240_000;
/** Where the cores are shared by many, one start of two servers takes longer than a test's minute. */
const TEST_TIMEOUT_MS = 180_000;
const GONE_TIMEOUT_MS = 60_000;

const cleanups: Array<() => unknown> = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Without what this machine's own shell may say about running servers. */
const env = { ...process.env, REDIS_URL: '', DATABASE_URL: '', KAFKA_BROKERS: '' };

function stackDirectory(): string {
  return serverDirectory(currentTestRun(), 'stack');
}

function recordOf(directory: string, server: string): ServerRecord {
  const record = readServerRecord(join(directory, server));
  if (record === undefined) throw new Error(`${directory} has no record of ${server}`);
  return record;
}

async function startOther(directory: string, after: string): Promise<ChildProcess> {
  const child = await startElsewhere({ directory }, after, env);
  cleanups.push(() => child.kill('SIGKILL'));
  return child;
}

async function expectAnswers(stack: Stack): Promise<void> {
  const redis = new Redis(stack.redisUrl);
  expect(await redis.ping()).toBe('PONG');
  redis.disconnect();
  const postgres = new Client({ connectionString: stack.databaseUrl });
  await postgres.connect();
  const { rows } = await postgres.query('SELECT current_database() AS name');
  expect(rows).toEqual([{ name: 'holdfast' }]);
  await postgres.end();
  if (stack.log === 'embedded') return;
  const kafka = new Kafka({ brokers: [...stack.kafkaBrokers], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  expect((await admin.describeCluster()).brokers).toHaveLength(1);
  await admin.disconnect();
}

describe('startStack', { timeout: TEST_TIMEOUT_MS }, () => {
  it(
    'starts three servers, is reused, stops them, and starts again',
    async () => {
      const directory = stackDirectory();
      const first = await startStack({ directory, log: 'kafka', env });
      cleanups.push(() => first.stop());
      await expectAnswers(first);
      const processes = ['redis', 'postgres', 'kafka'].map(
        (name) => recordOf(directory, name).process,
      );

      const guest = await startStack({ directory, log: 'kafka', env });
      expect(guest.servers.map(({ source }) => source)).toEqual(['reused', 'reused', 'reused']);
      expect(guest.env).toEqual(first.env);
      await guest.stop();
      expect(processes.filter(isRunning)).toHaveLength(3);

      await first.stop();
      expect(processes.filter(isRunning)).toEqual([]);

      const second = await startStack({ directory, log: 'kafka', env });
      cleanups.push(() => second.stop());
      expect(second.env).toEqual(first.env);
      await expectAnswers(second);
    },
    KAFKA_TEST_TIMEOUT_MS,
  );

  it('clears what a starter that was killed left behind', async () => {
    const directory = stackDirectory();
    const starter = await startOther(directory, 'setInterval(() => {}, 1000);');
    const leftover = recordOf(directory, 'redis').process;
    starter.kill('SIGKILL');
    await once(starter, 'exit');
    expect(isRunning(leftover)).toBe(true);
    expect(stackStatus(directory, env).map(({ state }) => state)).toEqual([
      'leftover',
      'leftover',
      'stopped',
    ]);

    const stack = await startStack({ directory, log: 'embedded', env });
    cleanups.push(() => stack.stop());
    expect(isRunning(leftover)).toBe(false);
    expect(stack.servers.map(({ source }) => source)).toEqual(['started', 'started']);
    await expectAnswers(stack);
  });

  it('leaves the servers of a live process to it', async () => {
    const directory = stackDirectory();
    const starter = await startOther(directory, 'setInterval(() => {}, 1000);');
    const { stopped, inUse } = await stopStack(directory);
    expect(stopped).toEqual([]);
    expect(inUse.map(({ name, ownerPid }) => [name, ownerPid])).toEqual([
      ['redis', starter.pid],
      ['postgres', starter.pid],
    ]);
  });

  it('stops its servers when its process ends without stop()', async () => {
    const directory = stackDirectory();
    const starter = await startOther(directory, 'process.exit(1);');
    if (starter.exitCode === null) await once(starter, 'exit');
    const isGone = () => (isRunning(recordOf(directory, 'redis').process) ? undefined : true);
    expect(await waitFor(isGone, GONE_TIMEOUT_MS)).toBe(true);
  });

  it('leaves them running when asked to, until stopStack', async () => {
    const directory = stackDirectory();
    const up = await startStack({ directory, log: 'embedded', keepRunning: true, env });
    cleanups.push(() => stopStack(directory));
    expect(up.logReason).toBe('it was chosen');
    const guest = await startStack({ directory, log: 'embedded', env });
    await guest.stop();
    await expectAnswers(guest);
    expect(await stopStack(directory)).toEqual({ stopped: ['redis', 'postgres'], inUse: [] });
    expect(stackStatus(directory, env).map(({ state }) => state)).toEqual(Array(3).fill('stopped'));
  });

  it('names a store that was killed as long as others run, and none that was never started', async () => {
    const directory = stackDirectory();
    const stack = await startStack({ directory, log: 'embedded', env });
    cleanups.push(() => stack.stop());
    const all = { KAFKA_BROKERS: undefined, ...stack.env };
    expect(stackAddresses(directory, env)).toEqual(all);
    signalProcess(recordOf(directory, 'redis').process, 'SIGKILL');
    const isGone = () => (isRunning(recordOf(directory, 'redis').process) ? undefined : true);
    expect(await waitFor(isGone, GONE_TIMEOUT_MS)).toBe(true);
    expect(stackAddresses(directory, env)).toEqual(all);
    await stack.stop();
    expect(Object.values(stackAddresses(directory, env))).toEqual(Array(3).fill(undefined));
  });

  it('takes no variable that names itself for the environment: what died is seen and comes back', async () => {
    const directory = stackDirectory();
    const stack = await startStack({ directory, log: 'embedded', env });
    cleanups.push(() => stack.stop());
    const inShell = {
      ...env,
      ...stack.env,
      DATABASE_URL: `${stack.databaseUrl}?target_session_attrs=read-write`,
    };
    expect(stackAddresses(directory, inShell)).toEqual({ KAFKA_BROKERS: undefined, ...stack.env });
    const states = () => stackStatus(directory, inShell).map(({ state }) => state);
    expect(states()).toEqual(['running', 'running', 'stopped']);
    signalProcess(recordOf(directory, 'redis').process, 'SIGKILL');
    const isGone = () => (isRunning(recordOf(directory, 'redis').process) ? undefined : true);
    expect(await waitFor(isGone, GONE_TIMEOUT_MS)).toBe(true);
    expect(states()).toEqual(['stopped', 'running', 'stopped']);
    const again = await startStack({ directory, log: 'embedded', env: inShell });
    cleanups.push(() => again.stop());
    expect(again.servers.map(({ source }) => source)).toEqual(['started', 'reused']);
    expect(again.env).toEqual(stack.env);
    await expectAnswers(again);
    expect(stackAddresses(directory, inShell)).toEqual({ KAFKA_BROKERS: undefined, ...stack.env });
  });

  it('uses the server that the environment names, and does not stop it', async () => {
    const directory = stackDirectory();
    const redis = await startRedis();
    cleanups.push(() => redis.stop());
    const named = { ...env, REDIS_URL: redis.url };
    const stack = await startStack({ directory, log: 'embedded', env: named });
    expect(stack.redisUrl).toBe(redis.url);
    expect(stack.servers.map(({ source }) => source)).toEqual(['environment', 'started']);
    await expectAnswers(stack);
    await stack.stop();
    expect(redis.isRunning).toBe(true);
    expect(readServerRecord(join(directory, 'redis'))).toBeUndefined();
  });

  it('never signals a process that got the pid of one of its servers', async () => {
    const directory = stackDirectory();
    const stranger = spawn('sleep', ['600'], { stdio: 'ignore' });
    cleanups.push(() => stranger.kill('SIGKILL'));
    const stranged = identifyProcess(stranger.pid ?? 0);
    if (stranged === undefined) throw new Error('sleep did not start');
    mkdirSync(join(directory, 'redis'), { recursive: true });
    const record = { process: { ...stranged, startedAt: 'before' }, owner: null, port: 20_001 };
    writeServerRecord(join(directory, 'redis'), record);

    const stack = await startStack({ directory, log: 'embedded', env });
    await stack.stop();
    await stopStack(directory);
    expect(isRunning(stranged)).toBe(true);
  });

  it('stops what came up when another server cannot', async () => {
    const directory = stackDirectory();
    const broken = { ...env, HOLDFAST_REDIS_SERVER: '/bin/false' };
    await expect(startStack({ directory, log: 'embedded', env: broken })).rejects.toThrow(
      /Redis did not start on port \d+: it exited with code 1/,
    );
    expect(stackStatus(directory, env).map(({ state }) => state)).toEqual(Array(3).fill('stopped'));
  });
});
