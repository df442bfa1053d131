/** The log in Kafka, as a role works with it. */
import { connectKafka, ensureTopic } from '../kafka/connect.ts';
import { createKafkaFencedLog, createKafkaWriter } from '../log/kafka-log.ts';
import { createKafkaSource } from '../log/kafka-source.ts';
import { LANES } from '../redis/keys.ts';
import { createRelay } from '../relay/relay.ts';
import { crashPointFrom } from '../runtime/crash-point.ts';
import type { LogRole, LogRoleOptions } from './log-role.ts';

/** A fresh broker takes seconds to answer. */
const KAFKA_WAIT_MS = 30_000;

/** Rejects when Kafka does not answer, or its topic has another shape. */
export async function startKafkaLog(options: LogRoleOptions): Promise<LogRole> {
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
    createRelay: (lane, demand, metrics) => {
      const crash = crashPointFrom(process.env);
      return createRelay({ pool, lane, state, writer, demand, log, metrics, crash });
    },
    close: () => writer.close(),
  };
}
