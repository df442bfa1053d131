/** Catalogue, stock and availability through HTTP on real stores; and the pages of the service. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestAnswer, TestEngine } from '../../testing/engine.ts';
import { startTestEngine } from '../../testing/engine.ts';
import { untilTold } from '../../testing/told.ts';
import { compileBody } from '../schema.ts';
import {
  availabilitiesAnswer,
  availabilityAnswer,
  movementAnswer,
  productAnswer,
  warehouseAnswer,
} from '../schema-answers.ts';
import type { Api } from '../testing/api.ts';
import { apiOf, expectProblem, until } from '../testing/api.ts';

const key = (name: string) => ({ 'idempotency-key': name });

let engine: TestEngine;
let api: Api;

const get = (path: string, headers?: Record<string, string>) =>
  fetch(engine.url + path, headers === undefined ? {} : { headers });

function expectBody(
  answer: TestAnswer,
  status: number,
  check: ReturnType<typeof compileBody>,
): TestAnswer['body'] {
  expect({ status: answer.status, body: answer.body }).toMatchObject({ status });
  expect(check(answer.body as never)).toHaveProperty('body');
  return answer.body;
}

beforeAll(async () => {
  engine = await startTestEngine();
  api = apiOf(engine);
  await engine.stock({ 'BASE@LON': 1 });
});

afterAll(async () => {
  await engine?.close();
});

describe('the catalogue', () => {
  it('describes a product, replaces its description, and makes its SKU known', async () => {
    const put = (body: unknown) => engine.call('PUT', '/api/v1/products/CUP', body);
    const isProduct = compileBody(productAnswer);
    const whole = { name: 'Tasse', weight_g: 350, attributes: { hue: 'blau' } };
    expect(expectBody(await put(whole), 201, isProduct)).toMatchObject({
      sku_id: 'CUP',
      description: null,
      durability: 'persisted',
      ...whole,
    });
    expect(expectBody(await put({ name: 'Cup' }), 200, isProduct)).toMatchObject({
      weight_g: null,
      attributes: {},
    });
    expect((await api.available('CUP')).body).toMatchObject({ total_available: 0, warehouses: [] });
    expectProblem(await api.reserve([{ sku_id: 'CUP', quantity: 1 }]), 'insufficient');
  });

  it('describes a warehouse, with defaults for what is not said', async () => {
    const put = (body: unknown) => engine.call('PUT', '/api/v1/warehouses/BER', body);
    const isWarehouse = compileBody(warehouseAnswer);
    const said = { name: 'Berlin', time_zone: 'Europe/Berlin', latitude: 52.5, longitude: 13.4 };
    expect(expectBody(await put(said), 201, isWarehouse)).toEqual({
      warehouse_id: 'BER',
      ...said,
      location: null,
      cut_off: '14:00',
      handling_days: 0,
      capacity: null,
    });
    expectBody(await put({ cut_off: '09:30', capacity: 5 }), 200, isWarehouse);
    const { rows } = await engine.serving.engine.pool.query(
      `SELECT name, time_zone, cut_off, capacity FROM warehouses WHERE warehouse_id = 'BER'`,
    );
    expect(rows).toEqual([{ name: null, time_zone: 'UTC', cut_off: '09:30:00', capacity: 5 }]);
  });

  it('refuses what cannot be', async () => {
    const put = (path: string, body: unknown) => engine.call('PUT', `/api/v1/${path}`, body);
    const zone = await put('warehouses/X', { time_zone: 'Mars/Olympus' });
    expect(expectProblem(zone, 'invalid_request').errors).toMatchObject([
      { pointer: '/time_zone' },
    ]);
    expectProblem(await put('warehouses/a%20b', {}), 'invalid_request');
    expectProblem(await put(`products/${'x'.repeat(65)}`, {}), 'invalid_request');
    expectProblem(await put('products/X', { colour: 'red' }), 'invalid_request');
    expectProblem(await put('products/X', []), 'invalid_request');
  });

  it('tells another engine of a warehouse when that one asks', async () => {
    const another = await engine.startAnother();
    const receipt = { sku_id: 'BASE', warehouse_id: 'NEW', quantity: 1 };
    const elsewhere = async () => {
      const response = await fetch(`${another.url}/api/v1/stock/receive`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(receipt),
      });
      return response.status;
    };
    expect(await elsewhere()).toBe(404);
    await engine.call('PUT', '/api/v1/warehouses/NEW', {});
    expect(await elsewhere()).toBe(200);
  });
});

describe('stock operations', () => {
  const isMovement = compileBody(movementAnswer);

  it('receive several lines, with costs and a reference, into the ledger', async () => {
    await engine.stock({ 'REC@LON': 0, 'REC@PAR': 0 });
    const body = {
      reason: 'purchase',
      reference: { type: 'purchase_order', id: 'PO-77' },
      lines: [
        { sku_id: 'REC', warehouse_id: 'LON', quantity: 5, unit_cost: '2.35', currency: 'GBP' },
        { sku_id: 'REC', warehouse_id: 'PAR', quantity: 3, unit_cost: 0.5 },
        { sku_id: 'REC', warehouse_id: 'LON', quantity: 1 },
      ],
    };
    const first = expectBody(await api.receive(body, key('rec')), 200, isMovement);
    expect(first).toMatchObject({
      replayed: false,
      durability: 'persisted',
      cells: [
        { sku_id: 'REC', warehouse_id: 'LON', available_qty: 6 },
        { sku_id: 'REC', warehouse_id: 'PAR', available_qty: 3 },
        { sku_id: 'REC', warehouse_id: 'LON', available_qty: 6 },
      ],
    });
    const { rows } = await engine.serving.engine.pool.query(
      `SELECT movement_id, dest_warehouse, quantity, movement_type, reason, reference_type,
              reference_id, unit_cost, currency
       FROM movements WHERE movement_id = ANY($1) ORDER BY idx`,
      [first.movement_ids],
    );
    const about = {
      movement_type: 'receive',
      reason: 'purchase',
      reference_type: 'purchase_order',
      reference_id: 'PO-77',
    };
    const ids = first.movement_ids as string[];
    expect(rows).toEqual([
      {
        movement_id: ids[0],
        dest_warehouse: 'LON',
        quantity: 5,
        ...about,
        unit_cost: '2.35',
        currency: 'GBP',
      },
      {
        movement_id: ids[1],
        dest_warehouse: 'PAR',
        quantity: 3,
        ...about,
        unit_cost: '0.5',
        currency: 'EUR',
      },
      {
        movement_id: ids[2],
        dest_warehouse: 'LON',
        quantity: 1,
        ...about,
        unit_cost: null,
        currency: null,
      },
    ]);

    await api.adjust({ sku_id: 'REC', warehouse_id: 'PAR', quantity: -1, reason: 'loss' });
    const again = await api.receive(body, key('rec'));
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(expectBody(again, 200, isMovement)).toMatchObject({
      replayed: true,
      operation_id: first.operation_id,
      movement_ids: ids,
      cells: [{ available_qty: 6 }, { available_qty: 2 }, { available_qty: 6 }],
    });
    const other = { ...body, reason: 'other' };
    expectProblem(await api.receive(other, key('rec')), 'exists_with_different_payload');
  });

  it('adjust one line, never below what is there, all lines or none', async () => {
    await engine.stock({ 'ADJ@LON': 5 });
    const line = { sku_id: 'ADJ', warehouse_id: 'LON' };
    const damaged = await api.adjust({ ...line, quantity: -2, reason: 'damage' });
    expect(expectBody(damaged, 200, isMovement).cells).toMatchObject([{ available_qty: 3 }]);
    const lines = [
      { ...line, quantity: 10 },
      { ...line, quantity: -14 },
    ];
    const tooMuch = expectProblem(
      await api.adjust({ lines, reason: 'cycle_count' }),
      'insufficient',
    );
    expect(tooMuch.errors).toMatchObject([{ pointer: '/lines/1/quantity' }]);
    expect((await api.available('ADJ')).body.total_available).toBe(3);
    const zero = await api.adjust({ ...line, quantity: 0, reason: 'damage' });
    expect(expectProblem(zero, 'invalid_request').errors).toMatchObject([{ pointer: '/quantity' }]);
    const short = await api.adjust({ ...line, quantity: -9, reason: 'damage' });
    expect(expectProblem(short, 'insufficient').errors).toMatchObject([{ pointer: '/quantity' }]);
  });

  it('do not take units that are reserved', async () => {
    await engine.stock({ 'HELD@LON': 3 });
    await api.reserve([{ sku_id: 'HELD', quantity: 2 }]);
    const loss = { sku_id: 'HELD', warehouse_id: 'LON', quantity: -2, reason: 'theft' };
    expectProblem(await api.adjust(loss), 'insufficient');
  });

  it('answer at a lower level, when that is preferred', async () => {
    const answer = await api.receive(
      { sku_id: 'BASE', warehouse_id: 'LON', quantity: 1 },
      { prefer: 'durability=memory' },
    );
    expect(expectBody(answer, 200, isMovement).durability).toBe('memory');
    expect(answer.headers.get('preference-applied')).toBe('durability=memory');
  });
});

describe('availability', () => {
  it('has the shape of the issue', async () => {
    await engine.stock({ 'AV@LON': 5, 'AV@7': 2 });
    await api.reserve([{ sku_id: 'AV', warehouse_id: 7, quantity: 2 }]);
    const answer = await api.available('AV');
    const body = expectBody(answer, 200, compileBody(availabilityAnswer));
    expect(body).toEqual({
      sku_id: 'AV',
      total_available: 5,
      version: 3,
      as_of: expect.any(String),
      warehouses: [
        {
          warehouse_id: '7',
          available_qty: 0,
          reserved_qty: 2,
          allocated_qty: 0,
          estimated_ship_date: null,
        },
        {
          warehouse_id: 'LON',
          available_qty: 5,
          reserved_qty: 0,
          allocated_qty: 0,
          estimated_ship_date: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
        },
      ],
    });
    expect(Math.abs(Date.parse(String(body.as_of)) - Date.now())).toBeLessThan(10_000);
  });

  it('answers for many SKUs at once, and says which are not known', async () => {
    await engine.stock({ 'M1@LON': 1, 'M2@LON': 2 });
    const path = '/api/v1/inventory/availability';
    const answer = await engine.call('POST', path, { sku_ids: ['M1', 'NOBODY', 'M2', 'M1'] });
    expect(expectBody(answer, 200, compileBody(availabilitiesAnswer))).toMatchObject({
      skus: [
        { sku_id: 'M1', total_available: 1 },
        { sku_id: 'M2', total_available: 2 },
      ],
      unknown: ['NOBODY'],
    });
    expectProblem(await engine.call('POST', path, { sku_ids: [] }), 'invalid_request');
  });
});

describe('the service', () => {
  it('is alive and ready', async () => {
    expect((await engine.call('GET', '/healthz')).body).toMatchObject({ status: 'ok' });
    const ready = await engine.call('GET', '/readyz');
    expect([ready.status, ready.body]).toEqual([
      200,
      { status: 'ready', checks: { redis: 'ok', lane: 'ok', postgres: 'ok', log: 'ok' } },
    ]);
  });

  it('counts what it does', async () => {
    await api.available('BASE');
    const response = await get('/metrics');
    expect(response.headers.get('content-type')).toContain('text/plain');
    const text = await response.text();
    const route = 'route="/api/v1/inventory/{sku_id}/availability",status="200"';
    expect(text).toContain(`holdfast_http_requests_total{${route}}`);
    expect(text).toContain('holdfast_outcomes_total{operation="reserve",outcome="insufficient"}');
    expect(text).toContain('holdfast_lane_batch_operations_bucket{script="submit",le="1"}');
  });

  it('explains its problems, to people and to programs', async () => {
    const page = await get('/problems/insufficient');
    expect(page.headers.get('content-type')).toContain('text/plain');
    expect(await page.text()).toContain('insufficient (HTTP 409)');
    const json = await get('/problems/insufficient', { accept: 'application/json' });
    expect(await json.json()).toMatchObject({ code: 'insufficient', status: 409, retryable: true });
    expect((await get('/problems/nothing')).status).toBe(404);
    expect(await (await get('/problems')).text()).toContain('hold_lost (HTTP 409)');
  });

  it('serves its description', async () => {
    const document = await (await get('/openapi.json')).json();
    expect(document).toMatchObject({ openapi: '3.1.0' });
  });

  it('refuses bodies that are none, and changes nothing', async () => {
    const post = (body: string, type = 'application/json') =>
      fetch(`${engine.url}/api/v1/inventory/reserve`, {
        method: 'POST',
        headers: { 'content-type': type },
        body,
      });
    const cart = JSON.stringify([{ sku_id: 'BASE', quantity: 1 }]);
    const codeOf = async (response: Response) => {
      const body = (await response.json()) as { code: string };
      return [response.status, body.code];
    };
    expect(await codeOf(await post('{"items":'))).toEqual([400, 'malformed_json']);
    expect(await codeOf(await post(''))).toEqual([400, 'malformed_json']);
    expect(await codeOf(await post(`[${cart}`.repeat(20)))).toEqual([400, 'malformed_request']);
    expect(await codeOf(await post(cart, 'text/plain'))).toEqual([415, 'unsupported_media_type']);
    expect(await codeOf(await post(' '.repeat(1_048_577)))).toEqual([413, 'body_too_large']);
    const before = (await api.available('BASE')).body.total_available;
    expect(await codeOf(await post('[{"sku_id":"BASE","quantity":1,"quantity":0}]'))).toEqual([
      400,
      'invalid_request',
    ]);
    expect((await api.available('BASE')).body.total_available).toBe(before);
  });

  it('says what is wrong while the lane is closed, and shows what PostgreSQL knows', async () => {
    await engine.stock({ 'STALE@LON': 4 });
    const reopen = await engine.closeLane();
    try {
      expectProblem(await api.reserve([{ sku_id: 'STALE', quantity: 1 }]), 'fenced');
      expectProblem(await api.look('anything'), 'fenced');
      // On a busy machine PostgreSQL may be too slow for a page, which is told so: 503.
      const stale = await untilTold(() => api.available('STALE'));
      expect(expectBody(stale, 200, compileBody(availabilityAnswer))).toMatchObject({
        stale: true,
        total_available: 4,
        warehouses: [{ warehouse_id: 'LON', available_qty: 4 }],
      });
      expect(Math.abs(Date.parse(String(stale.body.as_of)) - Date.now())).toBeLessThan(60_000);
      expectProblem(await untilTold(() => api.available('NOBODY')), 'unknown_sku');
      const ready = await engine.call('GET', '/readyz');
      // It still has answers to give, and no other engine has better ones.
      expect(ready.status).toBe(200);
      expect(ready.body).toMatchObject({
        status: 'degraded',
        checks: { redis: 'ok', postgres: 'ok', lane: expect.stringContaining('fenced') },
      });
    } finally {
      await reopen();
    }
    const sold = await until(
      () => api.reserve([{ sku_id: 'STALE', quantity: 1 }]),
      ({ status }) => status !== 503,
    );
    expect(sold.status).toBe(201);
  });
});
