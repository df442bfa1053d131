/**
 * A cell or a record that was written over, through the whole of Holdfast: what needs it is told so
 * and no more than that, the shop goes on beside it, reconcile repairs it, and it sells again. With
 * Redis = PostgreSQL for all else, which the audit says that shares no code with either.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectRedis, whenReady } from '../../engine/redis/connect.ts';
import { readableCell } from '../../engine/redis/unreadable.ts';
import { startTestEngine, type TestAnswer, type TestEngine } from '../../engine/testing/engine.ts';
import { runAudit } from '../audit/audit.ts';
import { reconcile } from './reconcile.ts';
import { type Planter, planter } from './testing/plant.ts';

const SKUS = Array.from({ length: 8 }, (_, i) => `S${i}`);
const BATCH = 64;
const TTL_S = 3_000;
const TIMEOUT_MS = 240_000;
const READY_MS_MAX = 30_000;

let engine: TestEngine;
let plant: Planter;
beforeAll(async () => {
  engine = await startTestEngine();
  plant = planter(engine);
  await engine.stock(Object.fromEntries(SKUS.map((sku) => [`${sku}@A`, 1_000])));
});
afterAll(() => engine.close());

const post = (path: string, body: unknown): Promise<TestAnswer> =>
  engine.call('POST', `/api/v1/${path}`, body);
const buy = (sku: string, more: object = {}): Promise<TestAnswer> =>
  post('inventory/reserve', {
    items: [{ sku_id: sku, warehouse_id: 'A', quantity: 1 }],
    ttl_seconds: TTL_S,
    ...more,
  });
const commit = (id: string): Promise<TestAnswer> =>
  post('inventory/commit', { reservation_id: id });

async function hold(sku: string): Promise<string> {
  const { status, body } = await buy(sku);
  expect(status, JSON.stringify(body)).toBe(201);
  return String(body.reservation_id);
}

/** A reserve of each SKU in turn, all at once: those of `sku` are refused and no other. */
async function expectOnlyItFails(sku: string): Promise<void> {
  const wanted = Array.from({ length: BATCH }, (_, i) => SKUS[i % SKUS.length] ?? '');
  const answers = await Promise.all(wanted.map((each) => buy(each)));
  answers.forEach(({ status, body, headers }, i) => {
    const isRefused = wanted[i] === sku;
    expect(status, JSON.stringify(body)).toBe(isRefused ? 503 : 201);
    if (!isRefused) return;
    expect(body).toMatchObject({ code: 'unreadable', retryable: true });
    expect(body.detail).toContain(`holdfast reconcile --sku ${sku} --apply`);
    expect(headers.get('retry-after')).toBe('30');
  });
}

const run = (apply: boolean, skus?: readonly string[]) =>
  reconcile(
    { redis: engine.redis, pool: engine.serving.engine.pool },
    { apply, ...(skus && { skus }) },
  );

async function expectNothingDiffers(): Promise<void> {
  const redis = connectRedis({ url: engine.server.url, name: 'audit', onError: () => undefined });
  try {
    await whenReady(redis, READY_MS_MAX);
    const { pool } = engine.serving.engine;
    const audit = await runAudit({ redis, pool, limits: { catchUpMs: TIMEOUT_MS } });
    expect(audit.differences.map(({ where, explanation }) => `${where}: ${explanation}`)).toEqual(
      [],
    );
  } finally {
    redis.disconnect();
  }
}

const RANDOM = (() => {
  for (;;) {
    const bytes = randomBytes(12);
    if (readableCell(bytes) === undefined) return bytes;
  }
})();

const DAMAGES: readonly [what: string, cause: string, damage: (good: Buffer) => Buffer][] = [
  ['empty', 'missing_cell', () => Buffer.alloc(0)],
  ['too short', 'unreadable_record', (good) => good.subarray(0, -1)],
  ['too long', 'unreadable_record', (good) => Buffer.concat([good, Buffer.from([0])])],
  [
    'of another head',
    'unreadable_record',
    (good) => Buffer.concat([Buffer.from([(good[0] ?? 0) ^ 1]), good.subarray(1)]),
  ],
  [`the random bytes ${RANDOM.toString('hex')}`, 'unreadable_record', () => RANDOM],
];

describe('a cell that was written over', () => {
  it.each(DAMAGES.map((each, i) => [...each, SKUS[i] ?? ''] as const))(
    '%s: fails its own requests alone, until reconcile has repaired it',
    async (_, cause, damage, sku) => {
      const held = await hold(sku);
      const bytes = damage(await plant.cellBytes(sku));
      await plant.putCell(sku, bytes);

      await expectOnlyItFails(sku);
      expect(await plant.cellBytes(sku), 'nothing was written').toEqual(bytes);
      expect((await commit(held)).body).toMatchObject({ code: 'unreadable', reservation_id: held });
      const line = { sku_id: sku, warehouse_id: 'A', quantity: 1 };
      expect((await post('stock/receive', line)).body.code).toBe('unreadable');
      expect((await commit(await hold('S7'))).status, 'another one').toBe(200);
      const { body } = await post('inventory/availability', { sku_ids: [sku, 'S7'] });
      expect(body.skus).toMatchObject([
        { sku_id: sku, stale: true },
        expect.not.objectContaining({ stale: true }),
      ]);

      const plan = await run(false);
      expect(plan.differences.map(({ where, cause: why }) => `${where}: ${why}`)).toEqual([
        `cell ${sku} A: ${cause}`,
      ]);
      expect(await run(true, [sku])).toMatchObject({ left: 0 });
      await expectNothingDiffers();
      expect((await buy(sku)).status).toBe(201);
      expect((await commit(held)).status).toBe(200);
    },
    TIMEOUT_MS,
  );
});

describe('a record that was written over', () => {
  it(
    'fails its own reservation alone, until reconcile has repaired it',
    async () => {
      const [sku, id] = ['S6', 'client-1'];
      expect((await buy(sku, { reservation_id: id })).status).toBe(201);
      const neighbour = await hold(sku);
      await plant.putRecord(id, Buffer.from('\x01 not a record'));
      const answers = await Promise.all([
        commit(id),
        post('inventory/release', { reservation_id: id }),
        engine.call('GET', `/api/v1/inventory/reservations/${id}`),
        buy(sku, { reservation_id: id }),
        commit(neighbour),
        buy(sku),
      ]);
      expect(answers.map(({ status, body }) => [status, body.code])).toEqual([
        ...Array<unknown>(4).fill([503, 'unreadable']),
        [200, undefined],
        [201, undefined],
      ]);
      expect(answers[0]?.body.detail).toMatch(/record of client-1 .*: holdfast reconcile --apply$/);
      const { differences } = await run(true);
      expect(differences).toMatchObject([
        { where: `reservation ${id}`, cause: 'unreadable_record' },
      ]);
      await expectNothingDiffers();
      expect((await commit(id)).status).toBe(200);
    },
    TIMEOUT_MS,
  );
});

it('the metrics count what was met', async () => {
  const text = await engine.serving.engine.metrics.render();
  expect(text).toMatch(/^holdfast_lane_unreadable_total\{kind="cell"\} [1-9]/m);
  expect(text).toMatch(/^holdfast_lane_unreadable_total\{kind="record"\} [1-9]/m);
  expect(text).toMatch(/^holdfast_outcomes_total\{.*outcome="unreadable"\} [1-9]/m);
});
