/**
 * Persister and relay, each in a process of its own, are killed at every named point, and stopped in
 * the middle of their work while another takes over: in the end every entry is in PostgreSQL once.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Kafka } from 'kafkajs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packageRoot } from '../deploy/local/paths.ts';
import { connectKafka, ensureTopic } from '../engine/kafka/connect.ts';
import { createKafkaWriter } from '../engine/log/kafka-log.ts';
import { createKafkaSource } from '../engine/log/kafka-source.ts';
import { createRedisLogSource } from '../engine/log/redis-log.ts';
import { readPosition } from '../engine/postgres/position.ts';
import { KEYS } from '../engine/redis/testing/test-lane.ts';
import { createRelay } from '../engine/relay/relay.ts';
import { CRASH_POINTS, type CrashPointName } from '../engine/runtime/crash-point.ts';
import { testKafka } from '../engine/testing/servers.ts';
import { createPersister, type PersisterOptions } from './persister.ts';
import { readCells, readLedger } from './testing/rows-of.ts';
import { compareCells, sell, startStack, stockOf, TERM, type TestStack } from './testing/stack.ts';

const CHILD = join(packageRoot(), 'dist/persister/testing/crash-child.js');
/** PostgreSQL waits for the rest of the transaction. */
const IN_TRANSACTION: CrashPointName = 'persister.after_begin';
const KILLS_IN_TRANSACTION = 54;
const KILLS_EACH = 10;
const TEST_MS_MAX = 600_000;
/** A child that was not killed by then will not be: its point is never passed. */
const KILL_MS_MAX = 30_000;
const SELL_EVERY_MS = 50;
const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };

let stack: TestStack;
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await stack.end();
});

function start(env: Readonly<Record<string, string>>): ChildProcess {
  return spawn(process.execPath, [CHILD], {
    env: { ...process.env, REDIS_URL: stack.server.url, DATABASE_URL: stack.database.url, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** Sells now and then until the child has killed itself. */
async function killAt(
  point: CrashPointName,
  nth: number,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const child = start({ ...env, HOLDFAST_CRASH_AT: `${point}:${nth}` });
  const exited = once(child, 'exit');
  const deadline = performance.now() + KILL_MS_MAX;
  await sell(stack, 12);
  while (child.exitCode === null && child.signalCode === null) {
    if (performance.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`${point}:${nth} was not passed within ${KILL_MS_MAX} ms`);
    }
    await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, SELL_EVERY_MS))]);
    await sell(stack, 1);
  }
  const [code, signal] = await exited;
  expect({ point, code, signal }).toEqual({ point, code: null, signal: 'SIGKILL' });
}

function running(options: Pick<PersisterOptions, 'source' | 'form'>): () => Promise<void> {
  const { pool } = stack.database;
  const limits = { gatherMs: 1, standbyMs: 20, idleMs: 20 };
  const deps = { pool, lane: 0, state: stack.state, log: SILENT };
  const stopping = new AbortController();
  const done = createPersister({ ...deps, ...options, limits }).run(stopping.signal);
  const stop = async () => {
    stopping.abort();
    await done;
    await options.source.close();
  };
  ends.push(stop);
  return stop;
}

/**
 * What stands in PostgreSQL is whole at every moment: rows, ledger and position of one entry. In one
 * snapshot, because what a killed persister had sent may still be committed.
 */
async function expectWhole(): Promise<void> {
  const client = await stack.database.pool.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const balances = Object.entries(await readCells(client)).map(([name, row]) => [
      name,
      row.slice(0, 3),
    ]);
    expect(await readLedger(client)).toEqual(Object.fromEntries(balances));
    const { rows } = await client.query(
      `SELECT (SELECT max(seq) FROM entries) = p.seq AS newest,
              (SELECT count(*) FROM entries) = p.seq AS all_of_them,
              (SELECT count(*) FROM inventory WHERE suspect IS NOT NULL) AS suspects
       FROM positions p`,
    );
    expect(rows).toEqual([{ newest: true, all_of_them: true, suspects: 0 }]);
  } finally {
    client.release(true);
  }
}

async function expectAllArrived(): Promise<void> {
  const { last } = await stack.state.tail({ epoch: 0, seq: 0 }, 1);
  await expect
    .poll(() => readPosition(stack.database.pool, 0), { timeout: 60_000, interval: 20 })
    .toMatchObject({ epoch: last.epoch, seq: last.seq, nonce: last.nonce });
  const { redis, postgres } = await compareCells(stack);
  expect(postgres).toEqual(redis);
  await expectWhole();
}

