/**
 * The local stack: Redis, PostgreSQL and Kafka on loopback, with all their data below one
 * directory; on request a Redis group with Sentinels, and a PostgreSQL with a standby. Servers that
 * the environment names are used as they are, never started or stopped, unless they are its own.
 */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { installPrograms, MissingProgramsError, type Program } from './install.ts';
import { fetchKafkaJars, hasKafkaJars } from './kafka-jars.ts';
import { withLock } from './lock.ts';
import { defaultStackDirectory } from './paths.ts';
import { identifySelf, signalProcess } from './process-identity.ts';
import type { OnProgress } from './progress.ts';
import type { RedisGroup } from './redis-group.ts';
import { readServerRecord } from './server-process.ts';
import { chooseGroup, type ReplicaCount } from './stack-group.ts';
import { withoutOwn, writeMembers } from './stack-members.ts';
import {
  type EnvironmentVariable,
  fromEnvironment,
  type StoreName,
  stackStore,
  VARIABLES,
} from './stack-servers.ts';
import {
  messageOf,
  type RunningServer,
  type RunningStore,
  type StoreStart,
  startStore,
  stopStore,
} from './stack-store.ts';

/** `auto` takes Kafka when it can be had, else the log embedded in Redis. */
export type LogChoice = 'auto' | 'kafka' | 'embedded';

export interface StackOptions {
  /** Data, logs and pid files; `.stack` beside package.json by default. */
  readonly directory?: string;
  readonly log?: LogChoice;
  /**
   * A Redis primary with replicas and a Sentinel beside each, and a PostgreSQL primary with a
   * standby. Without it, what runs in the directory is taken, else one server of each.
   */
  readonly sentinel?: boolean;
  /** Of the Redis group; what its directory has by default, else two. */
  readonly replicas?: ReplicaCount;
  /** Leave what is started running after this process ends (`holdfast stack up`). */
  readonly keepRunning?: boolean;
  readonly env?: NodeJS.ProcessEnv;
  readonly onProgress?: OnProgress;
}

export interface Stack {
  readonly directory: string;
  /** redis:// of the one server, or redis+sentinel:// of the group. */
  readonly redisUrl: string;
  /** Of a pair: with both hosts, as libpq spells it. */
  readonly databaseUrl: string;
  readonly log: 'kafka' | 'embedded';
  /** Why the log is embedded; undefined with Kafka. */
  readonly logReason: string | undefined;
  /** Empty when the log is embedded. */
  readonly kafkaBrokers: readonly string[];
  readonly servers: readonly RunningServer[];
  /** The variables that name these servers, for a child process or a shell. */
  readonly env: Readonly<Partial<Record<EnvironmentVariable, string>>>;
  /** Stops what this call started, and nothing else. */
  stop(): Promise<void>;
}

/** Stands where Kafka would. */
interface EmbeddedLog {
  readonly reason: string;
}

interface Start extends StoreStart {
  readonly directory: string;
  readonly log: LogChoice;
}

/** Starts what is not running yet, the three stores at once; resolves when all are ready. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const directory = resolve(options.directory ?? defaultStackDirectory());
  const start: Start = {
    directory,
    env: withoutOwn(directory, options.env ?? process.env),
    log: options.log ?? 'auto',
    keepRunning: options.keepRunning ?? false,
    self: identifySelf(),
    onProgress: options.onProgress ?? (() => undefined),
  };
  mkdirSync(start.directory, { recursive: true });
  return await withLock(start.directory, async () => {
    const kafkaObstacle = await install(start);
    const group = await chooseGroup(start.directory, options.sentinel ?? false, options.replicas);
    return await startStores(start, group, kafkaObstacle);
  });
}

async function startStores(
  start: Start,
  group: RedisGroup | undefined,
  kafkaObstacle: string | undefined,
): Promise<Stack> {
  const bring = (name: StoreName) =>
    startStore(start, stackStore(name, start.directory, start.env, group));
  const results = await Promise.allSettled([
    bring('redis'),
    bring('postgres'),
    bringKafka(start, kafkaObstacle, () => bring('kafka')),
  ]);
  const [redis, postgres, kafka] = results;
  if (
    redis.status === 'fulfilled' &&
    postgres.status === 'fulfilled' &&
    kafka.status === 'fulfilled'
  ) {
    rememberMembers(start, [redis.value, postgres.value, kafka.value].filter(isStore));
    return describeStack(start, redis.value, postgres.value, kafka.value);
  }
  const started = results.flatMap((result) =>
    result.status === 'fulfilled' && isStore(result.value) ? [result.value] : [],
  );
  await Promise.all(started.map((store) => stopStore(start, store)));
  throw joinErrors(
    results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : [])),
  );
}

/** What the environment names is no part of this directory's stack. */
function rememberMembers({ directory, env }: Start, stores: readonly RunningStore[]): void {
  const own = stores.filter(({ store }) => fromEnvironment(store.variable, env) === undefined);
  writeMembers(directory, Object.fromEntries(own.map(({ store, url }) => [store.name, url])));
}

