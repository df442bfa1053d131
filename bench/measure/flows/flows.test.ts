/** The flows as state machines: what they ask, and what they make of the answers. No network. */
import { describe, expect, it } from 'vitest';
import { randomFrom } from '../../load/random.ts';
import type { Flow, FlowAnswer, FlowRequest } from '../flow.ts';
import { createFlow } from '../flows.ts';
import type { CheckoutParams } from './checkout.ts';
import { reservationIdIn } from './request.ts';
import type { RetriesParams } from './retries.ts';
import { skuDraw, zipfDraw } from './zipf.ts';

const TARGET = { host: 'shop', port: 80, callers: 4 };
const OVERLOADED = '{"code":"overloaded"}';

function answerOf(status: number, body: string, atMs = 0): FlowAnswer {
  return { status, atMs, text: () => `HTTP\r\n\r\n${body}`, body: () => JSON.parse(body) };
}
const held = (id: string, status = 201, atMs = 0): FlowAnswer =>
  answerOf(status, `{"reservation_id":"${id}","status":"held"}`, atMs);

interface Asked {
  readonly path: string;
  readonly key: string | undefined;
  readonly body: string;
  readonly dueMs: number | undefined;
}

function read(request: FlowRequest | undefined): Asked {
  const text = request?.bytes.toString() ?? '';
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const [, length] = /Content-Length: (\d+)/.exec(head) ?? [];
  expect(body.length).toBe(Number(length ?? 0));
  const [, key] = /Idempotency-Key: (.*)/.exec(head) ?? [];
  return { path: head.split(' ')[1] ?? '', key: key?.trim(), body, dueMs: request?.dueMs };
}

describe('a draw by Zipf', () => {
  it.each([
    [10, 1],
    [1_000, 1.2],
    [7, 0],
  ])('of %i with exponent %d has its frequencies', (count, exponent) => {
    const draws = 200_000;
    const draw = zipfDraw(count, exponent, randomFrom('zipf'));
    const found = Array.from({ length: count }, () => 0);
    for (let i = 0; i < draws; i++) {
      const rank = draw();
      found[rank] = (found[rank] ?? 0) + 1;
    }
    const weights = found.map((_, n) => (n + 1) ** -exponent);
    const sum = weights.reduce((all, weight) => all + weight, 0);
    for (const n of [0, 1, count - 1]) {
      const expected = ((weights[n] ?? 0) / sum) * draws;
      // Five standard deviations of a count.
      expect(Math.abs((found[n] ?? 0) - expected)).toBeLessThan(5 * Math.sqrt(expected) + 1);
    }
  });

  it('repeats with its seed', () => {
    const names = (seed: string): string[] => {
      const draw = skuDraw({ prefix: 'S', count: 50 }, seed);
      return Array.from({ length: 20 }, draw);
    };
    expect(names('a')).toEqual(names('a'));
    expect(names('a')).not.toEqual(names('b'));
  });
});

it('a pair that was refused left nothing open, one that was not answered did', async () => {
  const params = { seed: 'test', skus: ['S'], warehouse: 'A', commitShare: 1 };
  const source = await createFlow({ name: 'pair', params }, TARGET);
  const flow = source.caller(0);
  flow.next(undefined);
  for (const answer of [answerOf(409, '{}'), answerOf(503, OVERLOADED), answerOf(503, '{}')])
    expect(read(flow.next(answer)).path).toBe('/api/v1/inventory/reserve');
  expect(read(flow.next(answerOf(0, ''))).path).toBe('/api/v1/inventory/reserve');
  expect(source.tally?.()).toMatchObject({ held: 0, refused: 2, unknown: 2 });
});

