/**
 * Is the log that PostgreSQL reads still the log that it has read? One look at Kafka from here: no
 * entry is compared with it, because PostgreSQL is compared with Redis at a position that both have
 * reached; but a topic that was made anew, or lost its end, is seen, and one that does not answer is said.
 */
import type { LogBounds } from '../../engine/kafka/bounds.ts';

/** Where Kafka is the log. */
export interface OutsideLog {
  /** `Kafka topic hf.log at 10.0.0.5:9092`. */
  readonly name: string;
  /** Rejects when it does not answer. */
  readonly bounds: () => Promise<LogBounds>;
}

export type LogState =
  /** It is the stream in Redis, which is compared with the rest. */
  | { readonly state: 'embedded' }
  | { readonly state: 'agrees' }
  | { readonly state: 'disagrees'; readonly problem: string }
  | { readonly state: 'not_seen'; readonly problem: string };

/** `offset`: what PostgreSQL reads next, read before the log is asked, which only grows. */
export async function lookAtLog(log: OutsideLog | undefined, offset: bigint): Promise<LogState> {
  if (log === undefined) return { state: 'embedded' };
  try {
    return judgeLog(log.name, offset, await log.bounds());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { state: 'not_seen', problem: `${log.name} does not answer: ${reason}` };
  }
}

export function judgeLog(name: string, offset: bigint, { first, next }: LogBounds): LogState {
  if (offset > next) {
    return {
      state: 'disagrees',
      problem: `PostgreSQL has read ${name} up to ${offset}, and it ends at ${next}: it is another log, or lost its end`,
    };
  }
  if (offset < first) {
    return {
      state: 'disagrees',
      problem: `PostgreSQL has read ${name} up to ${offset}, and it begins at ${first}: what lies between is gone`,
    };
  }
  return { state: 'agrees' };
}
