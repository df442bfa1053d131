/**
 * Durability levels through the API, on a Redis group: defaults, classes and preferences; and what
 * is answered while the primary's replicas hang, so that nothing can be replicated.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestAnswer, type TestEngine } from './engine.ts';
import {
  hasGroups,
  startRedisGroup,
  type TestRedisGroup,
  type TestRedisNode,
} from './redis-group.ts';

const SOON = { timeout: 60_000, interval: 50 };
const CLASSES = {
  hot: { reserve: 'memory' },
  jewel: { reserve: 'logged', commit: 'persisted', stock: 'memory' },
};

let group: TestRedisGroup;
let engine: TestEngine;
let replicas: TestRedisNode[];

describe.runIf(hasGroups())('durability levels on a group', () => {
  beforeAll(async () => {
    // A primary that sees no replica would take no writes at all: here it shall, and not confirm.
    group = await startRedisGroup({ args: ['--min-replicas-to-write', '0'] });
    const primary = await group.primary();
    replicas = group.nodes.filter((node) => node !== primary);
    engine = await startTestEngine({
      redisUrl: group.url,
      settings: {
        HOLDFAST_DURABILITY_WAIT_MS: '1000',
        HOLDFAST_DURABILITY_CLASSES: JSON.stringify(CLASSES),
      },
    });
    const makes = (sku: string, description: object) =>
      engine.call('PUT', `/api/v1/products/${sku}`, description);
    await makes('HOT', { class: 'hot' });
    await makes('RING', { class: 'jewel' });
    await makes('OTHER', { class: 'unheard-of' });
    await engine.call('PUT', '/api/v1/warehouses/A', { name: 'A' });
    const lines = ['HOT', 'RING', 'OTHER'].map((sku) => ({
      ...{ sku_id: sku, warehouse_id: 'A', quantity: 1_000 },
    }));
    expect((await engine.call('POST', '/api/v1/stock/receive', { lines })).status).toBe(200);
  }, 180_000);
  afterAll(async () => {
    for (const node of replicas ?? []) node.resume();
    await engine?.close();
    await group?.stop();
  });

  const ask = (verb: string, body: unknown, level?: string): Promise<TestAnswer> =>
    engine.call(
      ...(['POST', `/api/v1/inventory/${verb}`, body] as const),
      level === undefined ? {} : { prefer: `durability=${level}` },
    );
  const reserve = (skus: readonly string[], level?: string): Promise<TestAnswer> =>
    ask(
      'reserve',
      skus.map((sku) => ({ sku_id: sku, quantity: 1 })),
      level,
    );
  const levelOf = ({ body }: TestAnswer): unknown => body.durability ?? body.code;

  it('are the request’s before the class’s before the deployment’s, the strongest of a cart', async () => {
    expect(levelOf(await reserve(['OTHER'])), 'there are replicas').toBe('replicated');
    expect(levelOf(await reserve(['HOT']))).toBe('memory');
    expect(levelOf(await reserve(['RING']))).toBe('logged');
    expect(levelOf(await reserve(['HOT', 'OTHER']))).toBe('replicated');
    expect(levelOf(await reserve(['HOT', 'RING', 'OTHER']))).toBe('logged');
    const preferred = await reserve(['HOT', 'RING'], 'replicated');
    expect(levelOf(preferred)).toBe('replicated');
    expect(preferred.headers.get('preference-applied')).toBe('durability=replicated');
    expect(levelOf(await reserve(['RING'], 'fsync'))).toBe('durability_unavailable');
  });

  it('of a settlement are those of the hold’s lines', async () => {
    const commit = async (skus: readonly string[]): Promise<unknown> => {
      const { body } = await reserve(skus);
      return levelOf(await ask('commit', { reservation_id: body.reservation_id }));
    };
    expect(await commit(['HOT'])).toBe('logged');
    expect(await commit(['HOT', 'RING'])).toBe('persisted');
    const line = { sku_id: 'RING', warehouse_id: 'A', quantity: 1 };
    const received = await engine.call('POST', '/api/v1/stock/receive', line);
    expect(levelOf(received)).toBe('memory');
    const prefer = { prefer: 'durability=replicated' };
    const preferred = await engine.call('POST', '/api/v1/stock/receive', line, prefer);
    expect([preferred.status, levelOf(preferred)]).toEqual([200, 'replicated']);
  });

  it('count from the moment that a product’s class is put', async () => {
    await engine.call('PUT', '/api/v1/products/HOT', { class: 'jewel' });
    expect(levelOf(await reserve(['HOT']))).toBe('logged');
    await engine.call('PUT', '/api/v1/products/HOT', { class: 'hot' });
    expect(levelOf(await reserve(['HOT']))).toBe('memory');
  });

  it('are unknown while nothing can be replicated, and resolved under the same id', async () => {
    const [first, second] = [await reserve(['OTHER']), await reserve(['OTHER'])];
    for (const node of replicas) node.pause();
    const commit = () => ask('commit', { reservation_id: first.body.reservation_id }, 'replicated');
    const unknown = await commit();
    expect(unknown.body).toMatchObject({
      ...{ status: 503, code: 'durability_unknown', retryable: true },
      reservation_id: first.body.reservation_id,
    });
    const look = `/api/v1/inventory/reservations/${String(first.body.reservation_id)}`;
    const prefer = { prefer: 'durability=replicated' };
    const seen = await engine.call('GET', look, undefined, prefer);
    expect(levelOf(seen), 'a look-up waits too').toBe('durability_unknown');
    // Who needs less is served at once, by the same lane.
    expect(levelOf(await reserve(['HOT']))).toBe('memory');
    expect(levelOf(await ask('commit', { reservation_id: second.body.reservation_id }))).toBe(
      'logged',
    );
    const refused = await Promise.all(Array.from({ length: 20 }, () => reserve(['OTHER'])));
    expect(new Set(refused.map(({ status }) => status)), 'none is acknowledged').toEqual(
      new Set([503]),
    );
    for (const node of replicas) node.resume();
    await expect
      .poll(async () => {
        const { status, body } = await commit();
        return [status, body.status, body.durability];
      }, SOON)
      .toEqual([200, 'committed', 'replicated']);
    const now = await engine.call('GET', look, undefined, prefer);
    expect([now.body.status, now.body.durability]).toEqual(['committed', 'replicated']);
  });
});

describe('a level that a deployment cannot keep', () => {
  it('is refused at start, with every setting that asks for it and what to set', async () => {
    const start = startTestEngine({
      settings: {
        HOLDFAST_RESERVE_DURABILITY: 'replicated',
        HOLDFAST_DURABILITY_CLASSES: JSON.stringify({ jewel: { commit: 'fsync' } }),
      },
    }).then((started) => started.close());
    await expect(start).rejects.toThrow(
      /HOLDFAST_RESERVE_DURABILITY \(reserve\): replicated needs replicas[\s\S]*class jewel \(commit\): fsync needs/,
    );
  });
});
