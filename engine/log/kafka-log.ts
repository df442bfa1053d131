/**
 * Writing to the log in Kafka: one record for each entry, partition n for lane n, the term in a
 * header. The offset that comes back is what a relay judges contiguity by.
 */
import type { Producer } from 'kafkajs';
import { createProducer, type Kafka } from '../kafka/connect.ts';
import type { FencedLog } from './event-log.ts';
import { cutByBytes, type LogWriter } from './log-writer.ts';

export interface KafkaWriterOptions {
  readonly kafka: Kafka;
  readonly topic: string;
}

export const TERM_HEADER = 'term';
export const KIND_HEADER = 'kind';
export const ENTRY_KIND = 'entry';
export const FENCE_KIND = 'fence';

/** All in-sync replicas. */
const ACKS_ALL = -1;
const PRODUCE_TIMEOUT_MS = 5_000;

export function createKafkaWriter({ kafka, topic }: KafkaWriterOptions): LogWriter {
  const producer = createProducer(kafka);
  const connected = connectOnDemand(producer);
  const send = async (lane: number, term: number, kind: string, values: readonly Buffer[]) => {
    await connected();
    const headers = { [TERM_HEADER]: String(term), [KIND_HEADER]: kind };
    const sent = await producer.send({
      topic,
      acks: ACKS_ALL,
      timeout: PRODUCE_TIMEOUT_MS,
      messages: values.map((value) => ({ partition: lane, key: null, value, headers })),
    });
    const offset = sent.find(({ partition }) => partition === lane)?.baseOffset;
    if (offset === undefined)
      throw new Error(`Kafka acknowledged ${topic}-${lane} without an offset`);
    return BigInt(offset);
  };
  return {
    append: (lane, term, entries) => send(lane, term, ENTRY_KIND, entries),
    async fence(lane, term) {
      await send(lane, term, FENCE_KIND, [Buffer.alloc(0)]);
    },
    close: () => producer.disconnect(),
  };
}

/** Connects at the first use, and again when that failed. */
function connectOnDemand(producer: Producer): () => Promise<void> {
  let connecting: Promise<void> | undefined;
  return () => {
    connecting ??= producer.connect().catch((error: unknown) => {
      connecting = undefined;
      throw error;
    });
    return connecting;
  };
}

/**
 * Recovery's side of it. A fence that is acknowledged is in the log: what lands behind it under a
 * lower term is void. Recovery waits for PostgreSQL's position itself.
 */
export function createKafkaFencedLog(writer: LogWriter): FencedLog {
  return {
    fence: (lane, term) => writer.fence(lane, term),
    async appendTail(lane, term, entries) {
      for (const some of cutByBytes(entries, (entry) => entry.length)) {
        await writer.append(lane, term, some);
      }
    },
  };
}
