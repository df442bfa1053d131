/**
 * All that a deployment may set, read once from the environment, checked as a whole (every problem
 * is reported at once), and frozen. `.env.example` of a deployment is the table below.
 */
import { availableParallelism } from 'node:os';
import * as z from 'zod';
import type { ClassLevels, DurabilityLevel } from '../domain/durability.ts';
import { DURABILITY_LEVELS } from '../domain/durability.ts';
import { SCRIPT_WORK_MAX } from '../domain/script-limits.ts';
import { parseDatabaseUrl } from './database-urls.ts';
import { readDurabilityClasses } from './durability-classes.ts';
import { parseRedisUrl } from './redis-url.ts';

const level = z.enum(DURABILITY_LEVELS);
/** More share a Redis than it has work for: one lane's scripts run one after another. */
const WORKERS_MAX = 64;
const count = (least: number, most: number, usual: number) =>
  z.coerce.number().int().min(least).max(most).default(usual);

const SETTINGS = z.object({
  REDIS_URL: z.string({ error: 'is needed' }).superRefine((url, context) => {
    try {
      parseRedisUrl(url);
    } catch (error) {
      context.addIssue(error instanceof Error ? error.message : String(error));
    }
  }),
  /** Local address of outgoing Redis connections, for hosts that have several. */
  HOLDFAST_REDIS_LOCAL_ADDRESS: z.union([z.ipv4(), z.ipv6()]).optional(),
  /** Replicas that the primary has by plan; where it is not set, Sentinel or the primary is asked. */
  HOLDFAST_REDIS_REPLICAS: z.coerce.number().int().min(0).max(16).optional(),
  /** `warn`: start all the same when a server's settings break a promise, and say which. */
  HOLDFAST_SETTINGS_CHECK: z.enum(['enforce', 'warn']).default('enforce'),
  /** Several hosts, comma separated: whichever is the primary. */
  DATABASE_URL: z.string({ error: 'is needed' }).superRefine(checkDatabaseUrl),
  /** Empty: the log is embedded in Redis. Else host:port, comma separated. */
  KAFKA_BROKERS: z
    .string()
    .regex(/^([^\s,:]+:\d+(,[^\s,:]+:\d+)*)?$/, 'wants host:port, comma separated')
    .default(''),
  HOLDFAST_LOG_TOPIC: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,200}$/)
    .default('hf.log'),
  HOLDFAST_HOST: z.string().min(1).default('127.0.0.1'),
  HOLDFAST_PORT: count(0, 65_535, 7070),
  /** Processes of `holdfast serve` that share the port; auto: as many as there are cores for them. */
  HOLDFAST_WORKERS: z
    .string()
    .regex(/^(auto|[1-9]|[1-5]\d|6[0-4])$/, 'wants auto, or a number from 1 to 64')
    .default('1'),
  /** Where relay, persister and recovery answer GET /metrics; nowhere unless it is set. */
  HOLDFAST_METRICS_PORT: z.coerce.number().int().min(0).max(65_535).optional(),
  HOLDFAST_HTTP: z.enum(['uws', 'node']).optional(),
  HOLDFAST_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  /** Seconds. */
  HOLDFAST_TTL_DEFAULT: count(1, 86_400, 600),
  HOLDFAST_TTL_MAX: count(1, 86_400, 3_600),
  /** Seconds after which no extension moves a deadline further. */
  HOLDFAST_HOLD_AGE_MAX: count(1, 86_400, 7_200),
  /** Of reserve and extend. Not set: replicated where there are replicas, else memory. */
  HOLDFAST_RESERVE_DURABILITY: level.optional(),
  /** Of commit, cancel and ship. */
  HOLDFAST_COMMIT_DURABILITY: level.default('logged'),
  HOLDFAST_STOCK_DURABILITY: level.default('persisted'),
  /** Levels of classes of products, as {"hot": {"reserve": "memory"}, "jewel": {"commit": "fsync"}}. */
  HOLDFAST_DURABILITY_CLASSES: z.string().default('{}').transform(readDurabilityClasses),
  /** How long an answer waits for its durability level before it says that it is unknown. */
  HOLDFAST_DURABILITY_WAIT_MS: count(10, 60_000, 5_000),
  HOLDFAST_BATCH_OPERATIONS: count(1, 2_000, 512),
  /** Units of a script's work (lua/README.md): 512 take Redis some 4 ms. */
  HOLDFAST_BATCH_LINES: count(1, SCRIPT_WORK_MAX, SCRIPT_WORK_MAX),
  /** Admission: who would wait longer, to be read and for the lane, is refused. What ends a hold: 10x. */
  HOLDFAST_QUEUE_WAIT_MS: count(1, 60_000, 50),
  /** Under way over HTTP at a time; beyond it the API answers 503 before it reads the request. */
  HOLDFAST_REQUESTS_MAX: count(1, 1_000_000, 20_000),
  /** The log: Redis's memory for what PostgreSQL does not have yet; then nothing new is sold. */
  HOLDFAST_LOG_BYTES_MAX: count(4_096, 2 ** 40, 536_870_912),
  /** The log: seconds for which an entry may wait for PostgreSQL; then nothing new is sold. */
  HOLDFAST_LOG_AGE_MAX: count(1, 604_800, 14_400),
  /** How long an engine believes Redis that something is sold out; 0: it asks each time. */
  HOLDFAST_SOLD_OUT_MS: count(0, 200, 200),
  /** Of a unit cost that comes without its currency, ISO 4217. */
  HOLDFAST_CURRENCY: z
    .string()
    .regex(/^[A-Z]{3}$/)
    .default('EUR'),
  HOLDFAST_SWEEP_MS: count(10, 60_000, 100),
});

