/**
 * Every outcome of the table, through HTTP, on real stores, in order of precedence: where two could
 * be answered, the row shows that the one which stands first is.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OutcomeName } from '../domain/outcome.ts';
import { OUTCOMES } from '../domain/outcome.ts';
import { CART_CELLS_MAX } from '../domain/script-limits.ts';
import { whilePositionsAreKept } from '../postgres/testing/kept-row.ts';
import { laneKeys } from '../redis/keys.ts';
import type { TestAnswer, TestEngine } from '../testing/engine.ts';
import { startTestEngine } from '../testing/engine.ts';
import { apart } from './testing/apart.ts';
import type { Api } from './testing/api.ts';
import { apiOf, expectProblem, expectReservation, until } from './testing/api.ts';
import { type Shelf, shelfOf } from './testing/shelf.ts';

const MEMORY = { prefer: 'durability=memory' };
const key = (name: string) => ({ 'idempotency-key': name });
const isTold = ({ status }: TestAnswer): boolean => status !== 503;
const seen = new Set<OutcomeName>();

/** What the table says of the outcome, in the answer. */
function expectOutcome(answer: TestAnswer, outcome: OutcomeName): TestAnswer['body'] {
  seen.add(outcome);
  if (OUTCOMES[outcome].status >= 300) return expectProblem(answer, outcome);
  expect({ status: answer.status, body: answer.body }).toMatchObject({
    status: OUTCOMES[outcome].status,
  });
  return answer.body;
}

let engine: TestEngine;
let api: Api;
let newSku: Shelf['newSku'];
let hold: Shelf['hold'];
let committed: Shelf['committed'];
let expiredHold: Shelf['expiredHold'];
let takeAgain: Shelf['takeAgain'];

beforeAll(async () => {
  engine = await startTestEngine({ settings: { HOLDFAST_HOLD_AGE_MAX: '900' } });
  api = apiOf(engine);
  ({ newSku, hold, committed, expiredHold, takeAgain } = shelfOf(engine, api));
});

afterAll(async () => {
  await engine?.close();
});

