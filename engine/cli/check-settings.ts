/** The settings of all servers, checked at the start of each role and by `holdfast check`. */
import { connectKafka } from '../kafka/connect.ts';
import { judgeTopic, readTopicFacts } from '../kafka/settings-check.ts';
import { createPool } from '../postgres/pool.ts';
import { judgePostgres, readPostgresFacts } from '../postgres/settings-check.ts';
import { connectRedis, whenReady } from '../redis/connect.ts';
import { openRedisSource } from '../redis/open-source.ts';
import { readRedisFacts } from '../redis/settings-facts.ts';
import { judgeRedis } from '../redis/settings-rules.ts';
import type { Config } from '../runtime/config.ts';
import { type Finding, SettingsError } from '../runtime/finding.ts';
import type { Logger } from '../runtime/log.ts';
import { describeTarget } from '../runtime/redis-url.ts';

const NAME = 'holdfast-check';
const READY_MS_MAX = 10_000;

export interface SettingsReport {
  /** What was looked at. */
  readonly checked: readonly string[];
  readonly findings: readonly Finding[];
}

/** Throws when a store cannot be reached. */
export async function findSettings(config: Config): Promise<SettingsReport> {
  const reports = await Promise.all([
    checkRedis(config),
    checkPostgres(config),
    ...(config.kafkaBrokers.length > 0 ? [checkKafka(config)] : []),
  ]);
  return {
    checked: reports.flatMap(({ checked }) => checked),
    findings: reports.flatMap(({ findings }) => findings),
  };
}

/** Tells the warnings; throws SettingsError when there are errors and the configuration enforces. */
export async function requireSettings(config: Config, log: Logger): Promise<void> {
  const { findings } = await findSettings(config);
  const isFatal = ({ severity }: Finding): boolean =>
    severity === 'error' && config.settingsCheck === 'enforce';
  for (const { where, what, why, mend, severity } of findings) {
    log.warn({ severity, why, mend }, `${where} ${what}`);
  }
  if (findings.some(isFatal)) throw new SettingsError(findings);
}

async function checkRedis(config: Config): Promise<SettingsReport> {
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

async function checkPostgres(config: Config): Promise<SettingsReport> {
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

/** A broker that is just starting is waited for elsewhere; here it is merely not checked. */
async function checkKafka({ kafkaBrokers, logTopic }: Config): Promise<SettingsReport> {
  const where = `Kafka topic ${logTopic}`;
  const kafka = connectKafka({ brokers: kafkaBrokers, clientId: NAME, onLog: () => undefined });
  try {
    const facts = await readTopicFacts(kafka, logTopic);
    return {
      checked: [facts === undefined ? `${where} (not made yet)` : where],
      findings: facts === undefined ? [] : judgeTopic(facts),
    };
  } catch (error) {
    const finding: Finding = {
      severity: 'warning',
      where,
      what: `cannot be asked: ${error instanceof Error ? error.message : String(error)}`,
      why: 'whether it keeps what it acknowledges could not be checked',
      mend: 'holdfast check, when it runs',
    };
    return { checked: [], findings: [finding] };
  }
}
