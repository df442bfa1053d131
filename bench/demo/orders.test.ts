import { describe, expect, it } from 'vitest';
import { readRealOrders } from '../orders/parse.ts';
import { buildReplay } from '../orders/replay.ts';
import type { ReplayStep } from '../orders/replay-step.ts';
import type { ApiAnswer, ApiCall } from './api.ts';
import { callOfStep, playOrders } from './orders.ts';

const DONE: ApiAnswer = { status: 200, code: '', body: {}, isReplay: false };
const REFUSED: ApiAnswer = { status: 409, code: 'insufficient', body: {}, isReplay: false };
const WRONG: ApiAnswer = {
  status: 404,
  code: 'not_found',
  body: { detail: 'gone' },
  isReplay: false,
};

const lines = [{ skuId: 'A', quantity: 2 }];
const order = (invoice: string): ReplayStep[] => {
  const base = { atMs: 1_000, invoice, reservationId: `order-${invoice}`, lines };
  return [
    {
      ...base,
      kind: 'reserve',
      operationKey: `${invoice}:reserve`,
      orderId: invoice,
      customerId: undefined,
      country: 'United Kingdom',
      warehouseIds: ['w1', 'w2'],
    },
    { ...base, kind: 'commit', operationKey: `${invoice}:commit`, isPartial: false },
    { ...base, kind: 'cancel', operationKey: `${invoice}:cancel`, isWhole: true },
  ];
};

function play(steps: readonly ReplayStep[], insist: (call: ApiCall) => Promise<ApiAnswer>) {
  const { signal } = new AbortController();
  return playOrders({ steps, durationMs: 1, api: { insist }, signal });
}

describe('playOrders', () => {
  it('sends what belongs to one order one after the other', async () => {
    const under = new Set<string>();
    const sent: string[] = [];
    const insist = async ({ label, body }: ApiCall): Promise<ApiAnswer> => {
      const { reservation_id: id } = body as { reservation_id: string };
      expect(under.has(id)).toBe(false);
      under.add(id);
      sent.push(`${id} ${label}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      under.delete(id);
      return DONE;
    };
    const tally = await play([...order('1'), ...order('2')], insist).done;
    expect(sent.filter((each) => each.startsWith('order-1'))).toEqual([
      'order-1 reserve',
      'order-1 commit',
      'order-1 cancel',
    ]);
    expect(tally).toMatchObject({ carts: 2, replayed: 2, reserved: 2, committed: 2, cancelled: 2 });
    expect(tally).toMatchObject({ unitsCommitted: 4, refused: 0, failed: 0, committedIds: [] });
  });

  it('leaves out what follows on a cart that was refused', async () => {
    const insist = async ({ label, body }: ApiCall): Promise<ApiAnswer> => {
      const isFirst = (body as { reservation_id: string }).reservation_id === 'order-1';
      return isFirst && label === 'reserve' ? REFUSED : DONE;
    };
    const tally = await play([...order('1'), ...order('2').slice(0, 2)], insist).done;
    expect(tally).toMatchObject({ replayed: 2, reserved: 1, refused: 1, skipped: 2, failed: 0 });
    expect(tally.committedIds).toEqual(['order-2']);
  });

  it('tells of an answer that nobody expects', async () => {
    const insist = async ({ label }: ApiCall): Promise<ApiAnswer> =>
      label === 'commit' ? WRONG : DONE;
    const tally = await play(order('1').slice(0, 2), insist).done;
    expect(tally).toMatchObject({ committed: 0, failed: 1 });
    expect(tally.failures).toEqual(['commit of invoice 1: 404 not_found: gone']);
  });

  it('sends nothing any more when it is aborted', async () => {
    const stopping = new AbortController();
    let sent = 0;
    const insist = async (): Promise<ApiAnswer> => {
      sent += 1;
      stopping.abort();
      return DONE;
    };
    const steps = [...order('1'), ...order('2')];
    const { signal } = stopping;
    await playOrders({ steps, durationMs: 60_000, api: { insist }, signal }).done;
    expect(sent).toBe(1);
  });
});

describe('callOfStep', () => {
  it('has a path, a label and a body for each step of the real orders', async () => {
    const { steps } = buildReplay(await readRealOrders());
    const calls = steps.map(callOfStep);
    expect(new Set(calls.map(({ path }) => path))).toEqual(
      new Set([
        '/api/v1/inventory/reserve',
        '/api/v1/inventory/commit',
        '/api/v1/inventory/release',
        '/api/v1/inventory/cancel',
        '/api/v1/stock/receive',
        '/api/v1/stock/adjust',
      ]),
    );
    const keys = calls.flatMap(({ key }) => key ?? []);
    expect(new Set(keys).size).toBe(keys.length);
    const [first] = order('1').map(callOfStep);
    expect(first?.body).toEqual({
      items: [{ sku_id: 'A', warehouse_id: ['w1', 'w2'], quantity: 2 }],
      reservation_id: 'order-1',
      order_id: '1',
      channel: 'wholesale',
    });
  });
});
