/** The log in a real Kafka: what is written is read, from any offset, also across a restart. */
import type { Kafka } from 'kafkajs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectKafka, createProducer, ensureTopic } from '../kafka/connect.ts';
import { startKafka, testKafka } from '../testing/servers.ts';
import type { ConsumerPosition, LogRecord, LogSource } from './event-log.ts';
import { createKafkaFencedLog, createKafkaWriter } from './kafka-log.ts';
import { createKafkaSource } from './kafka-source.ts';
import type { LogWriter } from './log-writer.ts';

const LIMITS = { recordsMax: 100, bytesMax: 1 << 20, waitMs: 250 };
const LONG = { ...LIMITS, waitMs: 30_000 };
const READ_MS_MAX = 30_000;
/** Seconds on a busy machine; a wait ends as soon as it may. */
const SOON = { timeout: 20_000, interval: 20 };

let kafka: Kafka;
let namespace: string;
let topics = 0;
let topic: string;
let writer: LogWriter;
let problems: string[];
const ends: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const shared = await testKafka();
  namespace = shared.namespace;
  kafka = connect(shared.brokers);
});
beforeEach(async () => {
  problems = [];
  topic = `${namespace}.log-${topics++}`;
  await ensureTopic(kafka, { topic, partitions: 2 });
  writer = createKafkaWriter({ kafka, topic });
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await writer.close();
});

function connect(brokers: readonly string[]): Kafka {
  return connectKafka({ brokers, clientId: 'test', onLog: () => undefined });
}

function source(lane = 0, from = kafka): LogSource {
  const onProblem = (message: string) => problems.push(message);
  const made = createKafkaSource({ kafka: from, topic, lane, name: namespace, onProblem });
  ends.push(() => made.close());
  return made;
}

function at(offset: number): ConsumerPosition {
  return { term: 1, epoch: 1, seq: 0, nonce: Buffer.alloc(8), offset: BigInt(offset) };
}

/** Reads on until there are so many. */
async function read(from: LogSource, offset: number, count: number, limits = LIMITS) {
  const records: LogRecord[] = [];
  const deadline = performance.now() + READ_MS_MAX;
  while (records.length < count) {
    const position = at(offset + records.length);
    // A broker that is away may fail a read; the next one is free to succeed.
    records.push(...(await from.read(position, limits).catch(() => [])));
    if (performance.now() > deadline) throw new Error(`${records.length} of ${count} records came`);
  }
  return records;
}

const entries = (...texts: string[]) => texts.map((text) => Buffer.from(text));
const show = ({ term, offset, entry }: LogRecord) =>
  `${offset} ${term} ${entry?.toString() ?? 'fence'}`;

/** A client whose consumers tell what they fetched, and when they were heard of. */
function watched(): {
  readonly kafka: Kafka;
  readonly records: number;
  readonly heartbeats: number;
} {
  const seen = { records: 0, heartbeats: 0 };
  const made: Kafka = Object.create(kafka);
  made.consumer = (config) => {
    const consumer = kafka.consumer(config);
    const { HEARTBEAT, START_BATCH_PROCESS } = consumer.events;
    consumer.on(START_BATCH_PROCESS, ({ payload }) => {
      seen.records += payload.batchSize;
    });
    consumer.on(HEARTBEAT, () => {
      seen.heartbeats++;
    });
    return consumer;
  };
  return Object.assign(seen, { kafka: made });
}