describe('shoppers', () => {
  const params: CheckoutParams = {
    seed: 'test',
    wishes: { kind: 'one', skus: { prefix: 'S', count: 1 }, warehouse: 'A' },
  };
  const start = async (more: Partial<CheckoutParams>) => {
    const source = await createFlow({ name: 'checkout', params: { ...params, ...more } }, TARGET);
    return { source, tally: () => source.tally?.() ?? {} };
  };

  it('commit what they hold, by the id of the answer, once they have thought', async () => {
    const { source, tally } = await start({ shoppers: 2, keys: 'k', commitShare: 1, thinkMs: 500 });
    const flow = source.caller(0);
    expect(read(flow.next(undefined))).toMatchObject({ key: 'k-0' });
    // The second comes before the first has thought.
    expect(read(flow.next(held('hf_1', 201, 100)))).toMatchObject({ key: 'k-1' });
    const commit = read(flow.next(answerOf(409, '{"code":"insufficient"}', 200)));
    expect(commit).toMatchObject({ path: '/api/v1/inventory/commit', dueMs: 600 });
    expect(JSON.parse(commit.body)).toEqual({ reservation_id: 'hf_1' });
    expect(flow.next(held('hf_1', 200, 610))).toBeUndefined();
    expect(tally()).toMatchObject({
      ...{ shoppers: 2, held: 1, heldUnits: 1, refused: 1, committedUnits: 1, unknownUnits: 0 },
      firstRefusedMs: 200,
    });
  });

  it('whose hold is gone are late, and whose fate is to forget ask no more', async () => {
    const late = await start({ shoppers: 1, commitShare: 1 });
    const flow = late.source.caller(0);
    flow.next(undefined);
    expect(read(flow.next(held('hf_1'))).path).toBe('/api/v1/inventory/commit');
    expect(flow.next(answerOf(409, '{"code":"expired"}'))).toBeUndefined();
    expect(late.tally()).toMatchObject({ late: 1, lateUnits: 1, committedUnits: 0 });
    const forgetful = await start({ shoppers: 1, ttlSeconds: 2 });
    const other = forgetful.source.caller(0);
    const { body } = read(other.next(undefined));
    expect(JSON.parse(body)).toMatchObject({ ttl_seconds: 2, items: [{ sku_id: 'S0' }] });
    expect(other.next(held('hf_1'))).toBeUndefined();
  });

  it('send the same bytes again under a key, and say what stayed open without one', async () => {
    const keyed = await start({ shoppers: 1, keys: 'k' });
    const flow = keyed.source.caller(0);
    const first = flow.next(undefined);
    const again = flow.next(answerOf(0, '', 1_000));
    expect(again?.bytes).toBe(first?.bytes);
    expect(again?.dueMs).toBeGreaterThan(1_000);
    expect(flow.next(held('ik_1', 200))).toBeUndefined();
    expect(keyed.tally()).toMatchObject({ held: 1, repeated: 1, unknownUnits: 0 });
    const bare = await start({ shoppers: 2 });
    const other = bare.source.caller(0);
    other.next(undefined);
    other.next(answerOf(0, ''));
    // Overloaded says that nothing was changed: it leaves nothing open.
    expect(other.next(answerOf(503, OVERLOADED))).toBeUndefined();
    expect(bare.tally()).toMatchObject({ held: 0, overloaded: 1, unknownUnits: 1 });
  });

  it('that were never answered stay open, though the last try was refused', async () => {
    const { source, tally } = await start({ shoppers: 1, keys: 'k' });
    const flow = source.caller(0);
    flow.next(undefined);
    let request = flow.next(answerOf(0, ''));
    while (request !== undefined) request = flow.next(answerOf(503, OVERLOADED));
    expect(tally()).toMatchObject({ held: 0, unknownUnits: 1 });
  });

  it('stop the load with an answer that none should get', async () => {
    const { source } = await start({});
    const flow = source.caller(0);
    flow.next(undefined);
    expect(() => flow.next(answerOf(422, '{"code":"invalid_request"}'))).toThrow('422');
  });

  it('want the carts of the real invoices, line by line', async () => {
    const wishes = { kind: 'real carts', warehouse: 'A', cartsMax: 3 } as const;
    const { source, tally } = await start({ wishes, shoppers: 4 });
    const flow = source.caller(0);
    const bodies = [read(flow.next(undefined)).body];
    for (let n = 0; n < 3; n++) bodies.push(read(flow.next(held(`hf_${n}`))).body);
    expect(bodies[3]).toBe(bodies[0]);
    expect(new Set(bodies).size).toBe(3);
    flow.next(held('hf_3'));
    const lines = bodies.flatMap((body) => JSON.parse(body) as { quantity: number }[]);
    const units = lines.reduce((sum, { quantity }) => sum + quantity, 0);
    expect(tally()).toMatchObject({ heldLines: lines.length, heldUnits: units });
  });
});

