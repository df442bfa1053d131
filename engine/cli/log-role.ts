/** The log that the configuration names: Kafka, or the lane's own stream. One place decides. */
import type { LogForm } from '../../persister/consume.ts';
import { createEmbeddedLog } from '../../persister/embedded-log.ts';
import { connectKafka, ensureTopic } from '../kafka/connect.ts';
import type { FencedLog, LogSource } from '../log/event-log.ts';
import { createKafkaFencedLog, createKafkaWriter } from '../log/kafka-log.ts';
import { createKafkaSource } from '../log/kafka-source.ts';
import { createRedisLogSource } from '../log/redis-log.ts';
import type { Pool } from '../postgres/pool.ts';
import { LANES } from '../redis/keys.ts';
import type { LaneState } from '../redis/lane-state.ts';
import { createRelay, type RelayMetrics } from '../relay/relay.ts';
import type { Config } from '../runtime/config.ts';
import { crashPointFrom } from '../runtime/crash-point.ts';
import type { Logger } from '../runtime/log.ts';

export interface LogRoleOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly pool: Pool;
  readonly state: LaneState;
  /** Shown to Kafka. */
  readonly name: string;
  /** How long Kafka may take to answer. */
  readonly waitMs?: number;
}

export interface LogRole {
  readonly form: LogForm;
  readonly fenced: FencedLog;
  openSource(lane: number): LogSource;
  /** Undefined where the log is embedded. */
  createRelay(
    lane: number,
    metrics: RelayMetrics,
  ): { run(signal: AbortSignal): Promise<void> } | undefined;
  close(): Promise<void>;
}

/** A fresh broker takes seconds to answer. */
const KAFKA_WAIT_MS = 30_000;

/** Rejects when Kafka does not answer (runtime/unreachable.ts), or its topic has another shape. */
export async function startLogRole(options: LogRoleOptions): Promise<LogRole> {
  return options.config.kafkaBrokers.length > 0 ? startKafkaLog(options) : embeddedLog(options);
}

function embeddedLog({ pool, state }: LogRoleOptions): LogRole {
  return {
    form: 'stream',
    fenced: createEmbeddedLog({ pool }),
    openSource: () => createRedisLogSource(state),
    createRelay: () => undefined,
    close: async () => undefined,
  };
}

async function startKafkaLog(options: LogRoleOptions): Promise<LogRole> {
  const { config, log, pool, state, name, waitMs = KAFKA_WAIT_MS } = options;
  const kafka = connectKafka({
    brokers: config.kafkaBrokers,
    clientId: name,
    onLog: (level, message, details) => log[level]({ kafka: details }, message),
  });
  const topic = config.logTopic;
  await ensureTopic(kafka, { topic, partitions: LANES }, waitMs);
  const writer = createKafkaWriter({ kafka, topic });
  return {
    form: 'kafka',
    fenced: createKafkaFencedLog(writer),
    openSource: (lane) =>
      createKafkaSource({
        kafka,
        topic,
        lane,
        name,
        onProblem: (message, details) => log.warn(details, message),
      }),
    createRelay: (lane, metrics) =>
      createRelay({ pool, lane, state, writer, log, metrics, crash: crashPointFrom(process.env) }),
    close: () => writer.close(),
  };
}
