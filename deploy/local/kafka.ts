/**
 * A local Apache Kafka: one broker and controller in one JVM (KRaft), on loopback.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Admin, Kafka, logLevel, type Producer } from 'kafkajs';
import { findJava, JAVA_VERSION_MIN } from './find-programs.ts';
import { freePort } from './ports.ts';
import type { ServerCommand } from './server-process.ts';

/** After a crash the log segments are checked before the broker answers. */
const READY_TIMEOUT_MS = 90_000;
/** Any 22 characters of base64 will do: the cluster has one member. */
const CLUSTER_ID = 'holdfastholdfastholdfA';
const NODE_ID = 1;
/** One record carries one log entry, which holds a whole batch of carts. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
const PROBE_GROUP = 'holdfast-ready';

/** What is the same for any broker of one; deploy/compose.yaml says the same. */
export const BROKER_SETTINGS: readonly string[] = [
  // Topics are created with their partitions and settings, never by a client's typing error.
  'auto.create.topics.enable=false',
  `message.max.bytes=${MESSAGE_BYTES_MAX}`,
  `replica.fetch.max.bytes=${MESSAGE_BYTES_MAX}`,
  // One broker can hold one replica; the internal topics' 50 partitions would slow each start.
  'offsets.topic.replication.factor=1',
  'offsets.topic.num.partitions=1',
  'transaction.state.log.replication.factor=1',
  'transaction.state.log.min.isr=1',
  'transaction.state.log.num.partitions=1',
  'share.coordinator.state.topic.replication.factor=1',
  'share.coordinator.state.topic.min.isr=1',
  'share.coordinator.state.topic.num.partitions=1',
  // After kill -9 the controller refuses the broker until its old session is over: 9 s by default.
  'broker.session.timeout.ms=3000',
  'broker.heartbeat.interval.ms=1000',
  // A group of one consumer need not wait three seconds for others to join.
  'group.initial.rebalance.delay.ms=0',
];

export interface KafkaOptions {
  readonly directory: string;
  readonly port: number;
  /** From fetchKafkaJars. */
  readonly jarsDirectory: string;
  readonly env?: NodeJS.ProcessEnv;
}

export function kafkaBroker(port: number): string {
  return `127.0.0.1:${port}`;
}

/** Formats the storage when the directory has none, and says how the broker is started. */
export async function kafkaCommand(options: KafkaOptions): Promise<ServerCommand> {
  const { directory, port } = options;
  const java = findJava(options.env ?? process.env);
  if (java === undefined) {
    throw new Error(`there is no Java ${JAVA_VERSION_MIN} or newer on this machine`);
  }
  const data = join(directory, 'data');
  const properties = join(directory, 'server.properties');
  mkdirSync(data, { recursive: true });
  writeFileSync(properties, brokerProperties(port, await freePort(), data));
  const classpath = ['-cp', join(options.jarsDirectory, '*')];
  if (!existsSync(join(data, 'meta.properties'))) {
    const format = ['kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', properties];
    await promisify(execFile)(java, [
      // The tool runs for a second: the optimising compiler would only cost.
      '-XX:TieredStopAtLevel=1',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
      ...classpath,
      ...format,
    ]);
  }
  return {
    title: 'Kafka',
    command: java,
    args: [
      '-Xmx384m',
      '-XX:+UseSerialGC',
      // Ready a second sooner at 60 % of the CPU, on the two cores that the engine needs as well.
      '-XX:TieredStopAtLevel=1',
      ...logSettings(),
      ...classpath,
      'kafka.Kafka',
      properties,
    ],
    directory,
    port,
    isReady: () => isBrokerReady(port),
    readyTimeoutMs: READY_TIMEOUT_MS,
  };
}

function brokerProperties(port: number, controllerPort: number, data: string): string {
  return `${[
    'process.roles=broker,controller',
    `node.id=${NODE_ID}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names=CONTROLLER',
    `controller.quorum.voters=${NODE_ID}@127.0.0.1:${controllerPort}`,
    `log.dirs=${data}`,
    ...BROKER_SETTINGS,
  ].join('\n')}\n`;
}

function logSettings(): string[] {
  const simpleLogger = '-Dorg.slf4j.simpleLogger';
  return [
    `${simpleLogger}.defaultLogLevel=warn`,
    `${simpleLogger}.log.kafka.server=info`,
    `${simpleLogger}.showDateTime=true`,
    `${simpleLogger}.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ`,
  ];
}

/**
 * A fresh broker's port is open seconds before it does its work, so each thing that a client
 * needs is asked for: metadata, a group's coordinator (which makes the offsets topic) and a
 * producer id.
 */
async function isBrokerReady(port: number): Promise<boolean> {
  const kafka = new Kafka({
    brokers: [kafkaBroker(port)],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 20, maxRetryTime: 100, retries: 3 },
  });
  const admin = kafka.admin();
  const producer = kafka.producer({ idempotent: true });
  try {
    await admin.connect();
    await admin.describeCluster();
    await admin.describeGroups([PROBE_GROUP]);
    await producer.connect();
    return true;
  } catch {
    return false;
  } finally {
    await disconnect(producer);
    await disconnect(admin);
  }
}

/** What was never connected may refuse to disconnect; that is no news about the broker. */
async function disconnect(client: Admin | Producer): Promise<void> {
  await client.disconnect().catch(() => undefined);
}
