/** `holdfast audit`: whether Redis, the log and PostgreSQL tell the same story. */
import { Command } from 'commander';
import { defaultStackDirectory } from '../../deploy/local/paths.ts';
import { stackAddresses } from '../../deploy/local/stack-status.ts';
import { requireSchema } from '../../persister/migrate.ts';
import { runAudit } from '../../reconciler/audit/audit.ts';
import type { AuditReport } from '../../reconciler/audit/report.ts';
import { renderAudit } from '../../reconciler/audit/report.ts';
import { connectKafka } from '../kafka/connect.ts';
import { LOG_TOPIC, type LogSource } from '../log/event-log.ts';
import { createKafkaSource } from '../log/kafka-source.ts';
import { createPool } from '../postgres/pool.ts';
import { connectRedis, whenReady } from '../redis/connect.ts';
import { readStores } from '../runtime/config.ts';
import { CommandError, EXIT } from './api.ts';

const HELP = `
Reads Redis, the log and PostgreSQL at one position, while the lane goes on, and compares
  I1  no-oversell   committed + live reserved + shipped never exceeds what the ledger granted
  I3  exactly-once  one id, one effect: reservations, stock operations, entries
  I4  conservation  balances = ledger = lines of reservations, and Redis = PostgreSQL = log
  I5  no-phantom    nothing in PostgreSQL or Redis that no entry of the log made
It changes nothing. Memory is bounded; a million reservations take minutes.
Without options and variables it looks at the local stack that \`holdfast dev\` uses.

Exit codes:
  0  nothing differs
  1  something differs: each difference is printed
  2  the command line is wrong, or no servers are named
  3  a store does not answer, or the database has not the schema of this release (holdfast migrate)

Examples:
  $ holdfast audit
  $ holdfast audit --json | jq '.differences[] | .where'
  $ holdfast audit --redis-url redis://10.0.0.5:6379 --database-url postgres://audit@10.0.0.6/holdfast`;

const CONNECT_TIMEOUT_MS = 3_000;

/** Where the stores are said to be. */
export interface TargetOptions {
  readonly redisUrl?: string;
  readonly databaseUrl?: string;
  readonly kafkaBrokers?: string;
  /** Of the local stack. */
  readonly dir?: string;
}

interface AuditOptions extends TargetOptions {
  readonly json?: boolean;
}

export interface AuditTargets {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  /** Empty: the log is the stream in Redis. */
  readonly kafkaBrokers: readonly string[];
  /** Else the usual one. */
  readonly logTopic?: string;
}

const LANE = 0;

export function auditCommand(): Command {
  return new Command('audit')
    .description('prove that Redis, the log and PostgreSQL agree')
    .option('--redis-url <url>', 'else REDIS_URL')
    .option('--database-url <url>', 'else DATABASE_URL')
    .option('--kafka-brokers <list>', 'host:port,... where Kafka is the log; else KAFKA_BROKERS')
    .option('--dir <directory>', "else the local stack's data in this directory")
    .option('--json', 'print the report as one JSON object')
    .addHelpText('after', HELP)
    .action(audit);
}

async function audit(options: AuditOptions): Promise<void> {
  const report = await auditTargets(findTargets(options, process.env));
  process.stdout.write(
    options.json === true ? `${JSON.stringify(report, null, 2)}\n` : renderAudit(report),
  );
  if (!report.ok) process.exitCode = EXIT.refused;
}

/** Options, then the environment, then the local stack if it runs. Throws CommandError or ConfigError. */
export function findTargets(options: TargetOptions, env: NodeJS.ProcessEnv): AuditTargets {
  const local = stackAddresses(options.dir ?? defaultStackDirectory(), env);
  const find = (option: string | undefined, variable: keyof typeof local) =>
    option ?? (env[variable] || local[variable]);
  const redisUrl = find(options.redisUrl, 'REDIS_URL');
  const databaseUrl = find(options.databaseUrl, 'DATABASE_URL');
  if (redisUrl === undefined || databaseUrl === undefined) {
    const missing =
      redisUrl === undefined ? 'REDIS_URL (--redis-url)' : 'DATABASE_URL (--database-url)';
    throw new CommandError(
      `${missing} is not set and no local stack runs: set it, or start one with holdfast stack up`,
      EXIT.usage,
    );
  }
  return readStores({
    REDIS_URL: redisUrl,
    DATABASE_URL: databaseUrl,
    KAFKA_BROKERS: find(options.kafkaBrokers, 'KAFKA_BROKERS'),
    HOLDFAST_LOG_TOPIC: env.HOLDFAST_LOG_TOPIC,
  });
}

/** Connects, audits and disconnects; throws CommandError when a store is away. */
export async function auditTargets(targets: AuditTargets): Promise<AuditReport> {
  const redis = connectRedis({
    url: targets.redisUrl,
    localAddress: process.env.HOLDFAST_REDIS_LOCAL_ADDRESS || undefined,
    name: 'holdfast-audit',
    onError: () => undefined,
  });
  const pool = createPool({
    url: targets.databaseUrl,
    applicationName: 'holdfast-audit',
    connectionsMax: 2,
    onIdleError: () => undefined,
  });
  const log = openLog(targets);
  try {
    await whenReady(redis, CONNECT_TIMEOUT_MS);
    await requireSchema(pool);
    return await runAudit({ redis, pool, lane: LANE, ...(log && { log }) });
  } catch (error) {
    // Those are ours, and a stack trace says more than an exit code.
    if (error instanceof TypeError || error instanceof RangeError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`The audit could not read its stores: ${reason}`, EXIT.unavailable);
  } finally {
    redis.disconnect();
    await Promise.all([pool.end(), log?.close()]);
  }
}

/** Kafka's log; undefined where the log is the stream in Redis. */
function openLog({ kafkaBrokers, logTopic = LOG_TOPIC }: AuditTargets): LogSource | undefined {
  if (kafkaBrokers.length === 0) return undefined;
  const kafka = connectKafka({
    brokers: kafkaBrokers,
    clientId: 'holdfast-audit',
    onLog: () => undefined,
  });
  const onProblem = (message: string) => process.stderr.write(`audit: ${message}\n`);
  return createKafkaSource({
    kafka,
    topic: logTopic,
    lane: LANE,
    name: 'holdfast-audit',
    onProblem,
  });
}
