/**
 * Whether Kafka keeps what it acknowledges, as `logged` promises. A single broker is what a laptop
 * has: it can lose everything with its disk, which is said and allowed. Several brokers are there to
 * survive one: settings that undo that are errors.
 */
import kafkajs, { type Kafka } from 'kafkajs';
import type { Finding } from '../runtime/finding.ts';

/** CommonJS, whose names Node does not see all. */
const { ConfigResourceTypes } = kafkajs;

export interface TopicFacts {
  readonly topic: string;
  readonly brokers: number;
  /** Of the partition that has the fewest. */
  readonly replicas: number;
  readonly settings: ReadonlyMap<string, string>;
}

/** Undefined: there is no such topic yet; it is made with good settings (connect.ts). */
export async function readTopicFacts(kafka: Kafka, topic: string): Promise<TopicFacts | undefined> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    if (!(await admin.listTopics()).includes(topic)) return undefined;
    const { brokers } = await admin.describeCluster();
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
    });
    return {
      topic,
      brokers: brokers.length,
      replicas: Math.min(...(topics[0]?.partitions ?? []).map((each) => each.replicas.length)),
      settings: new Map(
        (resources[0]?.configEntries ?? []).map((entry) => [entry.configName, entry.configValue]),
      ),
    };
  } finally {
    await admin.disconnect();
  }
}

export function judgeTopic({ topic, brokers, replicas, settings }: TopicFacts): Finding[] {
  const findings: Omit<Finding, 'where'>[] = [];
  const insync = Number(settings.get('min.insync.replicas'));
  const alter = (setting: string): string =>
    `kafka-configs.sh --bootstrap-server <broker> --alter --entity-type topics --entity-name ${topic} --add-config ${setting}`;
  if (replicas < 2) {
    findings.push({
      severity: brokers > 1 ? 'error' : 'warning',
      what: `has ${replicas} replica on ${brokers} broker${brokers === 1 ? '' : 's'}`,
      why: 'what is logged is lost with the disk of that broker',
      mend:
        brokers > 1
          ? 'kafka-reassign-partitions.sh --bootstrap-server <broker> --execute, with three replicas for each partition'
          : 'run three brokers for production; for a laptop this is as good as it gets',
    });
  }
  if (replicas > 1 && insync < 2) {
    findings.push({
      severity: 'error',
      what: `min.insync.replicas is ${insync}; it should be ${Math.max(2, replicas - 1)}`,
      why: 'an acknowledged record may stand on one broker alone, and be lost with it',
      mend: alter(`min.insync.replicas=${Math.max(2, replicas - 1)}`),
    });
  }
  if (replicas > 1 && insync >= replicas) {
    findings.push({
      severity: 'warning',
      what: `min.insync.replicas is ${insync}, with ${replicas} replicas`,
      why: 'no commit is answered as logged while any one broker is away',
      mend:
        replicas > 2
          ? alter(`min.insync.replicas=${replicas - 1}`)
          : 'kafka-reassign-partitions.sh --bootstrap-server <broker> --execute, with a third replica',
    });
  }
  if (settings.get('unclean.leader.election.enable') === 'true') {
    findings.push({
      severity: replicas > 1 ? 'error' : 'warning',
      what: 'unclean.leader.election.enable is true',
      why: 'a broker that lacks acknowledged records may become leader, and they are gone',
      mend: alter('unclean.leader.election.enable=false'),
    });
  }
  if (settings.get('cleanup.policy') !== 'delete') {
    findings.push({
      severity: 'error',
      what: `cleanup.policy is ${settings.get('cleanup.policy')}; it should be delete`,
      why: 'compaction removes records of the log',
      mend: alter('cleanup.policy=delete'),
    });
  }
  return findings.map((finding) => ({ where: `Kafka topic ${topic}`, ...finding }));
}
