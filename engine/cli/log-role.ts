/** The log that the configuration names: Kafka, or the lane's own stream. One place decides. */

import type { LogForm } from '../../persister/consume.ts';
import { createEmbeddedLog } from '../../persister/embedded-log.ts';
import type { FencedLog, LogSource } from '../log/event-log.ts';
import { createRedisLogSource } from '../log/redis-log.ts';
import type { Pool } from '../postgres/pool.ts';
import type { LaneState } from '../redis/lane-state.ts';
import type { Config } from '../runtime/config.ts';
import type { Logger } from '../runtime/log.ts';

export interface LogRoleOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly pool: Pool;
  readonly state: LaneState;
}

export interface LogRole {
  readonly form: LogForm;
  readonly fenced: FencedLog;
  openSource(): LogSource;
  /** Undefined where the log is embedded. */
  createRelay(lane: number): { run(signal: AbortSignal): Promise<void> } | undefined;
  close(): Promise<void>;
}

export async function startLogRole(options: LogRoleOptions): Promise<LogRole> {
  const { config, pool, state } = options;
  if (config.kafkaBrokers.length > 0) throw new Error('Kafka comes with the next step');
  return {
    form: 'stream',
    fenced: createEmbeddedLog({ pool }),
    openSource: () => createRedisLogSource(state),
    createRelay: () => undefined,
    close: async () => undefined,
  };
}
