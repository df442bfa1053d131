import { describe, expect, it } from 'vitest';
import type { ShopperRequest } from '../load/shopper.ts';
import type { ApiAnswer, ApiCall } from './api.ts';
import { bestSeller, readAnswer, saleSender, spreadUnits } from './flash-sale.ts';
import { WaitingRoom } from './waiting-room.ts';

const answer = (status: number, code = '', body: unknown = {}): ApiAnswer => ({
  status,
  code,
  body,
  isReplay: false,
});

describe('readAnswer', () => {
  it.each([
    ['reserve', answer(201, '', { reservation_id: 'r1' }), 'reserved'],
    ['reserve', answer(200, '', { reservation_id: 'r1' }), 'reserved'],
    ['reserve', answer(201, '', {}), 'refused'],
    ['reserve', answer(409, 'insufficient'), 'sold_out'],
    ['reserve', answer(422, 'exists_with_different_payload'), 'refused'],
    ['reserve', answer(404, 'unknown_sku'), 'refused'],
    ['reserve', answer(503, 'overloaded'), 'unknown'],
    ['reserve', answer(0, 'timeout'), 'unknown'],
    ['commit', answer(200), 'committed'],
    ['commit', answer(409, 'expired'), 'lost'],
    ['commit', answer(409, 'hold_lost'), 'lost'],
    ['commit', answer(409, 'already_committed'), 'refused'],
    ['commit', answer(409, 'insufficient'), 'refused'],
    ['commit', answer(503, 'durability_unknown'), 'unknown'],
    ['release', answer(200), 'released'],
    ['release', answer(409, 'expired'), 'lost'],
    ['release', answer(409, 'already_committed'), 'refused'],
  ] as const)('%s %o: %s', (kind, given, expected) => {
    expect(readAnswer(kind, given).kind).toBe(expected);
  });

  it('hands on the reservation and the code', () => {
    expect(readAnswer('reserve', answer(201, '', { reservation_id: 'r1' }))).toEqual({
      kind: 'reserved',
      reservationId: 'r1',
    });
    expect(readAnswer('commit', answer(422, 'exceeds_reservation'))).toEqual({
      kind: 'refused',
      code: 'exceeds_reservation',
    });
  });
});

describe('spreadUnits', () => {
  it.each([1, 3, 50, 1_000, 999_999])('%i units stand somewhere, all of them', (units) => {
    const cells = spreadUnits(units);
    expect(cells.reduce((sum, { quantity }) => sum + quantity, 0)).toBe(units);
    expect(cells.every(({ quantity }) => quantity > 0)).toBe(true);
  });
});

describe('bestSeller', () => {
  const line = {
    line: 2,
    invoice: '536365',
    isCancellation: false,
    description: 'A CUP',
    invoicedAtMs: 0,
    unitPricePence: 100,
    customerId: undefined,
    country: 'United Kingdom',
  };

  it('is the goods of which most were sold', () => {
    const lines = [
      { ...line, sku: 'POST', quantity: 1_000 },
      { ...line, sku: 'A', quantity: 3 },
      { ...line, sku: 'B', quantity: 2, description: 'B MUG' },
      { ...line, sku: 'B', quantity: 2, description: 'B MUG' },
    ];
    expect(bestSeller(lines, 7)).toEqual({ skuId: 'FLASH-B', name: 'B MUG', units: 7 });
    expect(() => bestSeller([], 7)).toThrow('no product');
  });
});

describe('saleSender', () => {
  const item = { skuId: 'FLASH-B', name: 'B MUG', units: 7 };
  const base = { shopperId: 's1', atMs: 0, sentAs: 'first' } as const;

  it('keeps the keys of two waves apart, and counts who was there', async () => {
    const calls: ApiCall[] = [];
    const counts = { replays: 0, firstVisits: 0 };
    const api = {
      call: async (call: ApiCall) => {
        calls.push(call);
        return { ...answer(200, '', { reservation_id: 'r1' }), isReplay: calls.length === 2 };
      },
    };
    const reserve: ShopperRequest = {
      ...base,
      kind: 'reserve',
      quantity: 2,
      idempotencyKey: 's1:1:reserve',
    };
    const send = saleSender({ api, item, counts, room: new WaitingRoom(1), wave: 'late' });
    await send(reserve, 1);
    await send({ ...reserve, sentAs: 'duplicate' }, 2);
    await send({ ...reserve, idempotencyKey: 's1:2:reserve' }, 3);
    await send({ ...base, kind: 'commit', reservationId: 'r1', idempotencyKey: 's1:1:commit' }, 4);
    expect(counts).toEqual({ replays: 1, firstVisits: 1 });
    expect(calls.map(({ key }) => key)).toEqual([
      'late:s1:1:reserve',
      'late:s1:1:reserve',
      'late:s1:2:reserve',
      'late:s1:1:commit',
    ]);
    expect(calls.map(({ dueAtMs }) => dueAtMs)).toEqual([1, 2, 3, 4]);
    expect(calls[0]?.body).toEqual({
      items: [{ sku_id: 'FLASH-B', quantity: 2 }],
      customer_id: 'late:s1',
      ttl_seconds: 4,
    });
    expect(calls[3]?.body).toEqual({ reservation_id: 'r1' });
  });

  it('lets a reserve wait at the door, and never who has a hold', async () => {
    const reserves: (number | undefined)[] = [];
    const commits: (number | undefined)[] = [];
    let answerFirst = (): void => undefined;
    const call = ({ label, dueAtMs }: ApiCall): Promise<ApiAnswer> => {
      (label === 'commit' ? commits : reserves).push(dueAtMs);
      if (label === 'commit' || reserves.length > 1) return Promise.resolve(answer(200));
      return new Promise((resolve) => {
        answerFirst = () => resolve(answer(409, 'insufficient'));
      });
    };
    const room = new WaitingRoom(1);
    const counts = { replays: 0, firstVisits: 0 };
    const send = saleSender({ api: { call }, item, counts, room, wave: 'sale' });
    const reserve: ShopperRequest = { ...base, kind: 'reserve', quantity: 1, idempotencyKey: 'k' };
    const first = send(reserve, 1);
    const second = send(reserve, 2);
    await send({ ...base, kind: 'commit', reservationId: 'r1', idempotencyKey: 'k' }, 3);
    expect([reserves, commits]).toEqual([[1], [3]]);
    answerFirst();
    await Promise.all([first, second]);
    expect(reserves).toHaveLength(2);
    expect(reserves[1]).toBeGreaterThan(2);
    expect(room.history.waited).toBe(1);
  });
});
