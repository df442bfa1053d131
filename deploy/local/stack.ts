/**
 * The local stack: Redis, PostgreSQL and Kafka on loopback, with all their data below one
 * directory. Servers that the environment names are used as they are, never started or stopped.
 */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { installPrograms, MissingProgramsError, type Program } from './install.ts';
import { fetchKafkaJars, hasKafkaJars } from './kafka-jars.ts';
import { withLock } from './lock.ts';
import { bringUp, takeDown } from './managed-server.ts';
import { defaultStackDirectory } from './paths.ts';
import { identifySelf, type ProcessIdentity, signalProcess } from './process-identity.ts';
import type { OnProgress } from './progress.ts';
import { readServerRecord } from './server-process.ts';
import {
  type EnvironmentVariable,
  fromEnvironment,
  type ServerName,
  type StackServer,
  stackServer,
} from './stack-servers.ts';

/** `auto` takes Kafka when it can be had, else the log embedded in Redis. */
export type LogChoice = 'auto' | 'kafka' | 'embedded';

export interface StackOptions {
  /** Data, logs and pid files; `.stack` beside package.json by default. */
  readonly directory?: string;
  readonly log?: LogChoice;
  /** Leave what is started running after this process ends (`holdfast stack up`). */
  readonly keepRunning?: boolean;
  readonly env?: NodeJS.ProcessEnv;
  readonly onProgress?: OnProgress;
}

export interface RunningServer {
  readonly name: ServerName;
  readonly variable: EnvironmentVariable;
  /** The value for the variable. */
  readonly address: string;
  /** Named by the environment, running already in this directory, or started by this call. */
  readonly source: 'environment' | 'reused' | 'started';
}

export interface Stack {
  readonly directory: string;
  readonly redisUrl: string;
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
  readonly source: 'embedded';
  readonly reason: string;
}

interface Start {
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
  readonly log: LogChoice;
  readonly keepRunning: boolean;
  readonly self: ProcessIdentity;
  readonly onProgress: OnProgress;
}

/** Starts what is not running yet, the three servers at once; resolves when all are ready. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const start: Start = {
    directory: resolve(options.directory ?? defaultStackDirectory()),
    env: options.env ?? process.env,
    log: options.log ?? 'auto',
    keepRunning: options.keepRunning ?? false,
    self: identifySelf(),
    onProgress: options.onProgress ?? (() => undefined),
  };
  mkdirSync(start.directory, { recursive: true });
  return await withLock(start.directory, async () => {
    const kafkaObstacle = await install(start);
    const results = await Promise.allSettled([
      startServer(start, 'redis'),
      startServer(start, 'postgres'),
      startKafka(start, kafkaObstacle),
    ]);
    const [redis, postgres, kafka] = results;
    if (
      redis.status === 'fulfilled' &&
      postgres.status === 'fulfilled' &&
      kafka.status === 'fulfilled'
    ) {
      return describeStack(start, redis.value, postgres.value, kafka.value);
    }
    await stopStarted(
      start,
      results
        .flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
        .filter(isServer),
    );
    throw joinErrors(
      results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : [])),
    );
  });
}

/** Which programs a start needs, given what the environment names and what is there. */
export function neededPrograms(
  env: NodeJS.ProcessEnv,
  log: LogChoice,
  hasJars: boolean,
): Program[] {
  const isLocal = (variable: EnvironmentVariable) => fromEnvironment(variable, env) === undefined;
  const isKafkaLocal = log !== 'embedded' && isLocal('KAFKA_BROKERS');
  return [
    ...(isLocal('REDIS_URL') ? (['redis'] as const) : []),
    ...(isLocal('DATABASE_URL') ? (['postgres'] as const) : []),
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

async function startKafka(
  start: Start,
  obstacle: string | undefined,
): Promise<RunningServer | EmbeddedLog> {
  const reason = await whyEmbedded(start, obstacle);
  if (reason === undefined) return await startServer(start, 'kafka');
  start.onProgress({ step: 'kafka', state: 'skipped', detail: `embedded log: ${reason}` });
  return { source: 'embedded', reason };
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

async function startServer(start: Start, name: ServerName): Promise<RunningServer> {
  const server = stackServer(name, start.directory, start.env);
  const { variable } = server;
  const named = fromEnvironment(variable, start.env);
  if (named !== undefined) {
    start.onProgress({ step: name, state: 'done', detail: `${named} (from ${variable})` });
    return { name, variable, address: named, source: 'environment' };
  }
  start.onProgress({ step: name, state: 'working', detail: 'starting' });
  try {
    mkdirSync(server.directory, { recursive: true });
    const { port, isReused } = await bringUp(server, start.self, start.keepRunning);
    const address = server.address(port);
    const detail = isReused ? `${address} (was running)` : address;
    start.onProgress({ step: name, state: 'done', detail });
    return { name, variable, address, source: isReused ? 'reused' : 'started' };
  } catch (error) {
    start.onProgress({ step: name, state: 'failed', detail: messageOf(error) });
    throw error;
  }
}

function describeStack(
  start: Start,
  redis: RunningServer,
  postgres: RunningServer,
  kafka: RunningServer | EmbeddedLog,
): Stack {
  const servers = [redis, postgres, kafka].filter(isServer);
  const releaseExit = start.keepRunning ? () => undefined : signalAtExit(start, servers);
  return {
    directory: start.directory,
    redisUrl: redis.address,
    databaseUrl: postgres.address,
    log: isServer(kafka) ? 'kafka' : 'embedded',
    logReason: isServer(kafka) ? undefined : kafka.reason,
    kafkaBrokers: isServer(kafka) ? kafka.address.split(',').map((broker) => broker.trim()) : [],
    servers,
    env: Object.fromEntries(servers.map(({ variable, address }) => [variable, address])),
    stop: async () => {
      await stopStarted(start, servers);
      releaseExit();
    },
  };
}

/** The last resort of a process that ends without `stop()`, as on an uncaught error. */
function signalAtExit(start: Start, servers: readonly RunningServer[]): () => void {
  const onExit = () => {
    for (const server of startedServers(start, servers)) {
      const record = readServerRecord(server.directory);
      if (record?.owner?.pid === process.pid) signalProcess(record.process, server.stopSignal);
    }
  };
  process.once('exit', onExit);
  return () => void process.off('exit', onExit);
}

async function stopStarted(start: Start, servers: readonly RunningServer[]): Promise<void> {
  const owner = start.keepRunning ? null : start.self;
  await Promise.all(
    startedServers(start, servers).map(async (server) => {
      start.onProgress({ step: server.name, state: 'detail', detail: 'stopping' });
      await takeDown(server, owner);
      start.onProgress({ step: server.name, state: 'done', detail: 'stopped' });
    }),
  );
}

function startedServers(start: Start, servers: readonly RunningServer[]): StackServer[] {
  return servers
    .filter(({ source }) => source === 'started')
    .map(({ name }) => stackServer(name, start.directory, start.env));
}

function isServer(server: RunningServer | EmbeddedLog): server is RunningServer {
  return server.source !== 'embedded';
}

function joinErrors(errors: readonly unknown[]): Error {
  const [first] = errors;
  if (errors.length === 1 && first instanceof Error) return first;
  return new AggregateError(errors, errors.map(messageOf).join('\n'));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
