/** What a test tells recover-child.ts, all in one variable, as JSON. */
import type { RecoveryLimits } from '../claim.ts';
import type { TestLog } from './recovering.ts';
import type { Stack } from './stack.ts';

export interface ChildTarget {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly kafka?: { readonly brokers: readonly string[]; readonly topic: string };
  /** What it does to itself at the crash point; SIGKILL by default. */
  readonly signal?: 'SIGKILL' | 'SIGSTOP';
  readonly quorum?: number;
  readonly limits?: Partial<RecoveryLimits>;
}

export const TARGET_VARIABLE = 'HOLDFAST_TEST_TARGET';

export function targetOf(stack: Stack, log: TestLog): ChildTarget {
  return {
    redisUrl: stack.server.url,
    databaseUrl: stack.database.url,
    ...(log.kafka === undefined ? {} : { kafka: log.kafka }),
    // `after_replicate` is passed where there are replicas, or where one waits for some in vain.
    quorum: 1,
    limits: { replicateMs: 1 },
  };
}
