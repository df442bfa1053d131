/** The replay: each rule on a few lines, then the real orders, every line of them accounted for. */
import { beforeAll, describe, expect, it } from 'vitest';
import { isId } from '../../engine/domain/ids.ts';
import type { OrderLine } from './parse.ts';
import { readRealOrders } from './parse.ts';
import type { Replay } from './replay.ts';
import { buildReplay } from './replay.ts';
import type { ReplayStep } from './replay-step.ts';

const MINUTE_MS = 60_000;

/** A line of the customer 17850 who pays 1.00 GBP; `minute` counts from nought. */
function line(
  minute: number,
  invoice: string,
  sku: string,
  quantity: number,
  change: Partial<OrderLine> = {},
): OrderLine {
  return {
    line: 2,
    invoice,
    isCancellation: invoice.startsWith('C'),
    sku,
    description: 'NAME',
    quantity,
    invoicedAtMs: minute * MINUTE_MS,
    unitPricePence: 100,
    customerId: '17850',
    country: 'EIRE',
    ...change,
  };
}

const byShop = { unitPricePence: 0, customerId: undefined, description: '' };

/** The steps as short text: minute, kind, of what, lines. */
function story({ steps }: Replay): string[] {
  return steps.map((step) => `${step.atMs / MINUTE_MS} ${describeStep(step)}`);
}

function describeStep(step: ReplayStep): string {
  if ('skuId' in step) return `${step.kind} ${step.skuId} ${step.quantity} ${step.reason}`;
  const lines = step.lines.map(({ skuId, quantity }) => `${quantity}x${skuId}`).join(' ');
  return `${step.kind} ${step.reservationId} ${lines}`;
}

describe('buildReplay', () => {
  it('makes a cart of a purchase and commits it when it is paid', () => {
    const replay = buildReplay([
      line(0, '500001', 'A', 2),
      line(0, '500001', 'B', 1),
      line(1, '500002', 'A', 1),
    ]);
    expect(story(replay)).toEqual([
      '0 reserve order-500001 2xA 1xB',
      '1 reserve order-500002 1xA',
      '6 commit order-500001 2xA 1xB',
      '7 commit order-500002 1xA',
    ]);
    expect(replay.steps[0]).toMatchObject({
      orderId: '500001',
      customerId: '17850',
      country: 'EIRE',
      invoice: '500001',
      operationKey: '500001:reserve',
    });
  });

  it('merges lines of the same SKU, but not of another letter case', () => {
    const replay = buildReplay([
      line(0, '500001', 'a', 2),
      line(0, '500001', 'A', 1),
      line(0, '500001', 'a', 3),
    ]);
    expect(story(replay)[0]).toBe('0 reserve order-500001 5xa 1xA');
    expect(replay.summary).toMatchObject({ saleLines: 3, cartLines: 2, cartsMerged: 1 });
  });

  it('keeps a gift in the cart, drops what is no goods, and leaves an empty invoice out', () => {
    const replay = buildReplay([
      line(0, '500001', 'A', 2),
      line(0, '500001', 'GIFT', 1, { unitPricePence: 0 }),
      line(0, '500001', 'POST', 1),
      line(1, '500002', 'BANK CHARGES', 1),
    ]);
    expect(story(replay)).toEqual([
      '0 reserve order-500001 2xA 1xGIFT',
      '6 commit order-500001 2xA 1xGIFT',
    ]);
    expect(replay.summary).toMatchObject({
      giftLines: 1,
      invoicesWithoutGoods: 1,
      skippedLines: { 'not_goods: POST': 1, 'not_goods: BANK CHARGES': 1 },
    });
  });

  it('cancels what is paid, and releases what is not', () => {
    const replay = buildReplay([
      line(0, '500001', 'A', 5),
      line(0, '500001', 'B', 1),
      line(5, 'C500002', 'A', -2),
      line(6, 'C500003', 'A', -1),
    ]);
    expect(story(replay)).toEqual([
      '0 reserve order-500001 5xA 1xB',
      '5 release order-500001 2xA',
      '6 commit order-500001 3xA 1xB',
      '6 cancel order-500001 1xA',
    ]);
    expect(replay.steps[1]).toMatchObject({ isWhole: false, operationKey: 'C500002:500001' });
    expect(replay.steps[2]).toMatchObject({ isPartial: true });
  });

  it('never commits what was released whole', () => {
    const replay = buildReplay([line(0, '500001', 'A', 5), line(5, 'C500002', 'A', -5)]);
    expect(story(replay)).toEqual(['0 reserve order-500001 5xA', '5 release order-500001 5xA']);
    expect(replay.steps[1]).toMatchObject({ isWhole: true });
  });

  it('takes a cancelled line from the latest orders first; what they do not cover is a return', () => {
    const replay = buildReplay([
      line(0, '500001', 'A', 3),
      line(1, '500002', 'A', 2),
      line(60, 'C500003', 'A', -4),
      line(61, 'C500004', 'A', -4),
    ]);
    expect(story(replay).slice(4)).toEqual([
      '60 cancel order-500002 2xA',
      '60 cancel order-500001 2xA',
      '61 cancel order-500001 1xA',
      '61 receive A 3 customer_return',
    ]);
    expect(replay.summary).toMatchObject({
      cancellationLinesMatched: 1,
      cancellationLinesMatchedInPart: 1,
      cancellationLinesReturned: 0,
    });
  });

  it('merges the lines of one cancellation that go to one order', () => {
    const replay = buildReplay([
      line(0, '500001', 'A', 12),
      line(60, 'C500002', 'A', -2),
      line(60, 'C500002', 'A', -3),
    ]);
    expect(story(replay)[2]).toBe('60 cancel order-500001 5xA');
  });

  it("takes no other customer's order, no unknown customer's, and none that comes later", () => {
    const replay = buildReplay([
      line(0, '500001', 'A', 1, { customerId: '12345' }),
      line(0, '500002', 'A', 1, { customerId: undefined }),
      line(60, 'C500003', 'A', -1),
      line(61, 'C500004', 'A', -1, { customerId: undefined }),
      line(62, '500005', 'A', 1),
    ]);
    expect(story(replay).filter((step) => step.includes('receive'))).toEqual([
      '60 receive A 1 customer_return',
      '61 receive A 1 customer_return',
    ]);
    expect(replay.summary).toMatchObject({
      cancellationLinesReturned: 2,
      cancellationLinesBoughtLater: 1,
    });
  });

  it('corrects the stock by write-offs and finds', () => {
    const replay = buildReplay([
      line(0, '500001', 'A', -10, byShop),
      line(1, '500002', 'B', -3, { ...byShop, description: 'damaged' }),
      line(2, '500003', 'C', 20, byShop),
    ]);
    expect(story(replay)).toEqual([
      '0 adjust A -10 loss',
      '1 adjust B -3 damage',
      '2 adjust C 20 found',
    ]);
    expect(replay.steps[0]).toMatchObject({ operationKey: '500001:loss:A', invoice: '500001' });
  });
});

