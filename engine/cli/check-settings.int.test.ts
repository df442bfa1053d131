import { Redis } from 'ioredis';
import { afterEach, expect, it } from 'vitest';
import { type Config, readConfig } from '../runtime/config.ts';
import { SettingsError } from '../runtime/finding.ts';
import { createLogger } from '../runtime/log.ts';
import { isUnreachable } from '../runtime/unreachable.ts';
import { startRedis, testDatabase, testKafka } from '../testing/servers.ts';
import { findSettings, renderUnreachable, requireSettings } from './check-settings.ts';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function stores(args: readonly string[] = []): Promise<Record<string, string>> {
  const [server, database] = await Promise.all([startRedis({ args }), testDatabase()]);
  ends.push(
    () => server.stop(),
    () => database.drop(),
  );
  return { REDIS_URL: server.url, DATABASE_URL: database.url };
}
const require = (config: Config) => requireSettings(config, createLogger('test', 'silent'));

it('refuses to start, with all that is wrong at all stores, unless told to warn only', async () => {
  const env = await stores(['--maxmemory-policy', 'allkeys-lru']);
  const failure = await require(readConfig(env)).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(SettingsError);
  const { message } = failure as SettingsError;
  // The PostgreSQL of the tests runs without fsync.
  expect(message).toMatch(/error: Redis 127\.0\.0\.1:\d+: maxmemory-policy is allkeys-lru/);
  expect(message).toMatch(/error: PostgreSQL 127\.0\.0\.1:\d+\/\w+: fsync is off/);
  expect(message).toMatch(
    /mend: {4}redis-cli -h 127\.0\.0\.1 -p \d+ CONFIG SET maxmemory-policy noeviction/,
  );
  expect(message).toMatch(/HOLDFAST_SETTINGS_CHECK=warn/);
  await require(readConfig({ ...env, HOLDFAST_SETTINGS_CHECK: 'warn' }));
});

it('names what it looked at, and what does not answer, whatever else was found', async () => {
  const { brokers } = await testKafka();
  const env = await stores();
  const { checked } = await findSettings(readConfig({ ...env, KAFKA_BROKERS: brokers.join() }));
  expect(checked).toEqual([
    expect.stringMatching(/^Redis at 127\.0\.0\.1:\d+: 1 data node, 0 Sentinels$/),
    expect.stringMatching(/^PostgreSQL /),
    'Kafka topic hf.log (not made yet)',
  ]);
  const nobody = { KAFKA_BROKERS: '127.0.0.1:1', REDIS_URL: 'redis://127.0.0.1:1' };
  const away = await findSettings(readConfig({ ...env, ...nobody }));
  expect(away.checked).toEqual([expect.stringMatching(/^PostgreSQL /)]);
  expect(away.unreachable.map(({ store }) => store)).toEqual(['redis', 'kafka']);
  expect(renderUnreachable(away.unreachable)).toMatch(
    /unreachable: Kafka at 127\.0\.0\.1:1: .*ECONNREFUSED[\s\S]*mend: {4}start it, or correct KAFKA_BROKERS/,
  );
});

it('lets a role start without a store that it does not need, and not without one that it does', async () => {
  const env = await stores();
  const config = readConfig({
    ...env,
    KAFKA_BROKERS: '127.0.0.1:1',
    HOLDFAST_SETTINGS_CHECK: 'warn',
  });
  const log = createLogger('test', 'silent');
  const { unreachable } = await requireSettings(config, log, ['redis', 'postgres']);
  expect(unreachable.map(({ store }) => store)).toEqual(['kafka']);
  const failure = await requireSettings(config, log).catch((error: unknown) => error);
  expect(isUnreachable(failure), String(failure)).toBe(true);
});

it('does not take a wrong password for a store that is away', async () => {
  const env = await stores();
  const client = new Redis(env.REDIS_URL ?? '');
  await client.config('SET', 'requirepass', 'right');
  client.disconnect();
  await expect(findSettings(readConfig(env))).rejects.toThrow(/NOAUTH/);
});
