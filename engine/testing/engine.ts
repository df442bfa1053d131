/**
 * The whole of Holdfast in this process on real servers: engine with HTTP, persister, recovery, and
 * the relay when the log is Kafka. What tests through the API work on.
 */
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { type Serving, startAll, startServe } from '../cli/roles.ts';
import type { Engine } from '../engine.ts';
import { laneKeys } from '../redis/keys.ts';
import { readConfig } from '../runtime/config.ts';
import { createLogger } from '../runtime/log.ts';
import {
  startRedis,
  type TestDatabase,
  type TestRedis,
  testDatabase,
  testKafka,
} from './servers.ts';
import { untilTold } from './told.ts';
import { until } from './until.ts';

export interface TestAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed JSON. */
  readonly body: Record<string, unknown>;
}

export interface TestEngine {
  readonly url: string;
  readonly serving: Serving;
  /** Its own Redis; throws where the test named another (`redisUrl`). */
  readonly server: TestRedis;
  readonly database: TestDatabase;
  readonly redis: Redis;
  /** The environment that a child process needs to join this deployment. */
  readonly env: Readonly<Record<string, string>>;
  call(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<TestAnswer>;
  /** Warehouse A (and those named), the SKUs, and their units: `{'SKU@A': 10}`. */
  stock(units: Readonly<Record<string, number>>): Promise<void>;
  /** Closes the lane by hand. Recovery leaves it so until what this gives is called. */
  closeLane(): Promise<() => Promise<void>>;
  /** Moves lane time forward. */
  passSeconds(seconds: number): Promise<void>;
  /** Another engine on the same stores. */
  startAnother(): Promise<Serving>;
  close(): Promise<void>;
}

export interface TestEngineOptions {
  readonly log?: 'embedded' | 'kafka';
  /** Servers of the test's own, which it may stop; it ends them itself. */
  readonly redisUrl?: string;
  readonly databaseUrl?: string;
  readonly kafkaBrokers?: readonly string[];
  /** HOLDFAST_... settings. */
  readonly settings?: Readonly<Record<string, string>>;
}

/**
 * What is told to a machine that is too slow is another test's matter, which names its own: a test of
 * what is answered waits for the answer.
 */
const PATIENCE = { HOLDFAST_QUEUE_WAIT_MS: '30000', HOLDFAST_DURABILITY_WAIT_MS: '30000' };

export async function startTestEngine(options: TestEngineOptions = {}): Promise<TestEngine> {
  const [own, database] = await Promise.all([
    options.redisUrl === undefined ? startRedis() : undefined,
    options.databaseUrl === undefined ? testDatabase() : ownDatabase(options.databaseUrl),
  ]);
  const env: Record<string, string> = {
    REDIS_URL: own?.url ?? options.redisUrl ?? '',
    DATABASE_URL: database.url,
    HOLDFAST_PORT: '0',
    // Servers of tests are not made to last: PostgreSQL without fsync, one Kafka.
    HOLDFAST_SETTINGS_CHECK: 'warn',
    HOLDFAST_LOG_LEVEL: process.env.HOLDFAST_TEST_LOG_LEVEL ?? 'silent',
    ...PATIENCE,
    ...options.settings,
  };
  if (options.kafkaBrokers !== undefined) {
    env.KAFKA_BROKERS = options.kafkaBrokers.join(',');
  } else if (options.log === 'kafka') {
    const kafka = await testKafka();
    env.KAFKA_BROKERS = kafka.brokers.join(',');
    env.HOLDFAST_LOG_TOPIC = `${kafka.namespace}.log`;
  }
  const config = readConfig(env);
  const log = createLogger('test', config.logLevel);
  const serving = await startAll({ config, log });
  const others: Serving[] = [];
  const call: TestEngine['call'] = (method, path, body, headers) =>
    callUrl(serving.url, method, path, body, headers);
  return {
    url: serving.url,
    serving,
    get server() {
      if (own === undefined) throw new Error('the test named a Redis of its own by redisUrl');
      return own;
    },
    database,
    env,
    redis: serving.engine.redis,
    call,
    stock: (units) => stock(call, units),
    closeLane: () => closeLane(serving.engine),
    async passSeconds(seconds) {
      await serving.engine.redis.hincrby(laneKeys(0).meta, 'offset', seconds * 1_000);
    },
    async startAnother() {
      const another = await startServe({ config, log });
      others.push(another);
      return another;
    },
    async close() {
      for (const another of others) await another.close();
      await serving.close();
      await own?.stop();
      await database.drop();
    },
  };
}

/** The test drops it with its server. */
function ownDatabase(url: string): TestDatabase {
  return { url, drop: async () => undefined };
}

export async function callUrl(
  url: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<TestAnswer> {
  const response = await fetch(url + path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
  };
}

async function stock(
  call: TestEngine['call'],
  units: Readonly<Record<string, number>>,
): Promise<void> {
  const lines = Object.entries(units).map(([at, quantity]) => {
    const [sku = '', warehouse = 'A'] = at.split('@');
    return { sku_id: sku, warehouse_id: warehouse, quantity };
  });
  const must = async (method: string, path: string, body: unknown): Promise<void> => {
    const key = { 'idempotency-key': randomUUID() };
    const answer = await untilTold(() => call(method, `/api/v1/${path}`, body, key));
    if (answer.status >= 300) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
  };
  for (const id of new Set(lines.map((line) => line.warehouse_id))) {
    await must('PUT', `warehouses/${id}`, { name: id, time_zone: 'UTC' });
  }
  for (const id of new Set(lines.map((line) => line.sku_id))) {
    await must('PUT', `products/${id}`, { name: id });
  }
  const received = lines.filter(({ quantity }) => quantity > 0);
  if (received.length > 0) await must('POST', 'stock/receive', { lines: received });
}

/** Recovery would open a lane that is closed and no more than that. It leaves a parked one alone. */
async function closeLane({ pool, redis }: Engine): Promise<() => Promise<void>> {
  const register = (state: string) => pool.query('UPDATE lanes SET state = $1', [state]);
  await register('parked');
  await redis.hset(laneKeys(0).meta, 'state', 'closed');
  return async () => {
    await register('recovering');
    await until('recovery has opened the lane', async () => {
      return (await redis.hget(laneKeys(0).meta, 'state')) === 'open';
    });
  };
}
