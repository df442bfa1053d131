/**
 * Real servers for tests: a Redis for each test, a fresh database on a PostgreSQL that the whole
 * run shares, a Kafka that the run shares, and own PostgreSQL and Kafka servers for the tests that
 * stop or kill them.
 */
import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { kafkaBroker, kafkaCommand } from '../../deploy/local/kafka.ts';
import { fetchKafkaJars } from '../../deploy/local/kafka-jars.ts';
import { postgresCommand, postgresUrl } from '../../deploy/local/postgres.ts';
import { redisCommand, redisUrl } from '../../deploy/local/redis.ts';
import type { ServerCommand } from '../../deploy/local/server-process.ts';
import { AOF_COPY_ARGS, type AofCopy, type AofHolder, aofHolder } from './aof.ts';
import { sharedServer } from './shared-server.ts';
import { currentTestRun, serverDirectory } from './test-run.ts';
import { startTestServer, type TestServer } from './test-server.ts';

export type { AofCopy };

export interface TestRedis extends TestServer, AofHolder {
  readonly url: string;
  /** Where its data stands. */
  readonly dir: string;
}

export interface TestRedisOptions {
  /** Further settings: `['--appendfsync', 'always']`. */
  readonly args?: readonly string[];
  /** Data directory; a fresh one by default. */
  readonly dir?: string;
}

export interface TestPostgres extends TestServer {
  /** Of the database `holdfast`. */
  readonly url: string;
}

export interface TestDatabase {
  readonly url: string;
  /** Ends the connections that are left and deletes the database. */
  drop(): Promise<void>;
}

export interface TestKafka extends TestServer {
  readonly brokers: readonly string[];
}

export interface SharedKafka {
  readonly brokers: readonly string[];
  /** Unique for each call: a prefix for the names of topics and groups. */
  readonly namespace: string;
}

/** Every test file of a run may hold several pools. */
const POSTGRES_CONNECTIONS_MAX = 400;
/** Processes are killed, the machine is not: what the kernel has is safe without fsync. */
const POSTGRES_SETTINGS = [
  'fsync=off',
  'full_page_writes=off',
  `max_connections=${POSTGRES_CONNECTIONS_MAX}`,
];
/** An own Redis with the settings of production; ready in about 50 ms. */
export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const run = currentTestRun();
  const directory = options.dir ?? serverDirectory(run, 'redis');
  const args = [...AOF_COPY_ARGS, ...(options.args ?? [])];
  const server = await startTestServer({
    command: (port) => redisCommand({ directory, port, args }),
    stopSignal: 'SIGTERM',
    owner: run.owner,
  });
  const redis = { url: redisUrl(server.port), dir: directory };
  // Added in place, because `pid` and `isRunning` are getters that a copy would freeze.
  return Object.assign(
    server,
    redis,
    aofHolder(directory, () => server.isRunning),
  );
}

export interface TestPostgresOptions {
  /** Makes it a standby of the primary on this port. */
  readonly primaryPort?: number;
}

/** An own PostgreSQL, for tests that stop or kill it; ready in about a second. */
export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const run = currentTestRun();
  const directory = serverDirectory(run, 'postgres');
  const server = await startTestServer({
    command: (port) =>
      postgresCommand({ directory, port, settings: POSTGRES_SETTINGS, ...options }),
    stopSignal: 'SIGINT',
    owner: run.owner,
  });
  return Object.assign(server, { url: postgresUrl(server.port) });
}

/** A fresh, empty database on the PostgreSQL that the run shares. */
export async function testDatabase(): Promise<TestDatabase> {
  const { port } = await sharedServer(currentTestRun(), 'shared-postgres', (directory, free) =>
    postgresCommand({ directory, port: free, settings: POSTGRES_SETTINGS }),
  );
  const name = `test_${randomBytes(6).toString('hex')}`;
  const administrate = (statement: string) =>
    runStatement(postgresUrl(port, 'postgres'), statement);
  await administrate(`CREATE DATABASE ${name} TEMPLATE template0`);
  return {
    url: postgresUrl(port, name),
    drop: () => administrate(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

/** An own Kafka, for tests that stop or kill it; ready in about four seconds. */
export async function startKafka(): Promise<TestKafka> {
  const run = currentTestRun();
  const directory = serverDirectory(run, 'kafka');
  const server = await startTestServer({
    command: (port) => testKafkaCommand(directory, port),
    stopSignal: 'SIGTERM',
    owner: run.owner,
  });
  return Object.assign(server, { brokers: [kafkaBroker(server.port)] });
}

/** The Kafka that the run shares. Topics are seen by all tests: put the namespace in their names. */
export async function testKafka(): Promise<SharedKafka> {
  const { port } = await sharedServer(currentTestRun(), 'shared-kafka', testKafkaCommand);
  return { brokers: [kafkaBroker(port)], namespace: `test-${randomBytes(6).toString('hex')}` };
}

async function testKafkaCommand(directory: string, port: number): Promise<ServerCommand> {
  const jarsDirectory = await fetchKafkaJars(process.env, () => undefined);
  return kafkaCommand({ directory, port, jarsDirectory });
}

async function runStatement(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