describe('the persister', () => {
  const env = { CHILD_ROLE: 'persister' };

  beforeEach(async () => {
    stack = await startStack();
    await stack.receive(stockOf(1_000_000));
  });

  it(
    `killed ${KILLS_IN_TRANSACTION} times in its transaction leaves it whole or not at all`,
    async () => {
      for (let i = 0; i < KILLS_IN_TRANSACTION; i++) {
        const before = await readPosition(stack.database.pool, 0);
        await killAt(IN_TRANSACTION, 1, env);
        expect(await readPosition(stack.database.pool, 0)).toEqual(before);
        // The second one, after a first that was.
        if (i % 6 === 0) {
          await killAt(IN_TRANSACTION, 2, env);
          expect((await readPosition(stack.database.pool, 0)).seq).toBeGreaterThan(before.seq);
          await expectWhole();
        }
      }
      running({ source: createRedisLogSource(stack.state), form: 'stream' });
      await expectAllArrived();
    },
    TEST_MS_MAX,
  );

  it.each(CRASH_POINTS.persister.filter((name) => name !== IN_TRANSACTION))(
    `killed ${KILLS_EACH} times at %s loses and doubles nothing`,
    async (point) => {
      for (let i = 0; i < KILLS_EACH; i++) {
        await killAt(point, 1 + (i % 3), env);
        // Before the first BEGIN there is nothing yet.
        if ((await readPosition(stack.database.pool, 0)).seq > 0) await expectWhole();
      }
      running({ source: createRedisLogSource(stack.state), form: 'stream' });
      await expectAllArrived();
    },
    TEST_MS_MAX,
  );

  it(
    'that hangs, and wakes up after another took over, writes nothing',
    async () => {
      const child = start(env);
      ends.push(async () => void child.kill('SIGKILL'));
      await expect
        .poll(async () => (await readPosition(stack.database.pool, 0)).seq, { timeout: 20_000 })
        .toBeGreaterThan(0);
      for (let i = 0; i < 6; i++) {
        const selling = sell(stack, 60);
        await sell(stack, 1 + i);
        child.kill('SIGSTOP');
        const stop = running({ source: createRedisLogSource(stack.state), form: 'stream' });
        await selling;
        // If it hangs within its transaction, PostgreSQL ends that after ten seconds.
        await expectAllArrived();
        child.kill('SIGCONT');
        await sell(stack, 20);
        await expectAllArrived();
        await stop();
      }
      await sell(stack, 20);
      await expectAllArrived();
    },
    TEST_MS_MAX,
  );
});

describe('the relay', () => {
  let kafka: Kafka;
  let env: Record<string, string>;

  beforeEach(async () => {
    const shared = await testKafka();
    const topic = `${shared.namespace}.crash`;
    kafka = connectKafka({ brokers: shared.brokers, clientId: 'test', onLog: () => undefined });
    await ensureTopic(kafka, { topic, partitions: 1 });
    stack = await startStack({ fenced: false });
    await stack.receive(stockOf(1_000_000));
    const writer = createKafkaWriter({ kafka, topic });
    await writer.fence(0, TERM);
    await writer.close();
    const name = shared.namespace;
    const onProblem = () => undefined;
    running({
      source: createKafkaSource({ kafka, topic, lane: 0, name, onProblem }),
      form: 'kafka',
    });
    env = {
      CHILD_ROLE: 'relay',
      KAFKA_BROKERS: shared.brokers.join(','),
      HOLDFAST_LOG_TOPIC: topic,
    };
  });

  it.each(CRASH_POINTS.relay)(
    `killed ${KILLS_EACH} times at %s loses and doubles nothing`,
    async (point) => {
      for (let i = 0; i < KILLS_EACH; i++) await killAt(point, 1 + (i % 3), env);
      const writer = createKafkaWriter({ kafka, topic: env.HOLDFAST_LOG_TOPIC ?? '' });
      const { state, database } = stack;
      const relay = createRelay({ pool: database.pool, lane: 0, state, writer, log: SILENT });
      const stopping = new AbortController();
      const done = relay.run(stopping.signal);
      ends.push(async () => {
        stopping.abort();
        await done;
        await writer.close();
      });
      await expectAllArrived();
      const { last } = await stack.state.tail({ epoch: 0, seq: 0 }, 1);
      await expect
        .poll(() => stack.redis.hget(KEYS.marks, 'logged'), { timeout: 20_000 })
        .toBe(`${last.epoch} ${last.seq}`);
    },
    TEST_MS_MAX,
  );
});
