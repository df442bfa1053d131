/**
 * A persister or a relay in a process of its own, which the crash tests kill: it runs until it is
 * ended from outside, or ends itself at its crash point. Everything it needs is in CrashChildEnv.
 */
import { createRedisLogSource } from '../../engine/log/redis-log.ts';
import { createPool } from '../../engine/postgres/pool.ts';
import { connectRedis, whenReady } from '../../engine/redis/connect.ts';
import { laneScripts } from '../../engine/redis/lane-scripts.ts';
import { createRelay } from '../../engine/relay/relay.ts';
import { crashPointFrom } from '../../engine/runtime/crash-point.ts';
import { createLogger } from '../../engine/runtime/log.ts';
import { createPersister } from '../persister.ts';

export interface CrashChildEnv {
  readonly CHILD_ROLE: 'persister' | 'relay';
  readonly REDIS_URL: string;
  readonly DATABASE_URL: string;
  readonly KAFKA_BROKERS?: string;
  readonly HOLDFAST_LOG_TOPIC?: string;
  /** Read by crashPointFrom; without it the process runs until it is ended. */
  readonly HOLDFAST_CRASH_AT?: string;
}

function setting(name: keyof CrashChildEnv): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

const log = createLogger(setting('CHILD_ROLE'), 'error');
const redis = connectRedis({
  url: setting('REDIS_URL'),
  name: 'crash-child',
  onError: (error) => log.warn({ err: error }),
});
await whenReady(redis, 10_000);
const pool = createPool({
  url: setting('DATABASE_URL'),
  applicationName: 'crash-child',
  connectionsMax: 2,
  onIdleError: (error) => log.warn({ err: error }),
});
const state = laneScripts(redis, 0);
const crash = crashPointFrom(process.env);
const forever = new AbortController().signal;
if (setting('CHILD_ROLE') === 'relay') {
  // The Kafka client takes long to load, and the persisters here have no use for it.
  const [{ connectKafka }, { createKafkaWriter }] = await Promise.all([
    import('../../engine/kafka/connect.ts'),
    import('../../engine/log/kafka-log.ts'),
  ]);
  const kafka = connectKafka({
    brokers: setting('KAFKA_BROKERS').split(','),
    clientId: 'crash-child',
    onLog: (level, message, details) => log[level](details, message),
  });
  const writer = createKafkaWriter({ kafka, topic: setting('HOLDFAST_LOG_TOPIC') });
  // Small reads and frequent trims, so that every point is passed often.
  const limits = { entriesMax: 3, trimEveryMs: 1 };
  await createRelay({ pool, lane: 0, state, writer, log, crash, limits }).run(forever);
} else {
  const source = createRedisLogSource(state);
  const limits = { recordsMax: 3, gatherMs: 0, trimEveryMs: 1, trimMarginMs: 0 };
  const deps = { pool, lane: 0, source, form: 'stream', state, log } as const;
  await createPersister({ ...deps, crash, limits }).run(forever);
}
