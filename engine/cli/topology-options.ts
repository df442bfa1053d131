/** The options of every command that starts the local stack: which topology it is to have. */
import { type Command, InvalidArgumentError } from 'commander';
import type { ReplicaCount } from '../../deploy/local/stack-group.ts';

/** As commander hands them over, and as `startStack` takes them. */
export interface TopologyOptions {
  readonly sentinel?: boolean;
  readonly replicas?: ReplicaCount;
}

export function withTopologyOptions(command: Command): Command {
  return command
    .option(
      '--sentinel',
      'a Redis primary with replicas and a Sentinel beside each, and a PostgreSQL standby',
    )
    .option(
      '--replicas <number>',
      'of the Redis primary: 2 (default) or 3; implies --sentinel',
      replicaCount,
    );
}

function replicaCount(text: string): ReplicaCount {
  if (text === '2') return 2;
  if (text === '3') return 3;
  throw new InvalidArgumentError('It must be 2 or 3.');
}