const LOG_BOUND = SETTINGS.pick({ HOLDFAST_LOG_BYTES_MAX: true, HOLDFAST_LOG_AGE_MAX: true });

const STORES = SETTINGS.pick({
  REDIS_URL: true,
  DATABASE_URL: true,
  KAFKA_BROKERS: true,
  HOLDFAST_LOG_TOPIC: true,
});

function checkDatabaseUrl(url: string, context: z.RefinementCtx): void {
  try {
    parseDatabaseUrl(url);
  } catch (error) {
    context.addIssue(error instanceof Error ? error.message : String(error));
  }
}

export type Config = Readonly<{
  redisUrl: string;
  redisLocalAddress: string | undefined;
  redisReplicas: number | undefined;
  settingsCheck: 'enforce' | 'warn';
  databaseUrl: string;
  kafkaBrokers: readonly string[];
  logTopic: string;
  host: string;
  port: number;
  workers: number;
  metricsPort: number | undefined;
  transport: 'uws' | 'node' | undefined;
  logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  ttlDefaultS: number;
  ttlMaxS: number;
  holdAgeMaxS: number;
  /** Undefined: by what the deployment has. */
  reserveDurability: DurabilityLevel | undefined;
  commitDurability: DurabilityLevel;
  stockDurability: DurabilityLevel;
  durabilityClasses: ReadonlyMap<string, ClassLevels>;
  durabilityWaitMs: number;
  batchOperationsMax: number;
  batchLinesMax: number;
  queueWaitMsMax: number;
  requestsMax: number;
  /** What may wait for PostgreSQL (engine/log/backlog.ts). */
  logBytesMax: number;
  logAgeMsMax: number;
  soldOutMs: number;
  currency: string;
  sweepMs: number;
}>;

/** The environment cannot be run with; the message lists every problem. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the stores are: all that a command needs which only looks at them. */
export type Stores = Pick<Config, 'redisUrl' | 'databaseUrl' | 'kafkaBrokers' | 'logTopic'>;

/** Throws ConfigError; what else the environment says is not looked at. */
export function readStores(env: Environment): Stores {
  return storesOf(parse(STORES, env));
}

/** What the log may hold back: for a command that shows how full it is. Throws ConfigError. */
export function readLogBound(env: Environment): Pick<Config, 'logBytesMax' | 'logAgeMsMax'> {
  return boundOf(parse(LOG_BOUND, env));
}