describe('the log', () => {
  it('gives back what was written, in order, with terms and fences', async () => {
    expect(await writer.append(0, 5, entries('a', 'b'))).toBe(0n);
    expect(await writer.append(0, 5, entries('c'))).toBe(2n);
    const fenced = createKafkaFencedLog(writer);
    await fenced.fence(0, 6);
    await fenced.appendTail(0, 6, entries('d', 'e'));
    const records = await read(source(), 0, 6);
    expect(records.map(show)).toEqual(['0 5 a', '1 5 b', '2 5 c', '3 6 fence', '4 6 d', '5 6 e']);
  });

  it('keeps lanes apart: lane n is partition n', async () => {
    await writer.append(0, 1, entries('zero'));
    await writer.append(1, 1, entries('one', 'more'));
    expect((await read(source(1), 0, 2)).map(show)).toEqual(['0 1 one', '1 1 more']);
    expect((await read(source(0), 0, 1)).map(show)).toEqual(['0 1 zero']);
  });

  it('is read from the offset that the position names, and again from an earlier one', async () => {
    await writer.append(0, 1, entries('a', 'b', 'c', 'd'));
    const from = source();
    expect((await read(from, 2, 2)).map(show)).toEqual(['2 1 c', '3 1 d']);
    expect((await read(from, 1, 3)).map(show)).toEqual(['1 1 b', '2 1 c', '3 1 d']);
    // A later one, as after another persister went ahead.
    await writer.append(0, 1, entries('e', 'f'));
    expect((await read(from, 5, 1)).map(show)).toEqual(['5 1 f']);
  });

  it('answers nothing when there is nothing, and what comes as soon as it comes', async () => {
    const from = source();
    expect(await from.read(at(0), LIMITS)).toEqual([]);
    const reading = read(from, 0, 1, { ...LIMITS, waitMs: 10_000 });
    await writer.append(0, 1, entries('late'));
    expect((await reading).map(show)).toEqual(['0 1 late']);
  });

  it('keeps to the limits of a read, and gives an entry that is bigger than them alone', async () => {
    const big = Buffer.alloc(3 << 20, 'x');
    await createKafkaFencedLog(writer).appendTail(0, 1, [
      ...entries('a', 'b'),
      big,
      ...entries('c'),
    ]);
    const from = source();
    const sizes: number[][] = [];
    for (let offset = 0; offset < 4; ) {
      const records = await from.read(at(offset), { ...LIMITS, recordsMax: 2, bytesMax: 1000 });
      if (records.length > 0) sizes.push(records.map(({ entry }) => entry?.length ?? 0));
      offset += records.length;
    }
    expect(sizes).toEqual([[1, 1], [big.length], [1]]);
  });

  it('buffers no more than it may, and loses nothing of a long log', async () => {
    const piece = Buffer.alloc(256 * 1024, 'y');
    for (let i = 0; i < 16; i++) await writer.append(0, 1, [piece, piece, piece, piece]);
    const records = await read(source(), 0, 64);
    expect(records.map(({ offset }) => Number(offset))).toEqual([...records.keys()]);
  });

  it('is fetched again when its reader has come for what is there', async () => {
    const seen = watched();
    const from = source(0, seen.kafka);
    await writer.append(0, 1, entries('a'));
    await read(from, 0, 1);
    await writer.append(0, 1, entries('b'));
    await expect.poll(() => seen.records, SOON).toBe(2);
    // The reader is away: what comes meanwhile is fetched at once, when it is back.
    for (const text of ['c', 'd', 'e']) await writer.append(0, 1, entries(text));
    expect((await from.read(at(1), LIMITS)).map(show)).toEqual(['1 1 b']);
    expect((await from.read(at(2), LONG)).map(show)).toEqual(['2 1 c', '3 1 d', '4 1 e']);
    // Or elsewhere.
    await writer.append(0, 1, entries('f'));
    await expect.poll(() => seen.records, SOON).toBe(6);
    expect((await from.read(at(3), LONG)).map(show)).toEqual(['3 1 d', '4 1 e', '5 1 f']);
  });

  it('keeps its session while its reader is away', async () => {
    const seen = watched();
    const from = source(0, seen.kafka);
    await writer.append(0, 1, entries('a'));
    await expect.poll(() => from.read(at(0), { ...LIMITS, recordsMax: 0 }), SOON).toEqual([]);
    await expect.poll(() => seen.records, SOON).toBe(1);
    const { heartbeats } = seen;
    await expect.poll(() => seen.heartbeats, SOON).toBeGreaterThan(heartbeats + 1);
    expect((await read(from, 0, 1)).map(show)).toEqual(['0 1 a']);
  });

  it('gives a stranger’s record without a term as void', async () => {
    const producer = createProducer(kafka);
    await producer.connect();
    await producer.send({ topic, messages: [{ partition: 0, value: 'hello' }] });
    await producer.disconnect();
    await writer.append(0, 1, entries('ours'));
    expect((await read(source(), 0, 2)).map(show)).toEqual(['0 -1 fence', '1 1 ours']);
    expect(problems).toEqual(['a record of the log has no term']);
  });
});

it('a topic with another number of partitions is refused', async () => {
  await expect(ensureTopic(kafka, { topic, partitions: 3 })).rejects.toThrow(
    `Kafka topic ${topic} has 2 partitions, 3 lanes need as many`,
  );
});

// It starts a broker twice.
it('goes on, written and read, when the broker was killed and started again', {
  timeout: 240_000,
}, async () => {
  const server = await startKafka();
  ends.push(() => server.stop());
  const own = connect(server.brokers);
  await ensureTopic(own, { topic, partitions: 2 });
  const ownWriter = createKafkaWriter({ kafka: own, topic });
  ends.push(() => ownWriter.close());
  const from = source(0, own);
  await ownWriter.append(0, 1, entries('before'));
  expect((await read(from, 0, 1)).map(show)).toEqual(['0 1 before']);
  await server.kill();
  await expect(ownWriter.append(0, 1, entries('lost'))).rejects.toThrow();
  await server.start();
  await expect
    .poll(() => ownWriter.append(0, 1, entries('after')).catch(() => -1n), { timeout: 60_000 })
    .toBeGreaterThan(0n);
  const [record] = await read(from, 1, 1);
  expect(record?.term).toBe(1);
});
