/**
 * The tables of guarantees.md, cell by cell: real servers, one thing down at a time, every call made,
 * and what it answers compared with what the page says. `npm test` does the deployment of one Redis
 * with the embedded log, `npm run test:long` all of them.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type Role,
  runMigrations,
  type Serving,
  startPersist,
  startRecover,
  startRelay,
  startServe,
} from '../../engine/cli/roles.ts';
import { readConfig } from '../../engine/runtime/config.ts';
import { createLogger } from '../../engine/runtime/log.ts';
import { callUrl } from '../../engine/testing/engine.ts';
import { startRedisGroup, type TestRedisGroup } from '../../engine/testing/redis-group.ts';
import {
  startKafka,
  startPostgres,
  startRedis,
  type TestKafka,
  type TestPostgres,
  type TestRedis,
} from '../../engine/testing/servers.ts';
import { untilTold } from '../../engine/testing/told.ts';
import { packageRoot } from '../local/paths.ts';
import { readGuarantees } from './testing/guarantees.ts';

const IS_LONG = process.env.HOLDFAST_TEST_LONG === '1';
const QUICK = 'One Redis, embedded log';
const TEST_MS_MAX = 180_000;
/** A fault takes its time to be noticed, and a recovery to be over. */
const SETTLE_MS_MAX = 60_000;

const PAGE = readFileSync(join(import.meta.dirname, 'guarantees.md'), 'utf8');
const TABLES = readGuarantees(PAGE);

const ROLES = ['engine', 'relay', 'persister', 'recovery'] as const;
type RoleName = (typeof ROLES)[number];

/** The processes of Holdfast over servers of their own, each of which can be taken away. */
interface Place {
  readonly redis?: TestRedis;
  readonly group?: TestRedisGroup;
  readonly kafka?: TestKafka;
  readonly postgres: TestPostgres;
  readonly env: Readonly<Record<string, string>>;
  readonly roles: Map<RoleName, Role>;
  url: string;
}

async function openPlace(deployment: string): Promise<Place> {
  const isGroup = deployment.startsWith('Redis group');
  const isKafka = deployment.endsWith('Kafka');
  const [redis, group, kafka, postgres] = await Promise.all([
    isGroup ? undefined : startRedis(),
    isGroup ? startRedisGroup() : undefined,
    isKafka ? startKafka() : undefined,
    startPostgres(),
  ]);
  await group?.settled();
  const env = {
    REDIS_URL: redis?.url ?? group?.url ?? '',
    DATABASE_URL: postgres.url,
    KAFKA_BROKERS: kafka?.brokers.join(',') ?? '',
    HOLDFAST_PORT: '0',
    HOLDFAST_LOG_LEVEL: 'silent',
    // Each cell that says unknown waits for this long; a group's say none, but a replica that is gone
    // is waited for until it is out of sync.
    HOLDFAST_DURABILITY_WAIT_MS: isGroup ? '30000' : '1000',
  };
  const place: Place = {
    ...(redis && { redis }),
    ...(group && { group }),
    ...(kafka && { kafka }),
    postgres,
    env,
    roles: new Map(),
    url: '',
  };
  await runMigrations(optionsOf(place));
  for (const role of ['persister', 'relay', 'recovery', 'engine'] as const) {
    await startRole(place, role);
  }
  return place;
}

function optionsOf({ env }: Pick<Place, 'env'>) {
  const config = readConfig(env);
  return { config, log: createLogger('guarantees', config.logLevel) };
}

async function startRole(place: Place, name: RoleName): Promise<void> {
  if (place.roles.has(name)) return;
  const starts = { relay: startRelay, persister: startPersist, recovery: startRecover };
  if (name !== 'engine') {
    place.roles.set(name, await starts[name](optionsOf(place)));
    return;
  }
  const serving: Serving = await startServe(optionsOf(place));
  place.url = serving.url;
  place.roles.set(name, serving);
}

async function stopRole(place: Place, name: RoleName): Promise<void> {
  await place.roles.get(name)?.close();
  place.roles.delete(name);
}

/** By the first column; gives how it is undone. */
async function takeDown(down: string, place: Place): Promise<() => Promise<unknown>> {
  const { redis, group, kafka, postgres } = place;
  const role = ROLES.find((name) => name === down);
  if (role !== undefined) {
    await stopRole(place, role);
    return () => startRole(place, role);
  }
  switch (down) {
    case 'nothing':
      return async () => undefined;
    case 'Redis':
      await redis?.kill('SIGKILL');
      return async () => redis?.start();
    case 'Redis, hanging':
      redis?.pause();
      return async () => redis?.resume();
    case 'recovery, and Redis was restarted':
      await stopRole(place, 'recovery');
      await redis?.restart();
      return () => startRole(place, 'recovery');
    case 'Kafka':
      await kafka?.kill('SIGKILL');
      return async () => kafka?.start();
    case 'PostgreSQL':
      await postgres.kill('SIGKILL');
      return () => postgres.start();
    case 'PostgreSQL and Redis':
      await postgres.kill('SIGKILL');
      await redis?.kill('SIGKILL');
      return async () => {
        await postgres.start();
        await redis?.start();
      };
    case 'the primary, after the failover': {
      const primary = await group?.primary();
      await primary?.kill('SIGKILL', 'data');
      return async () => {
        await primary?.restart();
        await group?.settled();
      };
    }
    case 'one replica': {
      const primary = await group?.primary();
      const replica = group?.nodes.find(({ index }) => index !== primary?.index);
      await replica?.kill('SIGKILL', 'data');
      return async () => {
        await replica?.restart();
        await group?.settled();
      };
    }
    case 'one replica, hanging': {
      const primary = await group?.primary();
      const replica = group?.nodes.find(({ index }) => index !== primary?.index);
      replica?.pause('data');
      return async () => {
        replica?.resume('data');
        await group?.settled();
      };
    }
    case 'all replicas': {
      const primary = await group?.primary();
      const replicas = group?.nodes.filter(({ index }) => index !== primary?.index) ?? [];
      await Promise.all(replicas.map((each) => each.kill('SIGKILL', 'data')));
      return async () => {
        await Promise.all(replicas.map((each) => each.restart()));
        await group?.settled();
      };
    }
    case 'a majority of the Sentinels': {
      const [one, two] = group?.nodes ?? [];
      await Promise.all([one?.kill('SIGKILL', 'sentinel'), two?.kill('SIGKILL', 'sentinel')]);
      return async () => {
        await Promise.all([one?.restart(), two?.restart()]);
        await group?.settled();
      };
    }
    default:
      throw new Error(`guarantees.md: nobody knows how to take "${down}" down`);
  }
}