describe('the replay of the real orders', () => {
  let replay: Replay;

  beforeAll(async () => {
    replay = buildReplay(await readRealOrders());
  });

  it('accounts for each of the 10,000 lines', () => {
    expect(replay.summary).toEqual({
      invoices: 512,
      lines: 10_000,
      invoicesWithoutGoods: 3,
      skippedLines: {
        'not_goods: POST': 18,
        'not_goods: D': 2,
        'not_goods: C2': 1,
        'not_goods: DOT': 6,
        'not_goods: M': 10,
        'not_goods: BANK CHARGES': 1,
      },
      carts: 423,
      saleLines: 9819,
      giftLines: 1,
      cartLines: 9475,
      cartsMerged: 66,
      // Of the invoices, 9 have over 100 lines and one 593: before merging, and with what is no goods.
      cartsOver100Lines: 7,
      cartLinesMax: 589,
      unitsOrdered: 90_010,
      commits: 423,
      cancellationLines: 98,
      cancellationLinesMatched: 10,
      cancellationLinesMatchedInPart: 0,
      cancellationLinesReturned: 88,
      cancellationLinesBoughtLater: 12,
      releases: 1,
      cancels: 8,
      correctionLines: 45,
      stockSteps: { customer_return: 88, found: 15, damage: 0, loss: 30 },
    });
    const { saleLines, cancellationLines, correctionLines, skippedLines } = replay.summary;
    const skipped = Object.values(skippedLines).reduce((sum, lines) => sum + lines, 0);
    expect(saleLines + cancellationLines + correctionLines + skipped).toBe(10_000);
  });

  it('comes in order of time, with an own key for each step and ids that the engine takes', () => {
    const times = replay.steps.map((step) => step.atMs);
    expect(times).toEqual(times.toSorted((left, right) => left - right));
    expect(new Set(replay.steps.map((step) => step.operationKey)).size).toBe(replay.steps.length);
    for (const step of replay.steps) {
      if ('skuId' in step) expect(isId(step.skuId)).toBe(true);
      else expect(isId(step.reservationId)).toBe(true);
    }
  });

  it('settles no order before it is reserved, nor more of it than there is', () => {
    const orders = new Map<string, { left: Map<string, number>; state: 'held' | 'paid' }>();
    for (const step of replay.steps) {
      if ('skuId' in step) continue;
      if (step.kind === 'reserve') {
        expect(orders.has(step.reservationId)).toBe(false);
        const left = new Map(step.lines.map(({ skuId, quantity }) => [skuId, quantity]));
        expect(left.size).toBe(step.lines.length);
        orders.set(step.reservationId, { left, state: 'held' });
        continue;
      }
      const order = orders.get(step.reservationId);
      if (order === undefined) throw new Error(`${step.operationKey} without its order`);
      expect(order.state).toBe(step.kind === 'cancel' ? 'paid' : 'held');
      if (step.kind === 'commit') {
        expect(Object.fromEntries(order.left)).toEqual(
          Object.fromEntries(step.lines.map(({ skuId, quantity }) => [skuId, quantity])),
        );
        order.state = 'paid';
        continue;
      }
      for (const { skuId, quantity } of step.lines) {
        const left = (order.left.get(skuId) ?? 0) - quantity;
        expect(left).toBeGreaterThanOrEqual(0);
        if (left === 0) order.left.delete(skuId);
        else order.left.set(skuId, left);
      }
    }
    expect([...orders.values()].every((order) => order.state === 'paid')).toBe(true);
  });

  it('is the same each time', async () => {
    expect(buildReplay(await readRealOrders())).toEqual(replay);
  });
});