describe('a storm of retries', () => {
  const params: RetriesParams = {
    ...{ seed: 'test', skus: { prefix: 'S', count: 3 }, warehouse: 'A', keys: 'k' },
    ...{ copiesMax: 5, openMax: 2 },
  };
  type Server = (key: string, nth: number) => FlowAnswer;

  /** Four callers in turn, so that up to four copies are under way. */
  async function storm(server: Server, requests = 400): Promise<Readonly<Record<string, number>>> {
    const source = await createFlow({ name: 'retries', params }, TARGET);
    const callers: { flow: Flow; asked: FlowRequest | undefined }[] = [0, 1, 2, 3].map((n) => {
      const flow = source.caller(n);
      return { flow, asked: flow.next(undefined) };
    });
    const counts = new Map<string, number>();
    for (let n = 0; n < requests; n++) {
      const caller = callers[n % callers.length];
      if (caller === undefined) throw new Error('no caller');
      const { key = '' } = read(caller.asked);
      const nth = counts.get(key) ?? 0;
      counts.set(key, nth + 1);
      caller.asked = caller.flow.next(server(key, nth));
    }
    return { ...source.tally?.(), asked: counts.size, copies: Math.max(...counts.values()) };
  }

  it('finds nothing wrong where one copy makes the hold and the others show it', async () => {
    const tally = await storm((key, nth) => held(`ik_${key}`, nth === 0 ? 201 : 200));
    expect(tally).toMatchObject({ violations: 0, unknownUnits: 0, copies: 5 });
    expect(tally.held).toBe(tally.asked);
    expect(tally.keys).toBe(tally.asked);
    expect(tally.together).toBeGreaterThan(0);
    expect((tally.held ?? 0) + (tally.replays ?? 0)).toBe(400);
  });

  it.each<[string, Server]>([
    ['two holds under one key', (key) => held(`ik_${key}`)],
    ['two ids', (key, nth) => held(`ik_${key}_${nth}`, nth === 0 ? 201 : 200)],
    ['a hold that nobody made', (key) => held(`ik_${key}`, 200)],
  ])('finds %s', async (_, server) => {
    const { violations = 0 } = await storm(server);
    expect(violations).toBeGreaterThan(0);
  });

  it('takes an answer that did not come for the one that made the hold', async () => {
    const lost = await storm((key, nth) => (nth === 0 ? answerOf(0, '') : held(`ik_${key}`, 200)));
    expect(lost.violations).toBe(0);
    expect((lost.held ?? 0) + (lost.unknownUnits ?? 0)).toBe(lost.asked);
  });

  it('has no hold where every copy was refused, and none that is open', async () => {
    const refused = await storm(() => answerOf(503, OVERLOADED));
    expect(refused).toMatchObject({ violations: 0, held: 0, unknownUnits: 0, overloaded: 400 });
    // All but the keys whose copies were not all sent when the load ended.
    expect(refused.keys).toBeGreaterThan(0);
    expect(refused.refusedKeys).toBe(refused.keys);
    // One refusal before the hold: the key is no refused one.
    const late = await storm((key, nth) =>
      nth === 0 ? answerOf(503, OVERLOADED) : held(`ik_${key}`, nth === 1 ? 201 : 200),
    );
    expect(late.violations).toBe(0);
    expect((late.held ?? 0) + (late.refusedKeys ?? 0)).toBe(late.keys);
    // Keys of a single copy.
    expect(late.refusedKeys).toBeGreaterThan(0);
    expect(late.refusedKeys).toBeLessThan(late.keys ?? 0);
    // No answer at all is no refusal.
    const silent = await storm(() => answerOf(0, ''));
    expect(silent).toMatchObject({ violations: 0, held: 0, refusedKeys: 0 });
    expect(silent.unknownUnits).toBe(silent.keys);
  });
});