describe('a request that cannot be right', () => {
  it('invalid_request: before anything is looked at, also under a used id', async () => {
    const sku = await newSku();
    await hold(sku, 1, { reservation_id: 'used' });
    const answer = await api.reserve({
      items: [{ sku_id: sku, quantity: 0 }],
      reservation_id: 'used',
    });
    expect(expectOutcome(answer, 'invalid_request').errors).toEqual([
      {
        pointer: '/items/0/quantity',
        message: 'must be an integer from 1 to 1000000000, not 0',
      },
    ]);
    expectOutcome(
      await api.reserve([{ sku_id: sku, quantity: 1 }], { prefer: 'durability=disk' }),
      'invalid_request',
    );
    expectOutcome(await api.look('op_0123456789abcdef0123456789abcdef'), 'invalid_request');
  });

  it('durability_unavailable: one Redis has no replicas, and does not tell of its disk', async () => {
    const items = [{ sku_id: await newSku(), quantity: 1 }];
    const replicated = await api.reserve(items, { prefer: 'durability=replicated' });
    expect(expectOutcome(replicated, 'durability_unavailable').detail).toMatch(/_REPLICAS/);
    const fsync = await api.look('nobody', { prefer: 'durability=fsync' });
    expect(expectOutcome(fsync, 'durability_unavailable').detail).toMatch(/appendfsync always/);
  });

  it('idempotency_key_required: before the reservation is looked at', async () => {
    const lines = [{ sku_id: 'X', quantity: 1 }];
    for (const verb of ['release', 'cancel', 'ship'] as const) {
      const answer = await api[verb]({ reservation_id: 'nobody', lines });
      expectOutcome(answer, 'idempotency_key_required');
    }
  });

  it('ids_disagree: before the age of the id', async () => {
    const body = { items: [{ sku_id: 'X', quantity: 1 }], reservation_id: `hf_${'0'.repeat(32)}` };
    expectOutcome(await api.reserve(body, key('k')), 'ids_disagree');
  });

  it('id_expired: before the SKU is looked at', async () => {
    const body = { items: [{ sku_id: 'X', quantity: 1 }], reservation_id: `hf_${'0'.repeat(32)}` };
    expectOutcome(await api.reserve(body), 'id_expired');
  });

  it('exists_with_different_payload: before unknown_sku', async () => {
    const sku = await newSku();
    const { reservation_id: id } = expectReservation(
      await api.reserve([{ sku_id: sku, quantity: 1 }], key('payload')),
      201,
    );
    const other = await api.reserve([{ sku_id: 'NOBODY', quantity: 1 }], key('payload'));
    expect(expectOutcome(other, 'exists_with_different_payload').reservation_id).toBe(id);
  });

  it('exists_with_different_payload: a key of a part, used again for another', async () => {
    const sku = await newSku();
    const id = await hold(sku, 5);
    const part = (quantity: number) => ({ reservation_id: id, lines: [{ sku_id: sku, quantity }] });
    expectOutcome(await api.release(part(1), key('part')), 'released');
    const replay = await api.release(part(1), key('part'));
    expectOutcome(replay, 'released');
    expect(replay.headers.get('idempotent-replayed')).toBe('true');
    expectOutcome(await api.release(part(2), key('part')), 'exists_with_different_payload');
  });

  it('limit_exceeded: before anything is looked at; it stores nothing', async () => {
    const [wide, wider] = [await newSku(), await newSku()];
    const cell = (await engine.redis.hgetBuffer(laneKeys(0).stock(wide), 'A')) ?? '';
    const fields = Array.from({ length: CART_CELLS_MAX / 2 }, (_, i) => `C${i}`);
    const cells = fields.flatMap((field) => [field, cell]);
    for (const sku of [wide, wider]) await engine.redis.hset(laneKeys(0).stock(sku), ...cells);
    const items = [wide, wider, 'NOBODY'].map((sku_id) => ({ sku_id, quantity: 1 }));
    const refused = await api.reserve({ items, reservation_id: 'too-wide' });
    expect(expectOutcome(refused, 'limit_exceeded')).toMatchObject({ reservation_id: 'too-wide' });
    for (const sku of [wide, wider]) await engine.redis.hdel(laneKeys(0).stock(sku), ...fields);
    const known = { items: items.slice(0, 2), reservation_id: 'too-wide' };
    expectOutcome(await api.reserve(known), 'created');
  });

  it('unknown_sku: before unknown_warehouse and insufficient', async () => {
    const sku = await newSku();
    const answer = await api.reserve([
      { sku_id: sku, quantity: 999 },
      { sku_id: sku, warehouse_id: 'NOWHERE', quantity: 1 },
      { sku_id: 'NOBODY', quantity: 1 },
    ]);
    expect(expectOutcome(answer, 'unknown_sku').errors).toEqual([
      { pointer: '/2/sku_id', message: 'NOBODY is no SKU that is known' },
    ]);
    expectOutcome(await api.available('NOBODY'), 'unknown_sku');
    const receipt = { sku_id: 'NOBODY', warehouse_id: 'A', quantity: 1 };
    expectOutcome(await api.receive(receipt), 'unknown_sku');
  });

  it('unknown_warehouse: before insufficient', async () => {
    const sku = await newSku();
    const answer = await api.reserve({
      items: [
        { sku_id: sku, quantity: 999 },
        { sku_id: sku, warehouse_id: 'NOWHERE', quantity: 1 },
      ],
    });
    expect(expectOutcome(answer, 'unknown_warehouse').errors).toEqual([
      {
        pointer: '/items/1/warehouse_id',
        message: 'NOWHERE names no warehouse that is known',
      },
    ]);
    const receipt = { sku_id: sku, warehouse_id: 'NOWHERE', quantity: 1 };
    expectOutcome(await api.receive(receipt), 'unknown_warehouse');
  });

  it('not_found: for whatever is asked of a reservation that nobody made', async () => {
    const body = { reservation_id: 'nobody-made-this' };
    for (const verb of ['commit', 'release', 'cancel', 'ship'] as const) {
      expectOutcome(await api[verb](body), 'not_found');
    }
    expectOutcome(await api.extend({ ...body, ttl_seconds: 60 }), 'not_found');
    expectOutcome(await api.look('nobody-made-this'), 'not_found');
  });

  it('out_of_range: a balance beyond what a cell can count', async () => {
    const sku = await newSku(0);
    const line = { sku_id: sku, warehouse_id: 'A', quantity: 1_000_000_000 };
    const lines = Array.from({ length: 1_000 }, () => line);
    expectOutcome(await api.receive({ lines }), 'applied');
    expectOutcome(await api.receive({ ...line, quantity: 1 }), 'out_of_range');
  });
});

