/** The log that the configuration names: Kafka, or the lane's own stream. One place decides. */
import type { LogForm } from '../../persister/consume.ts';
import { createEmbeddedLog } from '../../persister/embedded-log.ts';
import type { Demand } from '../log/demand.ts';
import type { FencedLog, LogSource } from '../log/event-log.ts';
import { createRedisLogSource } from '../log/redis-log.ts';
import type { Pool } from '../postgres/pool.ts';
import type { LaneState } from '../redis/lane-state.ts';
import type { RelayMetrics } from '../relay/relay.ts';
import type { Config } from '../runtime/config.ts';
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
  /** `demand`: what is waited for of who reads there. */
  openSource(lane: number, demand?: Demand): LogSource;
  /** Absent where the log is embedded. */
  readonly createRelay?: (
    lane: number,
    demand: Demand,
    metrics: RelayMetrics,
  ) => { run(signal: AbortSignal): Promise<void> };
  close(): Promise<void>;
}

/** Rejects when Kafka does not answer (runtime/unreachable.ts), or its topic has another shape. */
export async function startLogRole(options: LogRoleOptions): Promise<LogRole> {
  if (options.config.kafkaBrokers.length === 0) return embeddedLog(options);
  // Its client and the relay are loaded where there is a Kafka.
  const { startKafkaLog } = await import('./kafka-log-role.ts');
  return await startKafkaLog(options);
}

function embeddedLog({ pool, state }: LogRoleOptions): LogRole {
  return {
    form: 'stream',
    fenced: createEmbeddedLog({ pool }),
    openSource: (_lane, demand) => createRedisLogSource(state, demand),
    close: async () => undefined,
  };
}
