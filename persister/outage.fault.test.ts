/** Kafka killed and PostgreSQL stopped under load, with relay and persister at work: all arrives, once. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { connectKafka, ensureTopic } from '../engine/kafka/connect.ts';
import { createKafkaWriter } from '../engine/log/kafka-log.ts';
import { createKafkaSource } from '../engine/log/kafka-source.ts';
import type { Pool } from '../engine/postgres/pool.ts';
import { readPosition } from '../engine/postgres/position.ts';
import { createRelay } from '../engine/relay/relay.ts';
import {
  startKafka,
  startPostgres,
  type TestKafka,
  type TestPostgres,
} from '../engine/testing/servers.ts';
import { migrate } from './migrate.ts';
import { createPersister } from './persister.ts';
import { openPool } from './testing/database.ts';
import { readCells, readLedger } from './testing/rows-of.ts';
import { cellsOfRedis, sell, startStack, stockOf, TERM, type TestStack } from './testing/stack.ts';

const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };
const TOPIC = 'outage';
const ARRIVE_MS_MAX = 90_000;

let stack: TestStack;
let kafkaServer: TestKafka;
let postgres: TestPostgres;
let pool: Pool;
const ends: (() => Promise<void>)[] = [];

beforeEach(async () => {
  [stack, kafkaServer, postgres] = await Promise.all([
    startStack({ fenced: false }),
    startKafka(),
    startPostgres(),
  ]);
  ends.push(
    () => stack.end(),
    () => kafkaServer.stop(),
    () => postgres.stop(),
  );
  pool = openPool(postgres.url);
  ends.push(() => pool.end());
  await migrate(pool);
  const kafka = connectKafka({
    ...{ brokers: kafkaServer.brokers, clientId: 'test', onLog: () => undefined },
  });
  await ensureTopic(kafka, { topic: TOPIC, partitions: 1 });
  const writer = createKafkaWriter({ kafka, topic: TOPIC });
  await writer.fence(0, TERM);
  const onProblem = () => undefined;
  const source = createKafkaSource({ kafka, topic: TOPIC, lane: 0, name: 'outage', onProblem });
  const { state } = stack;
  const relay = createRelay({ pool, lane: 0, state, writer, log: SILENT });
  const persister = createPersister({
    ...{ pool, lane: 0, source, form: 'kafka', state, log: SILENT },
    limits: { standbyMs: 50 },
  });
  const stopping = new AbortController();
  const done = Promise.all([relay.run(stopping.signal), persister.run(stopping.signal)]);
  ends.push(async () => {
    stopping.abort();
    await done;
    await Promise.all([writer.close(), source.close()]);
  });
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Sells on, whatever is away, until told to stop. */
function selling(): () => Promise<void> {
  let isOver = false;
  const done = (async () => {
    while (!isOver) await sell(stack, 20);
  })();
  return async () => {
    isOver = true;
    await done;
  };
}

async function expectAllArrived(): Promise<void> {
  const { last } = await stack.state.tail({ epoch: 0, seq: 0 }, 1);
  await expect
    .poll(() => readPosition(pool, 0).catch(() => undefined), {
      ...{ timeout: ARRIVE_MS_MAX, interval: 50 },
    })
    .toMatchObject({ epoch: last.epoch, seq: last.seq, nonce: last.nonce });
  const redis = await cellsOfRedis(stack);
  expect(await readCells(pool)).toEqual(redis);
  const balances = Object.entries(redis).map(([name, row]) => [name, row.slice(0, 3)]);
  expect(await readLedger(pool)).toEqual(Object.fromEntries(balances));
  const { rows } = await pool.query(
    `SELECT (SELECT count(*) FROM entries) = (SELECT seq FROM positions) AS once,
            (SELECT count(*) FROM inventory WHERE suspect IS NOT NULL) AS suspects`,
  );
  expect(rows).toEqual([{ once: true, suspects: 0 }]);
}

it('reserves go on, everything arrives, nothing twice', { timeout: 300_000 }, async () => {
  await stack.receive(stockOf(1_000_000));
  const stopSelling = selling();
  for (const server of [kafkaServer, postgres]) {
    const before = await stack.state.tail({ epoch: 0, seq: 0 }, 1);
    await server.kill();
    await expect
      .poll(async () => (await stack.state.tail({ epoch: 0, seq: 0 }, 1)).last.seq, {
        timeout: ARRIVE_MS_MAX,
      })
      .toBeGreaterThan(before.last.seq + 100);
    await server.start();
  }
  // Both at once, in the order in which a machine goes down.
  await postgres.stop();
  await kafkaServer.stop();
  await kafkaServer.start();
  await postgres.start();
  await stopSelling();
  await expectAllArrived();
});