describe('a settlement that another has won', () => {
  it('hold_lost: the hold expired, and its units were sold', async () => {
    const sku = await newSku(1);
    const expired = await expiredHold(sku);
    await hold(sku);
    const answer = await until(() => takeAgain(expired), isTold);
    expectOutcome(answer, 'hold_lost');
  });

  it('expired: before exceeds_reservation', async () => {
    const sku = await newSku();
    const { id } = await expiredHold(sku);
    const lines = [{ sku_id: sku, quantity: 99 }];
    const answer = await api.commit({ reservation_id: id, lines });
    expect(expectOutcome(answer, 'expired')).toMatchObject({
      reservation_id: id,
      reservation: { status: 'expired', lines: [] },
    });
    expectOutcome(await api.release({ reservation_id: id }), 'expired');
    expectOutcome(await api.extend({ reservation_id: id, ttl_seconds: 60 }), 'expired');
    expectOutcome(await api.ship({ reservation_id: id }), 'expired');
  });

  it('already_released: before exceeds_reservation', async () => {
    const sku = await newSku();
    const id = await hold(sku);
    expectOutcome(await api.release({ reservation_id: id }), 'released');
    const lines = [{ sku_id: sku, quantity: 99 }];
    expectOutcome(await api.commit({ reservation_id: id, lines }), 'already_released');
    expectOutcome(await api.cancel({ reservation_id: id }), 'already_released');
    expectOutcome(await api.extend({ reservation_id: id, ttl_seconds: 60 }), 'already_released');
  });

  it('already_committed: a release, and a commit with other lines', async () => {
    const sku = await newSku();
    const id = await committed(sku, 2);
    const answer = await api.release({ reservation_id: id });
    expect(expectOutcome(answer, 'already_committed').reservation).toMatchObject({
      status: 'committed',
      durability: 'logged',
    });
    const lines = [{ sku_id: sku, quantity: 1 }];
    expectOutcome(await api.commit({ reservation_id: id, lines }), 'already_committed');
    expectOutcome(await api.extend({ reservation_id: id, ttl_seconds: 60 }), 'already_committed');
  });

  it('already_closed: every unit was shipped', async () => {
    const id = await committed(await newSku());
    expectOutcome(await api.ship({ reservation_id: id }, MEMORY), 'shipped');
    expectOutcome(await api.cancel({ reservation_id: id }), 'already_closed');
    expectOutcome(await api.release({ reservation_id: id }), 'already_closed');
  });

  it('not_committed: before exceeds_reservation', async () => {
    const sku = await newSku();
    const id = await hold(sku);
    const lines = [{ sku_id: sku, quantity: 99 }];
    expectOutcome(await api.ship({ reservation_id: id, lines }, key('nc')), 'not_committed');
    expectOutcome(await api.cancel({ reservation_id: id }), 'not_committed');
  });

  it('exceeds_reservation: more units, other SKUs, other warehouses', async () => {
    const sku = await newSku();
    const id = await hold(sku, 2);
    const name = (line: object) => ({
      reservation_id: id,
      lines: [{ sku_id: sku, quantity: 1, ...line }],
    });
    expectOutcome(await api.commit(name({ quantity: 3 })), 'exceeds_reservation');
    expectOutcome(await api.commit(name({ sku_id: 'NOBODY' })), 'exceeds_reservation');
    expectOutcome(await api.commit(name({ warehouse_id: 'B' })), 'exceeds_reservation');
    expectOutcome(await api.release(name({ quantity: 3 }), key('ex')), 'exceeds_reservation');
  });

  it('extend_limit_reached: the hold is as old as it may get', async () => {
    const id = await hold(await newSku());
    const extend = () => api.extend({ reservation_id: id, ttl_seconds: 3_600 });
    expectOutcome(await extend(), 'extended');
    expectOutcome(await extend(), 'extend_limit_reached');
  });

  it('unreadable: before insufficient, behind unknown_sku and exceeds_reservation', async () => {
    const sku = await newSku(1);
    const id = await hold(sku);
    const key = laneKeys(0).stock(sku);
    const good = await engine.redis.hgetBuffer(key, 'A');
    await engine.redis.hset(key, 'A', 'written over');
    const item = { sku_id: sku, quantity: 9 };
    const answer = await api.reserve([item]);
    expect(expectOutcome(answer, 'unreadable').detail).toMatch(/cell A of SKU-\d+ /);
    expectOutcome(await api.reserve([item, { sku_id: 'NOBODY', quantity: 1 }]), 'unknown_sku');
    expectOutcome(await api.commit({ reservation_id: id }), 'unreadable');
    const more = { reservation_id: id, lines: [item] };
    expectOutcome(await api.commit(more), 'exceeds_reservation');
    await engine.redis.hset(key, 'A', good ?? '');
    expectOutcome(await api.reserve([item]), 'insufficient');
  });

  it('insufficient: what was there, and what was missing', async () => {
    const sku = await newSku(3);
    const none = await newSku(0);
    const items = [
      { sku_id: sku, quantity: 4 },
      { sku_id: none, quantity: 1 },
      { sku_id: sku, warehouse_id: 'A', quantity: 1 },
    ];
    const answer = await api.reserve({ items, reservation_id: 'too-much' });
    expect(expectOutcome(answer, 'insufficient')).toMatchObject({
      reservation_id: 'too-much',
      lines: [
        { line: 0, sku_id: sku, requested: 4, available: 3, missing: 1 },
        { line: 1, sku_id: none, requested: 1, available: 0, missing: 1 },
      ],
    });
    const taken = { sku_id: sku, warehouse_id: 'A', quantity: -4, reason: 'damage' };
    expectOutcome(await api.adjust(taken), 'insufficient');
  });
});

