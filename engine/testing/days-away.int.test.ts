/** No engine ran for days, with holds alive: what clients are told until they have expired, and after. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runAudit } from '../../reconciler/audit/audit.ts';
import { addressOf, IdMaker, packId } from '../domain/reservation-id.ts';
import { type Api, apiOf, expectProblem, expectReservation } from '../http/testing/api.ts';
import { startTestEngine, type TestEngine } from './engine.ts';
import { until } from './until.ts';

const DAY_S = 86_400;

let engine: TestEngine;
let api: Api;
beforeAll(async () => {
  // Nothing expires unless the test says so.
  engine = await startTestEngine({ settings: { HOLDFAST_SWEEP_MS: '60000' } });
  api = apiOf(engine);
});
afterAll(() => engine?.close());

it.each([
  { days: 2, ids: 'of clients', key: { 'idempotency-key': 'two days' } },
  { days: 3, ids: 'of clients', key: { 'idempotency-key': 'three days' } },
  // Looked for a day longer, because it names its day.
  { days: 3, ids: 'of the engine', key: undefined },
])(
  'a hold of $days days ago is neither settled nor replaced before it has expired: ids $ids',
  async ({
    days,

    key,
  }) => {
    const { lane, pool, redis } = engine.serving.engine;
    const sku = `X-${days}-${key === undefined ? 'made' : 'keyed'}`;
    await engine.stock({ [`${sku}@A`]: 10 });
    const body = { items: [{ sku_id: sku, quantity: 3 }], ttl_seconds: 60 };
    const { reservation_id: id } = expectReservation(await api.reserve(body, key), 201);
    await engine.passSeconds(days * DAY_S);

    const commit = { reservation_id: id };
    const retake = { ...commit, lines: [{ ...body.items[0], warehouse_id: 'A' }], hold_epoch: 1 };
    expect(expectProblem(await api.commit(commit), 'undecided').detail).toContain('days ago');
    expectProblem(await api.commit(retake), 'undecided');
    expectProblem(await api.release({ reservation_id: id }), 'undecided');
    expect(expectReservation(await api.look(id), 200).status).toBe('held');
    if (key !== undefined) {
      const again = await api.reserve(body, key);
      expect(expectProblem(again, 'undecided').detail).toContain('has not expired yet');
      expect(again.headers.get('retry-after')).toBe('1');
    }
    // Whose id no hold of before can have need not wait.
    const other = expectReservation(await api.reserve(body), 201).reservation_id;
    expectReservation(await api.release({ reservation_id: other }), 200);

    expect(await lane.expire(1_000)).toMatchObject({ outcome: 'expired', expired: 1 });
    expectProblem(await api.commit(commit), 'expired');
    expectProblem(await api.release({ reservation_id: id }), 'expired');
    const next = expectReservation(await api.reserve(body, key), 201).reservation_id;
    expect(next === id).toBe(key !== undefined);
    expectReservation(await api.commit({ reservation_id: next }), 200);
    const { warehouses } = (await api.available(sku)).body;
    expect(warehouses).toMatchObject([{ available_qty: 7, reserved_qty: 0, allocated_qty: 3 }]);
    await until('PostgreSQL and Redis agree', async () => {
      const { differences } = await runAudit({ redis, pool });
      return differences.length === 0;
    });
  },
);

it('an id that a refusal named while lane time stood still is one of tomorrow, and as good as any', async () => {
  const { lane, pool, redis } = engine.serving.engine;
  await engine.stock({ 'X-ahead@A': 10 });
  const { text } = new IdMaker(randomBytes).makeNamed(lane.nowMs() + 20 * 3_600_000, 0);
  const body = { items: [{ sku_id: 'X-ahead', quantity: 3 }], reservation_id: text };
  expect(expectReservation(await api.reserve(body), 201).reservation_id).toBe(text);
  const again = await api.reserve(body);
  expectReservation(again, 200);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expectReservation(await api.commit({ reservation_id: text }), 200);
  await engine.passSeconds(DAY_S);
  expectReservation(await api.commit({ reservation_id: text }), 200);
  await until('PostgreSQL and Redis agree', async () => {
    const { differences } = await runAudit({ redis, pool });
    return differences.length === 0;
  });
});

it('the audit misses a live hold of which the record is gone, also when its key is in use again', async () => {
  const { lane, pool, redis } = engine.serving.engine;
  await engine.stock({ 'X-lost@A': 10 });
  const body = { items: [{ sku_id: 'X-lost', quantity: 3 }], ttl_seconds: 60 };
  const key = { 'idempotency-key': 'lost' };
  const { reservation_id: id } = expectReservation(await api.reserve(body, key), 201);
  const place = addressOf(packId(id));
  const buckets = await redis.keys(`*hold:*:${place.bucket}`);
  const deleted = await Promise.all(buckets.map((bucket) => redis.hdel(bucket, packId(id))));
  expect(deleted).toContain(1);
  await engine.passSeconds(3 * DAY_S);
  expect(await lane.expire(1_000)).toMatchObject({ expired: 0 });
  expectReservation(await api.reserve(body, key), 201);
  // The log tells that its key was given twice; only a look into Redis tells that the first one is lost.
  const lost = async () =>
    (await runAudit({ redis, pool })).differences.filter(
      ({ where, explanation }) =>
        where === `reservation ${id}` && explanation === 'Redis lost the record',
    );
  // PostgreSQL may not have it all yet; the audit waits a while for that, each time.
  let found = await lost();
  for (let i = 0; i < 5 && found.length === 0; i++) found = await lost();
  expect(found).toHaveLength(1);
});
