/** Every option of the Kafka client is spelled here, with its reason; and the topic of the log. */
import type { Consumer, Kafka, KafkaConfig, LogEntry, Producer } from 'kafkajs';
import kafkajs from 'kafkajs';
import './request-queue.ts';

export type { Kafka } from 'kafkajs';

/** CommonJS, whose names Node does not see all. */
const { KafkaJSProtocolError, logLevel } = kafkajs;

export interface KafkaConnection {
  readonly brokers: readonly string[];
  /** Shown in the broker's logs and quotas. */
  readonly clientId: string;
  readonly onLog: (level: 'error' | 'warn', message: string, details: object) => void;
}

const CONNECT_TIMEOUT_MS = 2_000;
/** A produce that waits for replicas longer than this is better asked for again. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Within the client a few quick tries (a leader moved); the workers' own backoff does the rest. */
const RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 5 };
/** The biggest entry: 4,000 lines in carts of a thousand, and room. The broker's default is 1 MB. */
const MESSAGE_BYTES_MAX = 32 * 1024 * 1024;
/** What PostgreSQL may be behind, after a restore from a backup for instance. */
const RETENTION_MS = 7 * 86_400_000;
const CONNECTION_NAMESPACES: ReadonlySet<string> = new Set(['Connection', 'BrokerPool']);
const READY_POLL_MS = 100;
const READY_TIMEOUT_MS = 30_000;

export function connectKafka({ brokers, clientId, onLog }: KafkaConnection): Kafka {
  const config: KafkaConfig = {
    clientId,
    brokers: [...brokers],
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: RETRY,
    logLevel: logLevel.WARN,
    logCreator: () => (entry: LogEntry) => {
      // Each try to reach a broker that is away; whoever wanted it is told, and tells it once.
      if (CONNECTION_NAMESPACES.has(entry.namespace)) return;
      const { message, timestamp: _, logger: __, ...details } = entry.log;
      onLog(entry.level === logLevel.ERROR ? 'error' : 'warn', message, details);
    },
  };
  return new kafkajs.Kafka(config);
}

export function createProducer(kafka: Kafka): Producer {
  return kafka.producer({
    // The log's order is the lane's order.
    maxInFlightRequests: 1,
    // Idempotence ends with the process; consumers skip repeats by (epoch, seq) anyway.
    idempotent: false,
    // A topic made by accident would have one partition and a day's retention.
    allowAutoTopicCreation: false,
    metadataMaxAge: 60_000,
    // Always named by the caller: partition n is lane n.
    createPartitioner: () => namedPartition,
  });
}

function namedPartition({ message }: { message: { partition?: number } }): number {
  if (message.partition === undefined) throw new Error('a record of the log names its partition');
  return message.partition;
}

/** `groupId` must be new for each consumer: who reads what is not decided by Kafka. */
export function createConsumer(kafka: Kafka, groupId: string): Consumer {
  return kafka.consumer({
    groupId,
    // Answered as soon as there is a byte; else after this.
    minBytes: 1,
    maxWaitTimeInMs: 500,
    // A bigger entry comes all the same, alone.
    maxBytesPerPartition: 4 * 1024 * 1024,
    maxBytes: 8 * 1024 * 1024,
    allowAutoTopicCreation: false,
    metadataMaxAge: 60_000,
    // Nobody else is in the group, so a slow member disturbs nobody.
    sessionTimeout: 60_000,
    heartbeatInterval: 3_000,
    // Within its group a consumer that comes back waits until the session of its former self is
    // over; in a new group it need not. So it ends, and whoever made it makes another.
    retry: { ...RETRY, restartOnFailure: async () => false },
  });
}

export interface LogTopic {
  readonly topic: string;
  /** One for each lane. */
  readonly partitions: number;
}

/**
 * Makes the topic when it is missing, and waits until each partition takes records: a fresh broker
 * opens its port seconds before. Throws when it has another number of partitions, or after
 * `timeoutMs`.
 */
export async function ensureTopic(
  kafka: Kafka,
  { topic, partitions }: LogTopic,
  timeoutMs = READY_TIMEOUT_MS,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      if (await tryEnsure(kafka, { topic, partitions })) return;
    } catch (error) {
      if (error instanceof TopicMismatch) throw error;
      last = error;
    }
    if (performance.now() >= deadline) {
      const reason = last instanceof Error ? last.message : 'a partition has no leader';
      throw new Error(`Kafka topic ${topic} was not ready within ${timeoutMs} ms: ${reason}`);
    }
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
}

class TopicMismatch extends Error {
  override readonly name = 'TopicMismatch';
}

async function tryEnsure(kafka: Kafka, { topic, partitions }: LogTopic): Promise<boolean> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const isThere = (await admin.listTopics()).includes(topic);
    if (!isThere) await createTopic(admin, topic, partitions);
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    const found = topics[0]?.partitions ?? [];
    if (isThere && found.length !== partitions) {
      throw new TopicMismatch(
        `Kafka topic ${topic} has ${found.length} partitions, ${partitions} lanes need as many: name another topic, or move the lanes by a planned fence`,
      );
    }
    if (found.length !== partitions || found.some(({ leader }) => leader < 0)) return false;
    // Answers only when the leaders serve.
    return (await admin.fetchTopicOffsets(topic)).length === partitions;
  } finally {
    await admin.disconnect();
  }
}

type Admin = ReturnType<Kafka['admin']>;

async function createTopic(admin: Admin, topic: string, partitions: number): Promise<void> {
  const brokers = (await admin.describeCluster()).brokers.length;
  const replicas = Math.min(brokers, 3);
  const settings: Record<string, string> = {
    'cleanup.policy': 'delete',
    'retention.ms': String(RETENTION_MS),
    'max.message.bytes': String(MESSAGE_BYTES_MAX),
    // An acknowledged record must not be lost with one broker, nor by electing one that lacks it.
    'min.insync.replicas': String(Math.max(1, replicas - 1)),
    'unclean.leader.election.enable': 'false',
  };
  try {
    await admin.createTopics({
      waitForLeaders: false,
      topics: [
        {
          topic,
          numPartitions: partitions,
          replicationFactor: replicas,
          configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
        },
      ],
    });
  } catch (error) {
    // Another process was quicker.
    const isThere = error instanceof KafkaJSProtocolError && error.type === 'TOPIC_ALREADY_EXISTS';
    if (!isThere) throw error;
  }
}
