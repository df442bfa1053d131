/** From where to where a partition of the log reaches. */
import type { Kafka } from './connect.ts';

export interface LogBounds {
  /** The oldest record that is still kept. */
  readonly first: bigint;
  /** Of the next record that is written. */
  readonly next: bigint;
}

/** Throws when Kafka does not answer, or the partition is not there. */
export async function readBounds(
  kafka: Kafka,
  topic: string,
  partition: number,
): Promise<LogBounds> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const offsets = await admin.fetchTopicOffsets(topic);
    const found = offsets.find((each) => each.partition === partition);
    if (found === undefined) throw new Error(`Kafka topic ${topic} has no partition ${partition}`);
    return { first: BigInt(found.low), next: BigInt(found.high) };
  } finally {
    await admin.disconnect();
  }
}