describe('a unit that is sold again', () => {
  const params = { prefix: 'S', warehouse: 'A', everyMs: 10 };
  const heldUntil = (deadlineMs: number, atMs: number): FlowAnswer => {
    const expires_at = new Date(deadlineMs).toISOString();
    return answerOf(201, JSON.stringify({ reservation_id: 'hf_1', expires_at }), atMs);
  };

  it('is asked for from its deadline on, and what stayed open is told', async () => {
    const source = await createFlow({ name: 'resale', params }, TARGET);
    const flow = source.caller(2);
    const first = read(flow.next(undefined));
    expect(JSON.parse(first.body)).toMatchObject({ ttl_seconds: 1, items: [{ sku_id: 'S2' }] });
    // An answer that did not come may have made a hold; who is sent away has none.
    expect(read(flow.next(answerOf(0, '', 100))).dueMs).toBe(110);
    flow.next(answerOf(503, OVERLOADED, 200));
    flow.next(answerOf(409, '{"code":"insufficient"}', 300));
    expect(source.tally?.()).toMatchObject({ held: 0, unknownUnits: 1 });
    flow.next(answerOf(503, '{"code":"durability_unknown"}', 400));
    const now = Date.now();
    const next = read(flow.next(heldUntil(now + 60_000, 500)));
    expect(next.dueMs).toBeGreaterThan(500);
    expect(next.dueMs).toBeLessThanOrEqual(60_500);
    flow.next(heldUntil(now + 120_000, 60_600));
    expect(source.tally?.()).toMatchObject({ held: 2, heldUnits: 2, resold: 1, unknownUnits: 2 });
    expect(source.tally?.().early).toBe(1);
  });

  it('is asked for before its deadline where what the engine believes shall count', async () => {
    const before = { ...params, beforeMs: 100 };
    const source = await createFlow({ name: 'resale', params: before }, TARGET);
    const flow = source.caller(0);
    flow.next(undefined);
    const next = read(flow.next(heldUntil(Date.now() + 60_000, 0)));
    expect(next.dueMs).toBeLessThanOrEqual(59_900);
  });
});

describe('the replay', () => {
  it('asks in each order’s order, leaves out what a refusal ends, and does every step once', async () => {
    const source = await createFlow({ name: 'replay', params: { speed: 1e12 } }, TARGET);
    const refusedOrders = new Set<string>();
    for (let n = 0; n < TARGET.callers; n++) {
      const flow = source.caller(n);
      let request = flow.next(undefined);
      for (let nth = 0; request !== undefined; nth++) {
        const { path, body } = read(request);
        const { reservation_id: id = '' } = JSON.parse(body) as { reservation_id?: string };
        expect(refusedOrders).not.toContain(id);
        const isRefused = path.endsWith('/reserve') && nth % 5 === 0;
        if (isRefused) refusedOrders.add(id);
        request = flow.next(answerOf(isRefused ? 409 : 200, '{}'));
      }
    }
    const tally = source.tally?.() ?? {};
    const { reserve = 0, refused = 0, skipped = 0, commit = 0, release = 0, cancel = 0 } = tally;
    const { receive = 0, adjust = 0 } = tally;
    expect(reserve + refused).toBe(423);
    expect(refused).toBe(refusedOrders.size);
    expect(reserve + refused + skipped + commit + release + cancel + receive + adjust).toBe(988);
    expect(tally.failed).toBeUndefined();
  });
});

describe('the id in an answer', () => {
  it('is read from its text', () => {
    expect(reservationIdIn(held('hf_77').text())).toBe('hf_77');
    expect(() => reservationIdIn('{"status":"held"}')).toThrow('no reservation_id');
  });
});