/** Throws ConfigError. */
export function readConfig(env: Environment): Config {
  const s = parse(SETTINGS, env);
  return Object.freeze({
    ...storesOf(s),
    redisLocalAddress: s.HOLDFAST_REDIS_LOCAL_ADDRESS,
    redisReplicas: s.HOLDFAST_REDIS_REPLICAS,
    settingsCheck: s.HOLDFAST_SETTINGS_CHECK,
    host: s.HOLDFAST_HOST,
    port: s.HOLDFAST_PORT,
    workers: workersOf(s.HOLDFAST_WORKERS),
    metricsPort: s.HOLDFAST_METRICS_PORT,
    transport: s.HOLDFAST_HTTP,
    logLevel: s.HOLDFAST_LOG_LEVEL,
    ttlDefaultS: s.HOLDFAST_TTL_DEFAULT,
    ttlMaxS: s.HOLDFAST_TTL_MAX,
    holdAgeMaxS: s.HOLDFAST_HOLD_AGE_MAX,
    reserveDurability: s.HOLDFAST_RESERVE_DURABILITY,
    commitDurability: s.HOLDFAST_COMMIT_DURABILITY,
    stockDurability: s.HOLDFAST_STOCK_DURABILITY,
    durabilityClasses: s.HOLDFAST_DURABILITY_CLASSES,
    durabilityWaitMs: s.HOLDFAST_DURABILITY_WAIT_MS,
    batchOperationsMax: s.HOLDFAST_BATCH_OPERATIONS,
    batchLinesMax: s.HOLDFAST_BATCH_LINES,
    queueWaitMsMax: s.HOLDFAST_QUEUE_WAIT_MS,
    requestsMax: s.HOLDFAST_REQUESTS_MAX,
    ...boundOf(s),
    soldOutMs: s.HOLDFAST_SOLD_OUT_MS,
    currency: s.HOLDFAST_CURRENCY,
    sweepMs: s.HOLDFAST_SWEEP_MS,
  });
}

function workersOf(setting: string): number {
  return setting === 'auto' ? Math.min(availableParallelism(), WORKERS_MAX) : Number(setting);
}

function boundOf(s: z.infer<typeof LOG_BOUND>): Pick<Config, 'logBytesMax' | 'logAgeMsMax'> {
  return { logBytesMax: s.HOLDFAST_LOG_BYTES_MAX, logAgeMsMax: s.HOLDFAST_LOG_AGE_MAX * 1_000 };
}

function storesOf(s: z.infer<typeof STORES>): Stores {
  return {
    redisUrl: s.REDIS_URL,
    databaseUrl: s.DATABASE_URL,
    kafkaBrokers: Object.freeze(s.KAFKA_BROKERS === '' ? [] : s.KAFKA_BROKERS.split(',')),
    logTopic: s.HOLDFAST_LOG_TOPIC,
  };
}

function parse<T>(schema: z.ZodType<T>, env: Environment): T {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const isMissing = ({ path }: z.core.$ZodIssue) => given[String(path[0])] === undefined;
  const problems = issues.map(
    (issue) => `  ${issue.path.join('.')}: ${issue.message} (it is ${show(given, issue.path[0])})`,
  );
  const verdict = issues.every(isMissing) ? 'complete' : 'valid';
  // Only what names a store has no default, so only that can be missing.
  const advice = issues.some(isMissing)
    ? '\nStart the local stack and take its variables: eval "$(npx holdfast stack env)"'
    : '';
  throw new ConfigError(`The environment is not ${verdict}:\n${problems.join('\n')}${advice}`);
}

function show(env: Environment, name: PropertyKey | undefined): string {
  const value = env[String(name)];
  if (value === undefined) return 'not set';
  // A connection string may hold a password.
  return value.includes('@') || value.includes('password=')
    ? `${/^[a-z+]+:\/\//.exec(value)?.[0] ?? ''}...`
    : JSON.stringify(value);
}
