/**
 * The drill: a backup, more sales, more recoveries, then PostgreSQL is restored from the backup. With
 * the log nothing is lost; without it all three stores are back at the position of the backup.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { runAudit } from '../../reconciler/audit/audit.ts';
import { laneKeys } from '../redis/keys.ts';
import { readConfig } from '../runtime/config.ts';
import { createLogger } from '../runtime/log.ts';
import { callUrl, type TestAnswer } from '../testing/engine.ts';
import { startRedis, type TestRedis, testDatabase, testKafka } from '../testing/servers.ts';
import { currentTestRun, serverDirectory } from '../testing/test-run.ts';
import { untilTold } from '../testing/told.ts';
import { afterRestore } from './restored.ts';
import { type Serving, startAll } from './roles.ts';

const TEST_MS_MAX = 180_000;
const IS_LONG = process.env.HOLDFAST_TEST_LONG === '1';
const run = promisify(execFile);

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
}, TEST_MS_MAX);

interface Shop {
  readonly redis: TestRedis;
  readonly env: Record<string, string>;
  open(): Promise<void>;
  shut(): Promise<void>;
  call(method: string, path: string, body?: unknown): Promise<TestAnswer>;
  /** Buys so many units, one by one, committed. */
  buy(units: number): Promise<void>;
  available(): Promise<number>;
  backUp(): Promise<string>;
  restore(backup: string): Promise<void>;
  restored(isLogDiscarded?: boolean): Promise<unknown>;
  audit(): Promise<readonly unknown[]>;
}

async function openShop(log: 'embedded' | 'kafka'): Promise<Shop> {
  const [redis, database] = await Promise.all([startRedis(), testDatabase()]);
  ends.push(
    () => redis.stop(),
    () => database.drop(),
  );
  const env: Record<string, string> = {
    REDIS_URL: redis.url,
    DATABASE_URL: database.url,
    HOLDFAST_PORT: '0',
    HOLDFAST_LOG_LEVEL: 'silent',
  };
  if (log === 'kafka') {
    const kafka = await testKafka();
    env.KAFKA_BROKERS = kafka.brokers.join(',');
    env.HOLDFAST_LOG_TOPIC = `${kafka.namespace}.log`;
  }
  let serving: Serving | undefined;
  const options = () => {
    const config = readConfig(env);
    return { config, log: createLogger('test', config.logLevel) };
  };
  const running = (): Serving => {
    if (serving === undefined) throw new Error('the shop is shut');
    return serving;
  };
  const shop: Shop = {
    redis,
    env,
    async open() {
      serving = await startAll(options());
    },
    async shut() {
      await serving?.close();
      serving = undefined;
    },
    call(method, path, body) {
      const key = { 'idempotency-key': randomUUID() };
      return untilTold(() => callUrl(running().url, method, `/api/v1/${path}`, body, key));
    },
    async buy(units) {
      for (let i = 0; i < units; i++) {
        const held = await shop.call('POST', 'inventory/reserve', [{ sku_id: 'MUG', quantity: 1 }]);
        const { reservation_id: id } = held.body;
        const bought = await shop.call('POST', 'inventory/commit', { reservation_id: id });
        expect(bought.status).toBe(200);
      }
    },
    async available() {
      const { body } = await shop.call('GET', 'inventory/MUG/availability');
      return Number(body.total_available);
    },
    async backUp() {
      const file = join(serverDirectory(currentTestRun(), 'backup'), 'holdfast.dump');
      await run('pg_dump', ['-Fc', '-f', file, database.url]);
      return file;
    },
    async restore(backup) {
      // pg_restore's own --clean stumbles over the partitions of stock_movements.
      const empty = 'DROP SCHEMA public CASCADE; CREATE SCHEMA public';
      await run('psql', ['-v', 'ON_ERROR_STOP=1', '-qc', empty, database.url]);
      await run('pg_restore', ['--single-transaction', '-d', database.url, backup]);
    },
    restored: (isLogDiscarded = false) => afterRestore({ ...options(), isLogDiscarded }),
    async audit() {
      const { engine } = running();
      return (await runAudit({ redis: engine.redis, pool: engine.pool })).differences;
    },
  };
  ends.push(() => shop.shut());
  await shop.open();
  await shop.call('PUT', 'warehouses/LON', { name: 'London', time_zone: 'Europe/London' });
  await shop.call('PUT', 'products/MUG', { name: 'Mug' });
  await shop.call('POST', 'stock/receive', {
    sku_id: 'MUG',
    warehouse_id: 'LON',
    quantity: 100,
  });
  return shop;
}

/** Sold 3 before the backup and 4 after it, with recoveries in between; then the restored dump. */
async function restoreOlder(shop: Shop): Promise<void> {
  await shop.buy(3);
  const backup = await shop.backUp();
  for (let i = 0; i < 2; i++) {
    await shop.buy(2);
    await shop.shut();
    // A Redis with another replication id: the next start recovers, under the next term.
    await shop.redis.restart();
    await shop.open();
  }
  expect(await shop.available()).toBe(93);
  await shop.shut();
  await shop.restore(backup);
}

describe.each(IS_LONG ? (['kafka', 'embedded'] as const) : (['embedded'] as const))(
  '%s log',
  (log) => {
    it(
      'what was sold after the backup is there',
      async () => {
        const shop = await openShop(log);
        await restoreOlder(shop);
        await shop.restored();
        await shop.open();
        expect(await shop.available()).toBe(93);
        await shop.buy(1);
        expect(await shop.audit()).toEqual([]);
      },
      TEST_MS_MAX,
    );

    it(
      'given up: all three are at the position of the backup, and it sells on',
      async () => {
        const shop = await openShop(log);
        await restoreOlder(shop);
        await expect(shop.restored(true)).rejects.toThrow('Redis still holds the lane');
        const redis = new Redis(shop.redis.url);
        await redis.flushdb();
        expect(await redis.exists(laneKeys(0).meta)).toBe(0);
        redis.disconnect();
        if (log === 'kafka') {
          await expect(shop.restored(true)).rejects.toThrow(
            'name a new topic in HOLDFAST_LOG_TOPIC',
          );
          shop.env.HOLDFAST_LOG_TOPIC = `${shop.env.HOLDFAST_LOG_TOPIC}.2`;
          await expect(shop.restored()).rejects.toThrow('it is another log, or a new one');
        }
        await shop.restored(true);
        await shop.open();
        expect(await shop.available()).toBe(97);
        await shop.buy(1);
        expect(await shop.audit()).toEqual([]);
      },
      TEST_MS_MAX,
    );
  },
);

it(
  'Redis and PostgreSQL are both lost: the backup and the log bring everything back',
  async () => {
    const shop = await openShop('kafka');
    await restoreOlder(shop);
    const redis = new Redis(shop.redis.url);
    await redis.flushall();
    redis.disconnect();
    await shop.restored();
    await shop.open();
    expect(await shop.available()).toBe(93);
    await shop.buy(1);
    expect(await shop.audit()).toEqual([]);
  },
  TEST_MS_MAX,
);
