/**
 * Reading the log from Kafka, from the offset that PostgreSQL's position names. Kafka's groups are
 * not used for truth: each start is a group of its own, nothing is committed, and after every join
 * the consumer is sent to the offset where we are.
 *
 * States: no session (the next read starts one); a session, which buffers what comes from `next`
 * on; a session that failed, which the next read replaces. A session fetches again when its reader
 * has come for what is there: a reader that works for a while finds in one fetch what came meanwhile.
 */
import { randomUUID } from 'node:crypto';
import type { Consumer, EachBatchPayload, KafkaMessage } from 'kafkajs';
import { createConsumer, type Kafka } from '../kafka/connect.ts';
import type { ConsumerPosition, LogRecord, LogSource, ReadLimits } from './event-log.ts';
import { FENCE_KIND, KIND_HEADER, TERM_HEADER } from './kafka-log.ts';
import { pause } from './pause.ts';

export interface KafkaSourceOptions {
  readonly kafka: Kafka;
  readonly topic: string;
  readonly lane: number;
  /** Begins the names of the groups. */
  readonly name: string;
  /** A record that is not ours, or a session that failed and is replaced. */
  readonly onProblem: (message: string, details: object) => void;
}

/** More is fetched only below this, so that the reader does not wait for it. */
const BUFFER_BYTES_LOW = 4 * 1024 * 1024;
/** A member of a group that is not heard of is put out of it after the session's 60 s. */
const HEARTBEAT_MS = 3_000;

export function createKafkaSource(options: KafkaSourceOptions): LogSource {
  let session: Session | undefined;
  return {
    async read(position: ConsumerPosition, limits: ReadLimits): Promise<readonly LogRecord[]> {
      if (session?.hasFailed === true) {
        await session.close();
        session = undefined;
      }
      session ??= await startSession(options, position.offset);
      return session.read(position.offset, limits);
    },
    async close(): Promise<void> {
      await session?.close();
      session = undefined;
    },
  };
}

async function startSession(options: KafkaSourceOptions, offset: bigint): Promise<Session> {
  const session = new Session(options, offset);
  try {
    await session.start();
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

class Session {
  readonly #options: KafkaSourceOptions;
  readonly #consumer: Consumer;
  #buffer: LogRecord[] = [];
  #bufferBytes = 0;
  /** Offset that the next read should ask for. */
  #next: bigint;
  /** Offset that Kafka should send next. */
  #fetchNext: bigint;
  /** Aborted when something has come, or will never. */
  #wake = new AbortController();
  /** Aborted when more is wanted. */
  #wanted = new AbortController();
  hasFailed = false;

  constructor(options: KafkaSourceOptions, offset: bigint) {
    this.#options = options;
    this.#next = offset;
    this.#fetchNext = offset;
    const { kafka, name, lane } = options;
    this.#consumer = createConsumer(kafka, `${name}.lane-${lane}.${randomUUID()}`);
  }

  async start(): Promise<void> {
    const { topic, lane, onProblem } = this.#options;
    const consumer = this.#consumer;
    const { GROUP_JOIN, CRASH } = consumer.events;
    consumer.on(GROUP_JOIN, ({ payload }) => {
      // A group without commits begins wherever Kafka likes.
      this.#seek(this.#fetchNext);
      const others = (payload.memberAssignment[topic] ?? []).filter((each) => each !== lane);
      if (others.length > 0) consumer.pause([{ topic, partitions: others }]);
    });
    consumer.on(CRASH, ({ payload }) => {
      onProblem('the Kafka consumer failed', { err: payload.error, restarts: payload.restart });
      if (!payload.restart) this.#fail();
    });
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: (payload) => this.#take(payload),
    });
  }

  async read(offset: bigint, limits: ReadLimits): Promise<readonly LogRecord[]> {
    if (offset !== this.#next) this.#moveTo(offset);
    if (this.#buffer.length === 0 && !this.hasFailed) {
      this.#wake = new AbortController();
      await pause(limits.waitMs, this.#wake.signal);
    }
    return this.#give(limits);
  }

  async close(): Promise<void> {
    this.#fail();
    await this.#consumer.disconnect();
  }

  #fail(): void {
    this.hasFailed = true;
    this.#wake.abort();
    this.#wanted.abort();
  }

  #seek(offset: bigint): void {
    const { topic, lane } = this.#options;
    this.#consumer.seek({ topic, partition: lane, offset: String(offset) });
  }

  /** The reader went back, or on without us: what is buffered is not what it wants. */
  #moveTo(offset: bigint): void {
    this.#next = offset;
    this.#fetchNext = offset;
    this.#buffer = [];
    this.#bufferBytes = 0;
    this.#seek(offset);
    this.#wanted.abort();
  }

  /** kafkajs fetches again when it resolves. */
  async #take(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    if (batch.partition !== this.#options.lane || payload.isStale()) return;
    for (const message of batch.messages) {
      const offset = BigInt(message.offset);
      // Compressed batches come whole, also with what stands before the offset that was asked for.
      if (offset < this.#fetchNext) continue;
      this.#fetchNext = offset + 1n;
      this.#buffer.push(this.#toRecord(message, offset));
      this.#bufferBytes += message.value?.length ?? 0;
    }
    if (this.#buffer.length === 0 || this.hasFailed) return;
    this.#wanted = new AbortController();
    this.#wake.abort();
    const { signal } = this.#wanted;
    while (!signal.aborted) {
      await pause(HEARTBEAT_MS, signal);
      await payload.heartbeat();
    }
  }

  #give({ recordsMax, bytesMax }: ReadLimits): LogRecord[] {
    let count = 0;
    let bytes = 0;
    for (const { entry } of this.#buffer) {
      const size = entry?.length ?? 0;
      if (count === recordsMax || (count > 0 && bytes + size > bytesMax)) break;
      count++;
      bytes += size;
    }
    const records = this.#buffer.splice(0, count);
    this.#bufferBytes -= bytes;
    const last = records.at(-1);
    if (last !== undefined) this.#next = last.offset + 1n;
    if (this.#bufferBytes <= BUFFER_BYTES_LOW) this.#wanted.abort();
    return records;
  }

  #toRecord({ headers, value }: KafkaMessage, offset: bigint): LogRecord {
    const term = Number(headers?.[TERM_HEADER]?.toString());
    if (!Number.isSafeInteger(term) || term <= 0) {
      // Nothing of ours: void, like anything without a term.
      this.#options.onProblem('a record of the log has no term', { offset: String(offset) });
      return { term: -1, offset };
    }
    if (headers?.[KIND_HEADER]?.toString() === FENCE_KIND) return { term, offset };
    return { term, offset, entry: value ?? Buffer.alloc(0) };
  }
}
