import { Redis } from 'ioredis';
import { Kafka, logLevel } from 'kafkajs';
import { Client } from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { isRunning } from '../../deploy/local/process-identity.ts';
import { readServerRecord } from '../../deploy/local/server-process.ts';
import { startKafka, startPostgres, startRedis, testDatabase, testKafka } from './servers.ts';

const cleanups: Array<() => Promise<unknown>> = [];
afterAll(() => Promise.all(cleanups.map((cleanup) => cleanup())));

async function startOwnRedis() {
  const redis = await startRedis();
  const client = new Redis(redis.url, { maxRetriesPerRequest: null, retryStrategy: () => 10 });
  client.on('error', () => undefined);
  cleanups.push(async () => {
    client.disconnect();
    await redis.stop();
  });
  return { redis, client };
}

async function queryOne(url: string, text: string): Promise<unknown> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return Object.values((await client.query(text)).rows[0] ?? {})[0];
  } finally {
    await client.end();
  }
}

describe('startRedis', () => {
  it('has the settings that Holdfast needs', async () => {
    const { client } = await startOwnRedis();
    const wanted = {
      appendonly: 'yes',
      'maxmemory-policy': 'noeviction',
      'repl-backlog-ttl': '0',
      'hash-max-listpack-value': '512',
    };
    const found = await client.call('CONFIG', 'GET', ...Object.keys(wanted));
    expect(found).toEqual(expect.arrayContaining(Object.entries(wanted).flat()));
  });

  it('keeps its data over kill -9, on the same port', async () => {
    const { redis, client } = await startOwnRedis();
    await client.set('key', 'kept');
    const killedPid = redis.pid;
    await redis.kill();
    expect(redis.isRunning).toBe(false);
    await redis.restart();
    expect(redis.pid).not.toBe(killedPid);
    expect(await client.get('key')).toBe('kept');
  });

  it('loses the tail when an older copy of the append-only file is put back', async () => {
    const { redis, client } = await startOwnRedis();
    await client.set('before', '1');
    const copy = await redis.copyAof();
    await client.set('after', '1');
    await expect(redis.restoreAof(copy)).rejects.toThrow('stop()');
    await redis.stop();
    await redis.restoreAof(copy);
    await redis.start();
    expect(await client.mget('before', 'after')).toEqual(['1', null]);
  });

  it('hangs while paused, and can be stopped in that state', async () => {
    const { redis, client } = await startOwnRedis();
    await client.ping();
    redis.pause();
    const answer = client.ping();
    const first = await Promise.race([
      answer,
      new Promise((resolve) => setTimeout(resolve, 50, 'hangs')),
    ]);
    expect(first).toBe('hangs');
    redis.resume();
    expect(await answer).toBe('PONG');
    redis.pause();
    await redis.stop();
    expect(redis.isRunning).toBe(false);
  });
});

describe('testDatabase', () => {
  it('gives databases that know nothing of each other, and drops one that is in use', async () => {
    const [one, two] = await Promise.all([testDatabase(), testDatabase()]);
    await queryOne(one.url, 'CREATE TABLE only_here (x int)');
    const find = "SELECT count(*)::int FROM pg_tables WHERE tablename = 'only_here'";
    expect(await queryOne(one.url, find)).toBe(1);
    expect(await queryOne(two.url, find)).toBe(0);

    const user = new Client({ connectionString: two.url });
    const ended = new Promise((resolve) => user.on('error', resolve));
    await user.connect();
    await two.drop();
    await ended;
    await one.drop();
    await expect(queryOne(one.url, 'SELECT 1')).rejects.toThrow('does not exist');
  });
});

describe('startPostgres', () => {
  it('keeps what was committed over kill -9', async () => {
    const postgres = await startPostgres();
    cleanups.push(() => postgres.stop());
    await queryOne(postgres.url, 'CREATE TABLE kept AS SELECT 7 AS x');
    const killed = readServerRecord(postgres.directory);
    await postgres.kill();
    expect(killed && isRunning(killed.process)).toBe(false);
    await postgres.start();
    expect(await queryOne(postgres.url, 'SELECT x FROM kept')).toBe(7);
  });
});

describe('testKafka', () => {
  it('is one broker for all, with a namespace for each', async () => {
    const [one, two] = await Promise.all([testKafka(), testKafka()]);
    expect(one.brokers).toEqual(two.brokers);
    expect(one.namespace).not.toBe(two.namespace);
  });
});

describe('startKafka', () => {
  it('keeps what was produced over kill -9, on the same port', async () => {
    const kafka = await startKafka();
    cleanups.push(() => kafka.kill());
    const client = new Kafka({ brokers: [...kafka.brokers], logLevel: logLevel.NOTHING });
    const admin = client.admin();
    const producer = client.producer({ idempotent: true });
    await Promise.all([admin.connect(), producer.connect()]);
    await admin.createTopics({ topics: [{ topic: 'kept', numPartitions: 1 }] });
    await producer.send({ topic: 'kept', messages: [{ value: 'record', partition: 0 }] });
    await Promise.all([admin.disconnect(), producer.disconnect()]);

    await kafka.kill();
    await kafka.start();
    await admin.connect();
    const [offsets] = await admin.fetchTopicOffsets('kept');
    await admin.disconnect();
    expect(offsets?.high).toBe('1');
  });
});
