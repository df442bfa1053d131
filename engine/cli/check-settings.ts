/** The settings of all servers, checked at the start of each role and by `holdfast check`. */
import { createPool } from '../postgres/pool.ts';
import { judgePostgres, readPostgresFacts } from '../postgres/settings-check.ts';
import { connectRedis, whenReady } from '../redis/connect.ts';
import { openRedisSource } from '../redis/open-source.ts';
import { readRedisFacts } from '../redis/settings-facts.ts';
import { judgeRedis } from '../redis/settings-rules.ts';
import type { Config } from '../runtime/config.ts';
import { parseDatabaseUrl } from '../runtime/database-urls.ts';
import { type Finding, SettingsError } from '../runtime/finding.ts';
import type { Logger } from '../runtime/log.ts';
import { describeTarget, parseRedisUrl } from '../runtime/redis-url.ts';
import { isUnreachable, reasonOf } from '../runtime/unreachable.ts';

const NAME = 'holdfast-check';
/** Who waits for a store tries again; who checks wants to know soon. */
const READY_MS_MAX = 5_000;

export const STORE_NAMES = ['redis', 'postgres', 'kafka'] as const;
export type StoreName = (typeof STORE_NAMES)[number];

/** A store that the configuration names and that does not answer: nothing of it was checked. */
export interface UnreachableStore {
  readonly store: StoreName;
  readonly where: string;
  readonly reason: string;
  readonly mend: string;
}

export interface SettingsReport {
  /** What was looked at. */
  readonly checked: readonly string[];
  readonly findings: readonly Finding[];
  readonly unreachable: readonly UnreachableStore[];
}

/** A role needs a store that does not answer. */
class StoreAway extends Error {
  override readonly name = 'StoreAway';
}

/** Looks at all stores, whichever of them answer. Throws when one answers and lets us not in. */
export async function findSettings(
  config: Config,
  stores: readonly StoreName[] = STORE_NAMES,
): Promise<SettingsReport> {
  const checks: Readonly<Record<StoreName, Check>> = {
    redis: {
      where: describeTarget(parseRedisUrl(config.redisUrl)),
      variable: 'REDIS_URL',
      look: () => checkRedis(config),
    },
    postgres: {
      where: `PostgreSQL at ${parseDatabaseUrl(config.databaseUrl)
        .hosts.map(({ name }) => name)
        .join(',')}`,
      variable: 'DATABASE_URL',
      look: () => checkPostgres(config),
    },
    kafka: {
      where: `Kafka at ${config.kafkaBrokers.join(',')}`,
      variable: 'KAFKA_BROKERS',
      look: () => checkKafka(config),
    },
  };
  const named = stores.filter((store) => store !== 'kafka' || config.kafkaBrokers.length > 0);
  const reports = await Promise.all(named.map((store) => orUnreachable(store, checks[store])));
  return {
    checked: reports.flatMap(({ checked }) => checked),
    findings: reports.flatMap(({ findings }) => findings),
    unreachable: reports.flatMap(({ unreachable }) => unreachable),
  };
}

type Looked = Omit<SettingsReport, 'unreachable'>;

interface Check {
  readonly where: string;
  readonly variable: string;
  readonly look: () => Promise<Looked>;
}

async function orUnreachable(
  store: StoreName,
  { where, variable, look }: Check,
): Promise<SettingsReport> {
  try {
    return { ...(await look()), unreachable: [] };
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    const reason = reasonOf(error).replace(`${where} `, '');
    const mend = `start it, or correct ${variable}; then holdfast check again`;
    return { checked: [], findings: [], unreachable: [{ store, where, reason, mend }] };
  }
}

/** For people, as the findings are told. */
export function renderUnreachable(unreachable: readonly UnreachableStore[]): string {
  return unreachable
    .map(
      ({ where, reason, mend }) =>
        `  unreachable: ${where}: ${reason}\n    because: nothing of it could be checked\n    mend:    ${mend}`,
    )
    .join('\n');
}

/**
 * Tells the warnings, and which stores are away. Throws SettingsError when there are errors and the
 * configuration enforces, and StoreAway (runtime/unreachable.ts) while one of `needed` is away.
 */
export async function requireSettings(
  config: Config,
  log: Logger,
  needed: readonly StoreName[] = STORE_NAMES,
): Promise<SettingsReport> {
  const report = await findSettings(config);
  const { findings, unreachable } = report;
  const missing = unreachable.filter(({ store }) => needed.includes(store));
  if (missing.length > 0) {
    throw new StoreAway(missing.map(({ where, reason }) => `${where} ${reason}`).join('; '));
  }
  const isFatal = ({ severity }: Finding): boolean =>
    severity === 'error' && config.settingsCheck === 'enforce';
  for (const { where, what, why, mend, severity } of findings) {
    log.warn({ severity, why, mend }, `${where} ${what}`);
  }
  for (const { where, reason, mend } of unreachable) log.warn({ mend }, `${where} ${reason}`);
  if (findings.some(isFatal)) throw new SettingsError(findings);
  return report;
}

async function checkRedis(config: Config): Promise<Looked> {
  const source = openRedisSource({
    url: config.redisUrl,
    localAddress: config.redisLocalAddress,
  });
  const redis = connectRedis({
    url: config.redisUrl,
    source,
    name: NAME,
    onError: () => undefined,
  });
  try {
    await whenReady(redis, READY_MS_MAX);
    const facts = await readRedisFacts(redis, source);
    const nodes = facts.replicas.length + 1;
    return {
      checked: [
        `${describeTarget(source.target)}: ${nodes} data node${nodes === 1 ? '' : 's'}, ${facts.sentinels.length} Sentinels`,
      ],
      findings: judgeRedis(facts),
    };
  } finally {
    redis.disconnect();
  }
}

async function checkPostgres(config: Config): Promise<Looked> {
  const pool = createPool({
    url: config.databaseUrl,
    applicationName: NAME,
    connectionsMax: 1,
    onIdleError: () => undefined,
  });
  try {
    const facts = await readPostgresFacts(pool);
    return { checked: [facts.where], findings: judgePostgres(facts) };
  } finally {
    await pool.end();
  }
}

async function checkKafka({ kafkaBrokers, logTopic }: Config): Promise<Looked> {
  // Its client is loaded where there is a Kafka.
  const { connectKafka } = await import('../kafka/connect.ts');
  const { judgeTopic, readTopicFacts } = await import('../kafka/settings-check.ts');
  const where = `Kafka topic ${logTopic}`;
  const kafka = connectKafka({ brokers: kafkaBrokers, clientId: NAME, onLog: () => undefined });
  const facts = await readTopicFacts(kafka, logTopic);
  return {
    checked: [facts === undefined ? `${where} (not made yet)` : where],
    findings: facts === undefined ? [] : judgeTopic(facts),
  };
}