/** Which programs a start needs, given what the environment names and what is there. */
export function neededPrograms(
  env: NodeJS.ProcessEnv,
  log: LogChoice,
  hasJars: boolean,
): Program[] {
  const isLocal = (name: StoreName) => fromEnvironment(VARIABLES[name], env) === undefined;
  const isKafkaLocal = log !== 'embedded' && isLocal('kafka');
  return [
    ...(isLocal('redis') ? (['redis'] as const) : []),
    ...(isLocal('postgres') ? (['postgres'] as const) : []),
    ...(isKafkaLocal ? (['java'] as const) : []),
    ...(isKafkaLocal && !hasJars ? (['maven'] as const) : []),
  ];
}

/** Returns why Kafka cannot be had, where the choice of log allows for that. */
async function install(start: Start): Promise<string | undefined> {
  const needed = neededPrograms(start.env, start.log, hasKafkaJars(start.env));
  try {
    await installPrograms(needed, start.env, start.onProgress);
    start.onProgress({ step: 'install', state: 'done', detail: 'all programs are installed' });
    return undefined;
  } catch (error) {
    const isOnlyKafka =
      error instanceof MissingProgramsError &&
      error.programs.every((program) => program === 'java' || program === 'maven');
    if (!(isOnlyKafka && start.log === 'auto')) {
      start.onProgress({ step: 'install', state: 'failed', detail: messageOf(error) });
      throw error;
    }
    start.onProgress({ step: 'install', state: 'skipped', detail: error.message });
    return error.summary;
  }
}

async function bringKafka(
  start: Start,
  obstacle: string | undefined,
  bring: () => Promise<RunningStore>,
): Promise<RunningStore | EmbeddedLog> {
  const reason = await whyEmbedded(start, obstacle);
  if (reason === undefined) return await bring();
  start.onProgress({ step: 'kafka', state: 'skipped', detail: `embedded log: ${reason}` });
  return { reason };
}

/** Undefined when there will be a Kafka; its jars are there then, unless the broker is a given one. */
async function whyEmbedded(
  start: Start,
  obstacle: string | undefined,
): Promise<string | undefined> {
  if (start.log === 'embedded') return 'it was chosen';
  if (obstacle !== undefined) return `Kafka cannot be had here: ${obstacle}`;
  if (fromEnvironment('KAFKA_BROKERS', start.env) !== undefined) return undefined;
  try {
    await fetchKafkaJars(start.env, start.onProgress);
    return undefined;
  } catch (error) {
    if (start.log === 'kafka') throw error;
    return `Kafka cannot be had here: ${messageOf(error)}`;
  }
}

function describeStack(
  start: Start,
  redis: RunningStore,
  postgres: RunningStore,
  kafka: RunningStore | EmbeddedLog,
): Stack {
  const stores = [redis, postgres, kafka].filter(isStore);
  const releaseExit = start.keepRunning ? () => undefined : signalAtExit(stores);
  return {
    directory: start.directory,
    redisUrl: redis.url,
    databaseUrl: postgres.url,
    log: isStore(kafka) ? 'kafka' : 'embedded',
    logReason: isStore(kafka) ? undefined : kafka.reason,
    kafkaBrokers: isStore(kafka) ? kafka.url.split(',').map((broker) => broker.trim()) : [],
    servers: stores.flatMap((store) => store.servers),
    env: Object.fromEntries(stores.map(({ store, url }) => [store.variable, url])),
    stop: async () => {
      await Promise.all(stores.map((store) => stopStore(start, store)));
      releaseExit();
    },
  };
}

/** The last resort of a process that ends without `stop()`, as on an uncaught error. */
function signalAtExit(stores: readonly RunningStore[]): () => void {
  const onExit = () => {
    for (const server of stores.flatMap(({ started }) => started)) {
      const record = readServerRecord(server.directory);
      if (record?.owner?.pid === process.pid) signalProcess(record.process, server.stopSignal);
    }
  };
  process.once('exit', onExit);
  return () => void process.off('exit', onExit);
}

function isStore(value: RunningStore | EmbeddedLog): value is RunningStore {
  return 'store' in value;
}

function joinErrors(errors: readonly unknown[]): Error {
  const [first] = errors;
  if (errors.length === 1 && first instanceof Error) return first;
  return new AggregateError(errors, errors.map(messageOf).join('\n'));
}
