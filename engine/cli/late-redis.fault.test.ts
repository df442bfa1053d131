/** An engine and the workers that start while Redis, or Kafka, is away: real servers. */
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { readConfig } from '../runtime/config.ts';
import { createLogger } from '../runtime/log.ts';
import { isRefused, WaitEnded } from '../runtime/unreachable.ts';
import { callUrl } from '../testing/engine.ts';
import { startRedis, type TestRedis, testDatabase } from '../testing/servers.ts';
import { untilTold } from '../testing/told.ts';
import {
  type Role,
  type RoleOptions,
  runMigrations,
  startPersist,
  startRecover,
  startServe,
} from './roles.ts';

const WAIT_MS_MAX = 60_000;
const CART = [{ sku_id: 'MUG', warehouse_id: 'LON', quantity: 1 }];
const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Place {
  readonly redis: TestRedis;
  readonly options: (settings?: Record<string, string>) => RoleOptions;
}

async function place(): Promise<Place> {
  const [redis, database] = await Promise.all([startRedis(), testDatabase()]);
  ends.push(
    () => redis.stop(),
    () => database.drop(),
  );
  const env = {
    REDIS_URL: redis.url,
    DATABASE_URL: database.url,
    HOLDFAST_PORT: '0',
    HOLDFAST_LOG_LEVEL: 'silent',
  };
  const options = (settings: Record<string, string> = {}) => ({
    config: readConfig({ ...env, ...settings }),
    log: createLogger('test', 'silent'),
  });
  await runMigrations(options());
  return { redis, options };
}

async function onRedis(url: string, act: (client: Redis) => Promise<unknown>): Promise<void> {
  const client = new Redis(url);
  await act(client).finally(() => client.disconnect());
}

function kept<T extends Role>(role: T): T {
  ends.push(() => role.close());
  return role;
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const never = async (): Promise<void> => undefined;

describe('an engine that starts while Redis is away', () => {
  it('answers, shows stock from PostgreSQL, and sells when Redis comes', async () => {
    const { redis, options } = await place();
    const roles = [await startPersist(options()), await startRecover(options())];
    const first = await startServe(options());
    const call = (url: string, method: string, path: string, body?: unknown) =>
      callUrl(url, method, path, body);
    await until('it sells', async () => {
      const ready = await call(first.url, 'GET', '/readyz');
      return ready.body.status === 'ready';
    });
    const path = '/api/v1';
    const london = { name: 'London', time_zone: 'UTC' };
    await untilTold(() => call(first.url, 'PUT', `${path}/warehouses/LON`, london));
    await untilTold(() => call(first.url, 'PUT', `${path}/products/MUG`, { name: 'Mug' }));
    const receipt = { sku_id: 'MUG', warehouse_id: 'LON', quantity: 5 };
    const key = { 'idempotency-key': 'first' };
    const received = await untilTold(() =>
      callUrl(first.url, 'POST', `${path}/stock/receive`, receipt, key),
    );
    expect(received.status).toBe(200);
    await first.close();
    await redis.kill('SIGKILL');
    for (const role of roles) kept(role);

    const asked: string[] = [];
    const requireRedis = async () => void asked.push('settings');
    const serving = kept(await startServe({ ...options(), requireRedis }));
    const { url, engine } = serving;
    const ready = await call(url, 'GET', '/readyz');
    expect([ready.status, ready.body.status]).toEqual([200, 'degraded']);
    expect(ready.body.checks).toMatchObject({ postgres: 'ok' });
    const shown = await untilTold(() => call(url, 'GET', `${path}/inventory/MUG/availability`));
    expect(shown).toMatchObject({ status: 200, body: { stale: true, total_available: 5 } });
    const refused = await call(url, 'POST', `${path}/inventory/reserve`, CART);
    expect(refused).toMatchObject({ status: 503, body: { code: 'store_unavailable' } });
    expect([engine.support, asked]).toEqual([undefined, []]);

    await redis.start();
    await engine.whole;
    expect(asked).toEqual(['settings']);
    expect(engine.support).toMatchObject({ replicas: 0 });
    // What was taken for possible while nobody knew is not any more.
    expect(engine.policy.levels.reserve).toBe('memory');
    expect(engine.policy.lacks).toHaveProperty('replicated');
    await until('it sells again', async () => {
      const { status } = await call(url, 'POST', `${path}/inventory/reserve`, CART);
      return status === 201;
    });
  }, 180_000);

  it('ends with the reason when what Redis then says cannot be worked with', async () => {
    const { redis, options } = await place();
    await redis.kill('SIGKILL');
    const settings = { HOLDFAST_RESERVE_DURABILITY: 'replicated' };
    const serving = kept(await startServe({ ...options(settings), requireRedis: never }));
    const whole = expect(serving.engine.whole).rejects.toThrow(/replicated needs replicas/);
    await redis.start();
    await whole;
    const refused = await callUrl(serving.url, 'POST', '/api/v1/inventory/reserve', CART);
    expect(refused).toMatchObject({ status: 503 });
  }, 120_000);

  it('can be closed while it still waits', async () => {
    const { redis, options } = await place();
    await redis.kill('SIGKILL');
    const serving = await startServe({ ...options(), requireRedis: never });
    await serving.close();
    await serving.engine.whole;
    expect(serving.engine.support).toBeUndefined();
  }, 120_000);
});

describe('a worker that starts while a store is away', () => {
  it('waits for it, and is at work when it comes', async () => {
    const { redis, options } = await place();
    await redis.kill('SIGKILL');
    const starting = startRecover(options());
    await redis.start();
    const [recovery] = await Promise.all([starting, startPersist(options()).then(kept)]);
    kept(recovery);
    const serving = kept(await startServe(options()));
    await until('the lane is open', async () => {
      const { body } = await callUrl(serving.url, 'GET', '/readyz');
      return body.status === 'ready';
    });
  }, 120_000);

  it('ends its wait with the signal', async () => {
    const { redis, options } = await place();
    await redis.kill('SIGKILL');
    const stopping = new AbortController();
    const starting = startPersist({ ...options(), signal: stopping.signal });
    const ended = expect(starting).rejects.toThrow(WaitEnded);
    stopping.abort();
    await ended;
  }, 120_000);

  it('does not wait out a wrong password', async () => {
    const { redis, options } = await place();
    await onRedis(redis.url, (client) => client.config('SET', 'requirepass', 'right'));
    const failure = await startPersist(options()).catch((error: unknown) => error);
    expect(isRefused(failure), String(failure)).toBe(true);
  }, 120_000);
});
