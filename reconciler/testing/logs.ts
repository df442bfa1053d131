/** The logs that the tests of recovery run over. */
import { pino } from 'pino';
import { connectKafka, ensureTopic, type Kafka } from '../../engine/kafka/connect.ts';
import { createKafkaFencedLog, createKafkaWriter } from '../../engine/log/kafka-log.ts';
import { createKafkaSource } from '../../engine/log/kafka-source.ts';
import { isSameEntry } from '../../engine/log/place.ts';
import { createRedisLogSource } from '../../engine/log/redis-log.ts';
import { readPosition } from '../../engine/postgres/position.ts';
import { createRelay } from '../../engine/relay/relay.ts';
import { testKafka } from '../../engine/testing/servers.ts';
import { createEmbeddedLog } from '../../persister/embedded-log.ts';
import { createPersister } from '../../persister/persister.ts';
import type { TestLog } from './recovering.ts';
import { LANE, type LaneStack } from './stack.ts';

/** The lane is closed, or the log has a gap. */
const LEVEL_TIMEOUT_MS = 20_000;
const TOPIC_TIMEOUT_MS = 30_000;
const NO_LOG = pino({ level: 'silent' });
/** Tests look at the whole stream afterwards. */
const NEVER_TRIM = { trimEveryMs: Number.MAX_SAFE_INTEGER };

export const LOGS = [
  { name: 'embedded', start: startEmbedded },
  { name: 'Kafka', start: startKafkaLog },
] as const;

/** The persister works only when a test says so: what it has not read yet is the tail. */
export async function startEmbedded(stack: LaneStack): Promise<TestLog> {
  const { pool } = stack.database;
  const source = createRedisLogSource(stack.state);
  return {
    fencedLog: createEmbeddedLog({ pool }),
    bringToPostgres: async () => {
      const persister = createPersister({
        pool,
        lane: LANE,
        source,
        form: 'stream',
        state: stack.state,
        log: NO_LOG,
        limits: { ...NEVER_TRIM, idleMs: 1, gatherMs: 0 },
      });
      try {
        await untilLevel(stack, async () => (await persister.runOnce()).did);
      } finally {
        await persister.run(AbortSignal.abort());
      }
    },
    end: () => source.close(),
  };
}

/** The persister runs all the time, as recovery needs it; the relay only when a test says so. */
export async function startKafkaLog(stack: LaneStack): Promise<TestLog> {
  const { pool } = stack.database;
  const { brokers, kafka, topic } = await ownTopic();
  const writer = createKafkaWriter({ kafka, topic });
  const source = createKafkaSource({
    kafka,
    topic,
    lane: LANE,
    name: topic,
    onProblem: () => undefined,
  });
  const persister = createPersister({
    pool,
    lane: LANE,
    source,
    form: 'kafka',
    state: stack.state,
    log: NO_LOG,
    limits: { gatherMs: 0, standbyMs: 20 },
  });
  const stop = new AbortController();
  const running = persister.run(stop.signal);
  return {
    kafka: { brokers, topic },
    fencedLog: createKafkaFencedLog(writer),
    bringToPostgres: async () => {
      const relay = createRelay({
        pool,
        lane: LANE,
        state: stack.state,
        writer,
        log: NO_LOG,
        limits: { ...NEVER_TRIM, proveEveryMs: 0 },
      });
      await untilLevel(stack, async () => (await relay.runOnce()).did);
      await relay.run(AbortSignal.abort());
    },
    end: async () => {
      stop.abort();
      await running;
      await Promise.all([source.close(), writer.close()]);
    },
  };
}

async function ownTopic(): Promise<{
  brokers: readonly string[];
  kafka: Kafka;
  topic: string;
}> {
  const { brokers, namespace } = await testKafka();
  const kafka = connectKafka({ brokers, clientId: namespace, onLog: () => undefined });
  const topic = `${namespace}.log`;
  await ensureTopic(kafka, { topic, partitions: 1 }, TOPIC_TIMEOUT_MS);
  return { brokers, kafka, topic };
}

async function untilLevel(stack: LaneStack, work: () => Promise<string>): Promise<void> {
  const deadlineMs = performance.now() + LEVEL_TIMEOUT_MS;
  while (!(await isLevel(stack))) {
    const did = await work();
    if (performance.now() < deadlineMs) continue;
    const { parked } = await readPosition(stack.database.pool, LANE);
    throw new Error(`not level, the last turn did ${did}: ${parked ?? 'is the lane closed?'}`);
  }
}

async function isLevel(stack: LaneStack): Promise<boolean> {
  const { last } = await stack.state.tail({ epoch: Number.MAX_SAFE_INTEGER, seq: 0 }, 1);
  return isSameEntry(last, await readPosition(stack.database.pool, LANE));
}