/** A hold for each call that settles one, made while all is well. */
interface Prepared {
  readonly toCommit: string;
  readonly toRelease: string;
  readonly toExtend: string;
}

/** Retries what may be retried, with one key: on busy cores a level may not be confirmed in time. */
async function prepare(place: Place): Promise<Prepared> {
  const must = async (method: string, path: string, body: unknown) => {
    const key = { 'idempotency-key': randomUUID() };
    const answer = await untilTold(() => callUrl(place.url, method, `/api/v1/${path}`, body, key));
    if (answer.status >= 300) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
    return String(answer.body.reservation_id);
  };
  await until('it sells', async () => {
    const { body } = await callUrl(place.url, 'GET', '/readyz');
    return body.status === 'ready';
  });
  await must('PUT', 'warehouses/LON', { name: 'London', time_zone: 'Europe/London' });
  await must('PUT', 'products/MUG', { name: 'Mug' });
  await must('POST', 'stock/receive', { sku_id: 'MUG', warehouse_id: 'LON', quantity: 50 });
  const hold = () => must('POST', 'inventory/reserve', [{ sku_id: 'MUG', quantity: 1 }]);
  return { toCommit: await hold(), toRelease: await hold(), toExtend: await hold() };
}

async function callFor(column: string, place: Place, holds: Prepared): Promise<string> {
  const inventory = '/api/v1/inventory';
  const calls: Readonly<Record<string, readonly [string, string, unknown?]>> = {
    reserve: ['POST', `${inventory}/reserve`, [{ sku_id: 'MUG', quantity: 1 }]],
    commit: ['POST', `${inventory}/commit`, { reservation_id: holds.toCommit }],
    release: ['POST', `${inventory}/release`, { reservation_id: holds.toRelease }],
    extend: ['POST', `${inventory}/extend`, { reservation_id: holds.toExtend, ttl_seconds: 900 }],
    'look up': ['GET', `${inventory}/reservations/${holds.toExtend}`],
    'look up of nothing': ['GET', `${inventory}/reservations/nobody-made-this`],
    availability: ['GET', `${inventory}/MUG/availability`],
    stock: ['POST', '/api/v1/stock/receive', { sku_id: 'MUG', warehouse_id: 'LON', quantity: 1 }],
  };
  const [method, path, body] = calls[column] ?? [];
  if (method === undefined || path === undefined) throw new Error(`no call is named ${column}`);
  try {
    const answer = await callUrl(place.url, method, path, body);
    const { code, stale } = answer.body;
    if (typeof code === 'string') return `${answer.status} ${code}`;
    return stale === true ? `${answer.status} stale` : String(answer.status);
  } catch {
    return '-';
  }
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + SETTLE_MS_MAX;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe.each(TABLES.filter(({ deployment }) => IS_LONG || deployment === QUICK))(
  '$deployment',
  ({ deployment, rows }) => {
    let place: Place;
    let restore: () => Promise<unknown>;

    beforeAll(async () => {
      place = await openPlace(deployment);
    }, TEST_MS_MAX);
    beforeEach(() => {
      restore = async () => undefined;
    });
    afterEach(async () => {
      await restore();
    }, TEST_MS_MAX);
    afterAll(async () => {
      for (const name of [...ROLES]) await stopRole(place, name);
      const { redis, group, kafka, postgres } = place;
      await Promise.all([redis?.stop(), group?.stop(), kafka?.stop(), postgres.stop()]);
    }, TEST_MS_MAX);

    it.each(rows)(
      'down: $down',
      async ({ down, answers }) => {
        const holds = await prepare(place);
        restore = await takeDown(down, place);
        for (const [column, cell] of Object.entries(answers)) {
          let last = '';
          await until(`${column}: ${cell}`, async () => {
            last = await callFor(column, place, holds);
            return last === cell;
          }).catch((error: Error) => {
            throw new Error(`${error.message}; it answers ${last}`);
          });
        }
      },
      TEST_MS_MAX,
    );
  },
);

describe('the page', () => {
  it('has a table for each deployment', () => {
    expect(TABLES.map(({ rows }) => rows.length > 2)).toEqual([true, true, true]);
  });

  it('names tests that are there', () => {
    const named = [...PAGE.matchAll(/`((?:engine|reconciler|persister|deploy)\/[\w./-]+\.ts)`/g)];
    expect(named.length).toBeGreaterThan(5);
    for (const [, path = ''] of named)
      expect(existsSync(join(packageRoot(), path)), path).toBe(true);
  });
});
