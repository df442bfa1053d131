/** Reservations through HTTP on real stores: what the answers show, and that repeats do no harm. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CART_CELLS_MAX } from '../../domain/script-limits.ts';
import { PREFERENCES_MAX } from '../../reservations/policy.ts';
import type { TestEngine } from '../../testing/engine.ts';
import { startTestEngine } from '../../testing/engine.ts';
import type { Api, ReservationBody } from '../testing/api.ts';
import { apiOf, expectProblem, expectReservation, until } from '../testing/api.ts';

const DAY_S = 86_400;
const key = (name: string) => ({ 'idempotency-key': name });

let engine: TestEngine;
let api: Api;
let count = 0;

async function newSku(units: Readonly<Record<string, number>>): Promise<string> {
  count += 1;
  const sku = `R-${count}`;
  const at = Object.entries(units).map(([warehouse, quantity]) => [
    `${sku}@${warehouse}`,
    quantity,
  ]);
  await engine.stock(Object.fromEntries(at));
  return sku;
}

async function availableOf(sku: string): Promise<Record<string, unknown>> {
  const { body } = await api.available(sku);
  const warehouses = body.warehouses as readonly Record<string, unknown>[];
  return Object.fromEntries(
    warehouses.map((cell) => [
      cell.warehouse_id,
      [cell.available_qty, cell.reserved_qty, cell.allocated_qty],
    ]),
  );
}

const placementsOf = (body: ReservationBody) =>
  body.lines.map((line) => line.placements.map((at) => `${at.warehouse_id}:${at.quantity}`));

beforeAll(async () => {
  engine = await startTestEngine();
  api = apiOf(engine);
});

afterAll(async () => {
  await engine?.close();
});

describe('reserve', () => {
  it('answers the array form of the issue', async () => {
    const sku = await newSku({ 1: 5 });
    const before = Date.now();
    const answer = await api.reserve([{ sku_id: sku, warehouse_id: 1, quantity: 2 }]);
    const body = expectReservation(answer, 201);
    expect(body).toMatchObject({
      status: 'held',
      ttl_seconds: 600,
      durability: 'memory',
      lines: [
        {
          sku_id: sku,
          requested: 2,
          reserved: 2,
          placements: [{ warehouse_id: '1', quantity: 2 }],
        },
      ],
    });
    const inS = (Date.parse(body.expires_at ?? '') - before) / 1_000;
    expect(inS).toBeGreaterThanOrEqual(599);
    expect(inS).toBeLessThan(615);
    expect(await availableOf(sku)).toEqual({ 1: [3, 2, 0] });
  });

  it('names its deadline in wall time, also when lane time runs ahead', async () => {
    const sku = await newSku({ A: 5 });
    await engine.passSeconds(3_600);
    const answer = await api.reserve({ items: [{ sku_id: sku, quantity: 1 }], ttl_seconds: 60 });
    const body = expectReservation(answer, 201);
    expect(body.ttl_seconds).toBe(60);
    expect(Math.abs(Date.parse(body.expires_at ?? '') - Date.now() - 60_000)).toBeLessThan(10_000);
  });

  it('takes from the first warehouse of a list that has it all, and splits when none has', async () => {
    const sku = await newSku({ A: 3, B: 5, C: 2 });
    const take = async (quantity: number, more: object = {}) => {
      const item = { sku_id: sku, warehouse_id: ['C', 'A', 'B'], quantity };
      const answer = await api.reserve({ items: [item], ...more });
      const body = expectReservation(answer, 201);
      await api.release({ reservation_id: body.reservation_id });
      return placementsOf(body);
    };
    expect(await take(2)).toEqual([['C:2']]);
    expect(await take(3)).toEqual([['A:3']]);
    expect(await take(6)).toEqual([['C:2', 'A:3', 'B:1']]);
    const whole = await api.reserve({ items: [{ sku_id: sku, quantity: 6 }], split: false });
    expect(expectProblem(whole, 'insufficient').lines).toMatchObject([
      { available: 5, missing: 1 },
    ]);
  });

  it('is sold out where a known warehouse never had the SKU', async () => {
    const sku = await newSku({ A: 1 });
    await newSku({ EMPTY: 1 });
    const answer = await api.reserve([{ sku_id: sku, warehouse_id: 'EMPTY', quantity: 1 }]);
    expect(expectProblem(answer, 'insufficient').lines).toEqual([
      { line: 0, sku_id: sku, requested: 1, available: 0, missing: 1 },
    ]);
  });

  it('takes what there is, when asked to, and says what is missing', async () => {
    const some = await newSku({ A: 3 });
    const none = await newSku({ A: 0 });
    const items = [
      { sku_id: some, quantity: 5 },
      { sku_id: none, quantity: 2 },
    ];
    const answer = await api.reserve({ items, mode: 'partial' }, key(`partial-${some}`));
    expect(expectReservation(answer, 201).lines).toMatchObject([
      { line: 0, sku_id: some, requested: 5, reserved: 3, missing: 2 },
      { line: 1, sku_id: none, requested: 2, reserved: 0, missing: 2, placements: [] },
    ]);
    const again = await api.reserve({ items, mode: 'partial' }, key(`partial-${some}`));
    expect(expectReservation(again, 200).lines).toMatchObject([{ sku_id: some, reserved: 3 }]);
    expectProblem(await api.reserve({ items, mode: 'partial' }), 'insufficient');
  });

  it('merges lines of one wish', async () => {
    const sku = await newSku({ A: 5 });
    const item = { sku_id: sku, quantity: 2 };
    const body = expectReservation(await api.reserve([item, item]), 201);
    expect(body.lines).toMatchObject([{ line: 0, requested: 4, reserved: 4 }]);
  });

  it('is all or nothing over a thousand lines', async () => {
    const skus = await Promise.all(Array.from({ length: 4 }, () => newSku({ A: 1_000 })));
    const items = Array.from({ length: 1_000 }, (_, i) => ({
      sku_id: skus[i % 4],
      warehouse_id: i < 500 ? 'A' : ['A', `W${i}`],
      quantity: 1,
    }));
    const big = [...items.slice(0, 999), { sku_id: skus[0], quantity: 900 }];
    expectProblem(await api.reserve(big), 'insufficient');
    for (const sku of skus) expect(await availableOf(sku)).toEqual({ A: [1_000, 0, 0] });
    const body = expectReservation(await api.reserve(items), 201);
    // 4 lines of A alone, and one for each of the 500 lists.
    expect(body.lines).toHaveLength(504);
    for (const sku of skus) expect(await availableOf(sku)).toEqual({ A: [750, 250, 0] });
  });

  it('refuses a cart that names more warehouses than one script may look at', async () => {
    const sku = await newSku({ A: 5 });
    const items = Array.from({ length: CART_CELLS_MAX / PREFERENCES_MAX + 1 }, (_, i) => ({
      ...{ sku_id: sku, quantity: 1 },
      warehouse_id: Array.from({ length: PREFERENCES_MAX }, (_, w) => `W${i}-${w}`),
    }));
    const { errors } = expectProblem(await api.reserve(items), 'invalid_request');
    expect(errors).toMatchObject([{ pointer: `/${items.length - 1}/warehouse_id` }]);
    expect(await availableOf(sku)).toEqual({ A: [5, 0, 0] });
  });

  it('answers a repeat with the reservation as it now is', async () => {
    const sku = await newSku({ A: 5 });
    const buy = () => api.reserve([{ sku_id: sku, quantity: 2 }], key(`repeat-${sku}`));
    const { reservation_id: id } = expectReservation(await buy(), 201);
    const again = await buy();
    expect(expectReservation(again, 200)).toMatchObject({ reservation_id: id, status: 'held' });
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    await api.commit({ reservation_id: id }, { prefer: 'durability=persisted' });
    // What it had reached before, not what this repeat would have waited for.
    expect(expectReservation(await buy(), 200)).toMatchObject({
      status: 'committed',
      durability: 'persisted',
      lines: [{ allocated: 2 }],
    });
    expect(await availableOf(sku)).toEqual({ A: [3, 0, 2] });
  });

  it('may be tried again after a refusal, under the id that the refusal named', async () => {
    const sku = await newSku({ A: 1 });
    const items = [{ sku_id: sku, quantity: 2 }];
    const refused = expectProblem(await api.reserve(items), 'insufficient');
    const id = String(refused.reservation_id);
    expect(id).toMatch(/^hf_/);
    await api.receive({ sku_id: sku, warehouse_id: 'A', quantity: 1 });
    const body = expectReservation(await api.reserve({ items, reservation_id: id }), 201);
    expect(body.reservation_id).toBe(id);
    expectReservation(await api.reserve({ items, reservation_id: id }), 200);
  });

  it('says which durability it got, when one was preferred', async () => {
    const sku = await newSku({ A: 5 });
    for (const level of ['memory', 'logged', 'persisted']) {
      const answer = await api.reserve([{ sku_id: sku, quantity: 1 }], {
        prefer: `durability=${level}`,
      });
      expect(expectReservation(answer, 201).durability).toBe(level);
      expect(answer.headers.get('preference-applied')).toBe(`durability=${level}`);
    }
  });

  it('keeps order, customer and channel', async () => {
    const sku = await newSku({ A: 5 });
    const who = { order_id: '#10 "A"\\', customer_id: 17, channel: 'web' };
    const answer = await api.reserve(
      { items: [{ sku_id: sku, quantity: 1 }], ...who },
      { prefer: 'durability=persisted' },
    );
    const { reservation_id: id } = expectReservation(answer, 201);
    const { rows } = await engine.serving.engine.pool.query(
      'SELECT order_id, customer_id, channel FROM reservations WHERE reservation_id = $1',
      [id],
    );
    expect(rows).toEqual([{ ...who, customer_id: '17' }]);
  });
});

describe('settling', () => {
  async function held(
    quantity: number,
    sku?: string,
  ): Promise<{ id: string; sku: string; epoch: number }> {
    const of = sku ?? (await newSku({ A: 10 }));
    const body = expectReservation(await api.reserve([{ sku_id: of, quantity }]), 201);
    return { id: body.reservation_id, sku: of, epoch: body.epoch };
  }

  it('commits what the lines name and frees the rest, once', async () => {
    const { id, sku } = await held(5);
    const part = { reservation_id: id, lines: [{ sku_id: sku, quantity: 3 }] };
    const first = await api.commit(part);
    expect(expectReservation(first, 200)).toMatchObject({
      status: 'committed',
      durability: 'logged',
      lines: [{ requested: 5, allocated: 3 }],
    });
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    const again = await api.commit(part);
    expect(expectReservation(again, 200).lines).toMatchObject([{ allocated: 3 }]);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await availableOf(sku)).toEqual({ A: [7, 0, 3] });
  });

  it('has one winner among a commit, a release and their repeats', async () => {
    const { id, sku } = await held(1);
    const answers = await Promise.all([
      ...[1, 2, 3].map(() => api.commit({ reservation_id: id })),
      ...[1, 2, 3].map(() => api.release({ reservation_id: id })),
    ]);
    const codes = new Set(
      answers.map(({ status, body }) => (status < 300 ? body.status : body.code)),
    );
    const isCommitted = codes.has('committed');
    expect(codes).toEqual(
      new Set(isCommitted ? ['committed', 'already_committed'] : ['released', 'already_released']),
    );
    expect(await availableOf(sku)).toEqual({ A: isCommitted ? [9, 0, 1] : [10, 0, 0] });
  });

  it('ships and cancels by parts under keys, until nothing is left', async () => {
    const { id, sku } = await held(5);
    await api.commit({ reservation_id: id });
    const part = (quantity: number) => ({
      reservation_id: id,
      lines: [{ sku_id: sku, warehouse_id: 'A', quantity }],
    });
    expectReservation(await api.ship(part(2), key('s1')), 200);
    expectReservation(await api.ship(part(2), key('s1')), 200);
    expect(await availableOf(sku)).toEqual({ A: [5, 0, 3] });
    expectReservation(await api.cancel(part(1), key('c1')), 200);
    expect(await availableOf(sku)).toEqual({ A: [6, 0, 2] });
    expectProblem(await api.cancel(part(1), key('s1')), 'exists_with_different_payload');
    const last = expectReservation(await api.ship({ reservation_id: id }), 200);
    expect(last).toMatchObject({ status: 'closed', lines: [] });
    const again = await api.ship({ reservation_id: id });
    expectReservation(again, 200);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await availableOf(sku)).toEqual({ A: [6, 0, 0] });
  });

  it('takes the units of an expired hold again, when the commit says which', async () => {
    const sku = await newSku({ A: 2 });
    const items = [{ sku_id: sku, quantity: 2 }];
    const reserved = await api.reserve({ items, ttl_seconds: 1 }, key(`retake-${sku}`));
    const { reservation_id: id, epoch } = expectReservation(reserved, 201);
    await engine.passSeconds(2);
    const swept = await until(
      () => api.look(id),
      ({ body }) => body.status === 'expired',
    );
    expect(swept.body.status).toBe('expired');
    expect(await availableOf(sku)).toEqual({ A: [2, 0, 0] });
    const lines = [{ sku_id: sku, warehouse_id: 'A', quantity: 2 }];
    const commit = { reservation_id: id, lines, hold_epoch: epoch };
    // It has a time for that: a machine that is busy may need a second try.
    const taken = await until(
      () => api.commit(commit),
      ({ status }) => status !== 503,
    );
    expect(expectReservation(taken, 200).lines).toMatchObject([{ allocated: 2 }]);
    const again = await api.commit(commit);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await availableOf(sku)).toEqual({ A: [0, 0, 2] });
    const replay = await api.reserve({ items, ttl_seconds: 1 }, key(`retake-${sku}`));
    expect(expectReservation(replay, 200).status).toBe('committed');
  });

  it('wants to know which units to take again', async () => {
    const lines = [{ sku_id: 'A', quantity: 1 }];
    const without = await api.commit({ reservation_id: 'r', hold_epoch: 1 });
    expect(expectProblem(without, 'invalid_request').errors).toMatchObject([{ pointer: '/lines' }]);
    const somewhere = await api.commit({ reservation_id: 'r', hold_epoch: 1, lines });
    expect(expectProblem(somewhere, 'invalid_request').errors).toMatchObject([
      { pointer: '/lines/0/warehouse_id' },
    ]);
  });

  it('extends a hold, and never shortens it', async () => {
    const { id } = await held(1);
    const longer = expectReservation(
      await api.extend({ reservation_id: id, ttl_seconds: 1_200 }),
      200,
    );
    expect(longer.ttl_seconds).toBe(1_200);
    const same = expectReservation(await api.extend({ reservation_id: id, ttl_seconds: 5 }), 200);
    expect(same.expires_at).toBe(longer.expires_at);
  });

  describe('after the record has left Redis', () => {
    /** Client ids are looked up under today and yesterday: three days on, Redis has none of them. */
    async function leaveRedis(): Promise<void> {
      await engine.passSeconds(3 * DAY_S);
    }

    async function old(name: string, sku: string): Promise<string> {
      const items = [{ sku_id: sku, quantity: 2 }];
      const body = { items, reservation_id: `${name}-${sku}` };
      return expectReservation(await api.reserve(body), 201).reservation_id;
    }

    it('still answers right, from PostgreSQL and on', async () => {
      const sku = await newSku({ A: 10 });
      const [shipped, cancelled, released] = await Promise.all(
        ['shipped', 'cancelled', 'released'].map((name) => old(name, sku)),
      );
      const idOf = (id: string | undefined) => ({ reservation_id: id ?? '' });
      await api.commit(idOf(shipped));
      await api.commit(idOf(cancelled));
      await api.release(idOf(released));
      await leaveRedis();

      expect(expectReservation(await api.look(shipped ?? ''), 200)).toMatchObject({
        status: 'committed',
        durability: 'persisted',
        lines: [{ sku_id: sku, allocated: 2 }],
      });
      const committed = await api.commit(idOf(shipped));
      expectReservation(committed, 200);
      expect(committed.headers.get('idempotent-replayed')).toBe('true');
      expect(expectReservation(await api.ship(idOf(shipped)), 200).status).toBe('closed');
      const part = { ...idOf(cancelled), lines: [{ sku_id: sku, quantity: 1 }] };
      expectReservation(await api.cancel(part, key('old')), 200);
      expect(expectReservation(await api.look(cancelled ?? ''), 200).lines).toMatchObject([
        { allocated: 1 },
      ]);
      expect(await availableOf(sku)).toEqual({ A: [7, 0, 1] });

      expect(expectReservation(await api.look(released ?? ''), 200).status).toBe('released');
      expectProblem(await api.commit(idOf(released)), 'already_released');
      expectReservation(await api.release(idOf(released)), 200);
      expectProblem(await api.extend({ ...idOf(released), ttl_seconds: 5 }), 'already_released');

      await leaveRedis();
      expectProblem(await api.cancel(idOf(shipped)), 'already_closed');
      expectReservation(await api.ship(idOf(shipped)), 200);
      const more = { ...idOf(cancelled), lines: [{ sku_id: sku, quantity: 2 }] };
      expectProblem(await api.ship(more, key('new')), 'exceeds_reservation');
      const replay = await api.cancel(part, key('old'));
      expectReservation(replay, 200);
      expect(replay.headers.get('idempotent-replayed')).toBe('true');
    });

    it('does not sell again what was sold, whatever a late commit says', async () => {
      const sku = await newSku({ A: 4 });
      const id = await old('late', sku);
      const lines = [{ sku_id: sku, warehouse_id: 'A', quantity: 2 }];
      expectReservation(await api.commit({ reservation_id: id, lines }), 200);
      await leaveRedis();
      const late = await until(
        () => api.commit({ reservation_id: id, lines, hold_epoch: 0 }),
        ({ status }) => status !== 503,
      );
      expectReservation(late, 200);
      expect(late.headers.get('idempotent-replayed')).toBe('true');
      expect(await availableOf(sku)).toEqual({ A: [2, 0, 2] });
    });
  });
});