describe('what is done', () => {
  it('created, exists: the same again, before insufficient', async () => {
    const sku = await newSku(1);
    const buy = () => api.reserve([{ sku_id: sku, quantity: 1 }], key('once'));
    expectOutcome(await buy(), 'created');
    expectOutcome(await api.reserve([{ sku_id: sku, quantity: 1 }]), 'insufficient');
    const again = await buy();
    expectOutcome(again, 'exists');
    expect(again.headers.get('idempotent-replayed')).toBe('true');
  });

  it('committed, cancelled', async () => {
    const id = await hold(await newSku());
    expectOutcome(await api.commit({ reservation_id: id }), 'committed');
    expectOutcome(await api.cancel({ reservation_id: id }), 'cancelled');
  });
});

describe('a store that cannot decide', () => {
  it('undecided: a commit that has no time left takes nothing again', async () => {
    const expired = await expiredHold(await newSku(1));
    const { policy } = engine.serving.engine;
    const { retakeMsMax } = policy;
    Object.assign(policy, { retakeMsMax: 0 });
    const answer = await takeAgain(expired).finally(() => Object.assign(policy, { retakeMsMax }));
    expect(expectOutcome(answer, 'undecided').reservation_id).toBe(expired.id);
    const taken = await until(() => takeAgain(expired), isTold);
    expectOutcome(taken, 'committed');
  });

  it('durability_unknown: PostgreSQL is held up; the same id resolves it', async () => {
    await apart({ HOLDFAST_DURABILITY_WAIT_MS: '1500' }, async (slow, buyOne) => {
      const buy = () => buyOne({ ...key('slow'), prefer: 'durability=persisted' });
      const slowly = await whilePositionsAreKept(slow.serving.engine.pool, buy);
      const unknown = expectOutcome(slowly, 'durability_unknown');
      const { reservation_id: id, durability } = expectReservation(await until(buy, isTold), 200);
      expect([id, durability]).toEqual([unknown.reservation_id, 'persisted']);
    });
  });

  it('fenced: before exists_with_different_payload; the lane opens again by itself', async () => {
    const sku = await newSku();
    const id = await hold(sku);
    // The whole batch is refused by the first script that runs; recovery then opens the lane.
    await engine.redis.hset(laneKeys(0).meta, 'replid', '0'.repeat(40));
    const body = { items: [{ sku_id: sku, quantity: 2 }], reservation_id: id };
    expect(expectOutcome(await api.reserve(body), 'fenced').reservation_id).toBe(id);
    expectOutcome(await until(() => api.reserve(body), isTold), 'exists_with_different_payload');
  });

  it('overloaded: who would wait too long for the lane', async () => {
    await apart({ HOLDFAST_QUEUE_WAIT_MS: '1' }, async (busy, buy) => {
      await busy.redis.client('PAUSE', 2_000, 'ALL');
      const asked: Promise<TestAnswer>[] = [];
      let refused: TestAnswer | undefined;
      while (refused === undefined && asked.length < 100) {
        const buying = buy();
        asked.push(buying);
        void buying.then((answer) => {
          if (answer.status === 503) refused ??= answer;
        });
        // Comes back while the reserves wait, and gives the refused one its turn.
        await busy.call('GET', '/healthz');
      }
      if (refused === undefined) throw new Error('nothing was refused');
      expect(expectOutcome(refused, 'overloaded').reservation_id).toMatch(/^hf_/);
      await Promise.all(asked);
    });
  });

  it('log_full: more than the log may hold waits for PostgreSQL; the id resolves it', async () => {
    await apart({ HOLDFAST_LOG_BYTES_MAX: '4096' }, async (behind, buy) => {
      let buyer = 0;
      const buyNext = () => buy(key(`buyer-${++buyer}`));
      const refused = await whilePositionsAreKept(behind.serving.engine.pool, () =>
        until(buyNext, ({ status }) => status !== 201),
      );
      const { reservation_id: id } = expectOutcome(refused, 'log_full');
      const sold = await until(() => buy(key(`buyer-${buyer}`)), isTold);
      expect(expectReservation(sold, 201).reservation_id).toBe(id);
    });
  });

  it('store_unavailable: Redis is gone, and the answer names the id that resolves it', async () => {
    await apart({}, async (lost, buy) => {
      await lost.server.stop();
      const isLost = ({ body }: TestAnswer): boolean => body.code === 'store_unavailable';
      const { reservation_id: id } = expectOutcome(await until(buy, isLost), 'store_unavailable');
      expect(id).toMatch(/^hf_/);
    });
  });
});

it('no outcome of the table was left out', () => {
  const missing = (Object.keys(OUTCOMES) as OutcomeName[]).filter((name) => !seen.has(name));
  expect(missing).toEqual([]);
});
