/**
 * One look at a lane, and one recovery when it needs it, in a process of its own, which kills (or
 * stops) itself where HOLDFAST_CRASH_AT says. Prints its report. For tests: `holdfast recover` goes on
 * for ever.
 */
import { randomBytes } from 'node:crypto';
import { connectKafka } from '../../engine/kafka/connect.ts';
import type { FencedLog } from '../../engine/log/event-log.ts';
import { createKafkaFencedLog, createKafkaWriter } from '../../engine/log/kafka-log.ts';
import { createPool, type Pool } from '../../engine/postgres/pool.ts';
import { connectRedis, whenReady } from '../../engine/redis/connect.ts';
import { laneScripts } from '../../engine/redis/lane-scripts.ts';
import { crashPointFrom } from '../../engine/runtime/crash-point.ts';
import { createEmbeddedLog } from '../../persister/embedded-log.ts';
import { RECOVERY_LIMITS } from '../claim.ts';
import { Registry } from '../registry.ts';
import { LaneWatcher, WATCH_LIMITS } from '../watch.ts';
import { type ChildTarget, TARGET_VARIABLE } from './target.ts';

async function main(target: ChildTarget): Promise<void> {
  const ignore = () => undefined;
  const redis = connectRedis({ url: target.redisUrl, name: 'recovery-child', onError: ignore });
  const pool = createPool({
    url: target.databaseUrl,
    applicationName: 'recovery-child',
    connectionsMax: 4,
    onIdleError: ignore,
  });
  await whenReady(redis, 5_000);
  const watcher = new LaneWatcher({
    lane: 0,
    state: laneScripts(redis, 0),
    log: logOf(target, pool),
    pool,
    registry: new Registry(pool),
    random: randomBytes,
    crashPoint: crashPointFrom(process.env, () =>
      process.kill(process.pid, target.signal ?? 'SIGKILL'),
    ),
    limits: { ...RECOVERY_LIMITS, ...target.limits },
    quorum: () => target.quorum ?? 0,
    onProgress: ignore,
    leader: `child:${process.pid}`,
    watch: WATCH_LIMITS,
    onReport: ignore,
    onError: ignore,
  });
  const report = await watcher
    .runOnce(new AbortController().signal)
    .catch((error: unknown) => ({ kind: 'failed', reason: String(error) }));
  process.stdout.write(JSON.stringify(report));
  process.exit(0);
}

function logOf({ kafka: where }: ChildTarget, pool: Pool): FencedLog {
  if (where === undefined) return createEmbeddedLog({ pool });
  const kafka = connectKafka({
    brokers: where.brokers,
    clientId: 'recovery-child',
    onLog: () => undefined,
  });
  return createKafkaFencedLog(createKafkaWriter({ kafka, topic: where.topic }));
}

const target = process.env[TARGET_VARIABLE];
if (target === undefined) throw new Error(`${TARGET_VARIABLE} is not set`);
await main(JSON.parse(target) as ChildTarget);
