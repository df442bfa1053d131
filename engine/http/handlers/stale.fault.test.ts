/**
 * Availability while Redis cannot be asked: closed, killed, or hanging. PostgreSQL answers, marked
 * stale; nothing is sold; and when PostgreSQL is away too, the answer is 503.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hang } from '../../postgres/testing/hang.ts';
import { laneKeys } from '../../redis/keys.ts';
import { startTestEngine, type TestAnswer, type TestEngine } from '../../testing/engine.ts';
import { startPostgres, type TestPostgres } from '../../testing/servers.ts';
import { untilTold } from '../../testing/told.ts';
import { compileBody } from '../schema.ts';
import { availabilitiesAnswer, availabilityAnswer } from '../schema-answers.ts';
import { type Api, apiOf, expectProblem, until } from '../testing/api.ts';

const TEST_MS_MAX = 120_000;

let postgres: TestPostgres;
let engine: TestEngine;
let api: Api;
let wake: () => void;

beforeEach(async () => {
  postgres = await startPostgres();
  engine = await startTestEngine({ databaseUrl: postgres.url });
  api = apiOf(engine);
  wake = () => undefined;
  await engine.stock({ 'MUG@LON': 7, 'MUG@NYC': 3, 'CUP@LON': 5 });
  const held = await api.reserve([{ sku_id: 'MUG', warehouse_id: 'LON', quantity: 2 }], {
    prefer: 'durability=persisted',
  });
  expect(held.status).toBe(201);
}, TEST_MS_MAX);
afterEach(async () => {
  wake();
  if (!postgres.isRunning) await postgres.start();
  if (engine.server.isRunning) engine.server.resume();
  await engine.close();
  await postgres.stop();
}, TEST_MS_MAX);

const many = (...skus: string[]): Promise<TestAnswer> =>
  engine.call('POST', '/api/v1/inventory/availability', { sku_ids: skus });
/** PostgreSQL may be too slow for a page on a busy machine: then the page is asked for again. */
const shown = (sku: string): Promise<TestAnswer> => untilTold(() => api.available(sku));
const shownMany = (...skus: string[]): Promise<TestAnswer> => untilTold(() => many(...skus));

/** Both forms say what the fresh answer said, with its ship dates, and that it is stale. */
async function expectStale(fresh: TestAnswer): Promise<void> {
  const one = await shown('MUG');
  expect(one.status).toBe(200);
  expect(compileBody(availabilityAnswer)(one.body as never)).toHaveProperty('body');
  const { as_of: _asOf, ...rest } = fresh.body;
  expect(one.body).toMatchObject({ ...rest, stale: true });
  expect(Number(one.headers.get('age'))).toBe(Math.floor(Number(one.body.age_ms) / 1_000));
  expect(Date.parse(String(one.body.as_of))).toBeLessThanOrEqual(Date.now());
  const both = await shownMany('MUG', 'CUP', 'NOBODY');
  expect(both.status).toBe(200);
  expect(compileBody(availabilitiesAnswer)(both.body as never)).toHaveProperty('body');
  expect(both.body).toMatchObject({
    stale: true,
    skus: [
      { ...rest, stale: true },
      { sku_id: 'CUP', total_available: 5, stale: true },
    ],
    unknown: ['NOBODY'],
  });
  expect(both.headers.get('age')).toMatch(/^\d+$/);
}

async function freshMug(): Promise<TestAnswer> {
  const fresh = await api.available('MUG');
  expect(fresh.body).toMatchObject({
    total_available: 8,
    warehouses: [
      { warehouse_id: 'LON', available_qty: 5, reserved_qty: 2 },
      { warehouse_id: 'NYC', available_qty: 3 },
    ].map((each) => expect.objectContaining({ ...each, estimated_ship_date: expect.any(String) })),
  });
  expect(fresh.body.stale).toBeUndefined();
  expect(fresh.headers.get('age')).toBeNull();
  return fresh;
}

describe('PostgreSQL answers', () => {
  it(
    'while the lane is closed',
    async () => {
      const fresh = await freshMug();
      await engine.closeLane();
      await expectStale(fresh);
      expectProblem(await api.reserve([{ sku_id: 'MUG', quantity: 1 }]), 'fenced');
      expect((await shown('NOBODY')).body).toMatchObject({
        code: 'unknown_sku',
        stale: true,
      });
      // A thousand pages at once are shown what it has, and leave it its connections.
      const pages = await Promise.all(Array.from({ length: 1_000 }, () => shown('CUP')));
      expect(new Set(pages.map(({ status }) => status))).toEqual(new Set([200]));
      expect(engine.serving.engine.pool.waitingCount).toBe(0);
    },
    TEST_MS_MAX,
  );

  it(
    'while Redis is gone, and Redis again when it is back',
    async () => {
      const fresh = await freshMug();
      await engine.server.kill('SIGKILL');
      await expectStale(fresh);
      expectProblem(await api.reserve([{ sku_id: 'MUG', quantity: 1 }]), 'store_unavailable');
      await engine.server.start();
      const back = await until(
        () => api.available('MUG'),
        ({ body }) => body.stale === undefined,
      );
      expect(back.body).toMatchObject({ total_available: 8 });
    },
    TEST_MS_MAX,
  );

  it(
    'while Redis hangs, and Redis again when it is woken',
    async () => {
      const fresh = await freshMug();
      engine.server.pause();
      await expectStale(fresh);
      engine.server.resume();
      await until(
        () => api.available('MUG'),
        ({ body }) => body.stale === undefined,
      );
    },
    TEST_MS_MAX,
  );
});

describe('PostgreSQL answers for a SKU', () => {
  it(
    'of which a cell in Redis cannot be read, and Redis for its neighbours',
    async () => {
      const fresh = await freshMug();
      await engine.redis.hset(laneKeys(0).stock('MUG'), 'LON', 'garbage');
      const { as_of: _asOf, ...rest } = fresh.body;
      expect((await shown('MUG')).body).toMatchObject({ ...rest, stale: true });
      const both = await shownMany('MUG', 'CUP');
      expect(compileBody(availabilitiesAnswer)(both.body as never)).toHaveProperty('body');
      expect(both.body).toMatchObject({
        stale: true,
        skus: [{ ...rest, stale: true }, expect.not.objectContaining({ stale: true })],
      });
    },
    TEST_MS_MAX,
  );
});

describe('503, with the reason and when to come again', () => {
  it(
    'when PostgreSQL is gone too',
    async () => {
      await engine.closeLane();
      await postgres.kill('SIGKILL');
      const { detail } = expectProblem(await api.available('MUG'), 'fenced');
      expect(detail).toContain('Nor could PostgreSQL be asked');
      expectProblem(await many('MUG'), 'fenced');
    },
    TEST_MS_MAX,
  );

  it(
    'when both hang',
    async () => {
      engine.server.pause();
      wake = hang(postgres);
      const { detail } = expectProblem(await api.available('MUG'), 'store_unavailable');
      expect(detail).toContain('PostgreSQL did not answer within 1500 ms');
      expectProblem(await many('MUG', 'CUP'), 'store_unavailable');
    },
    TEST_MS_MAX,
  );
});
