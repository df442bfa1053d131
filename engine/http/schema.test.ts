import type { TSchema } from 'typebox';
import { describe, expect, it } from 'vitest';
import type { JsonValue } from './json.ts';
import type { BodyCheck } from './schema.ts';
import { availabilityRequest, compileBody, requestSchemas } from './schema.ts';
import { FAULTS_MAX } from './schema-faults.ts';
import { adjustRequest, productRequest, receiveRequest, warehouseRequest } from './schema-stock.ts';

const schemas = requestSchemas();

function faultsOf<Body>(check: BodyCheck<Body>, value: JsonValue): [string, string][] {
  const checked = check(value);
  return 'faults' in checked
    ? checked.faults.map(({ pointer, message }) => [pointer, message])
    : [];
}

describe('the body of a reserve', () => {
  const items = compileBody(schemas.reserveItems);
  const object = compileBody(schemas.reserve);
  const item = { sku_id: 'MUG', quantity: 1 };

  it.each([
    [[item]],
    [[{ sku_id: 7, warehouse_id: 1, quantity: 1_000_000_000 }]],
    [[{ ...item, warehouse_id: ['LON', 2] }]],
    [Array.from({ length: 1_000 }, () => item)],
  ])('is taken: %j', (value) => {
    expect(faultsOf(items, value)).toEqual([]);
  });

  it.each<[JsonValue, string, string]>([
    [[], '', 'must have 1 to 1000 elements, not 0'],
    [Array.from({ length: 1_001 }, () => item), '', 'must have 1 to 1000 elements, not 1001'],
    [[null], '/0', 'must be an object, not null'],
    [[[item]], '/0', 'must be an object, not an array'],
    [[{ quantity: 1 }], '/0/sku_id', 'is missing; it is an id: 1 to 64 characters'],
    [[{ sku_id: 'A' }], '/0/quantity', 'is missing; it is an integer from 1 to 1000000000'],
    [[{ ...item, quantity: 0 }], '/0/quantity', 'must be an integer from 1 to 1000000000, not 0'],
    [[{ ...item, quantity: -1 }], '/0/quantity', ', not -1'],
    [[{ ...item, quantity: 1.5 }], '/0/quantity', ', not 1.5'],
    [[{ ...item, quantity: 1e300 }], '/0/quantity', ', not 1e+300'],
    [[{ ...item, quantity: Number.POSITIVE_INFINITY }], '/0/quantity', ', not Infinity'],
    [[{ ...item, quantity: '1' }], '/0/quantity', ', not "1"'],
    [[{ ...item, quantity: null }], '/0/quantity', ', not null'],
    [[{ ...item, sku_id: '' }], '/0/sku_id', 'must be an id: 1 to 64 characters'],
    [[{ ...item, sku_id: 'a b' }], '/0/sku_id', 'not "a b"'],
    [[{ ...item, sku_id: 'a\n' }], '/0/sku_id', 'not "a\\n"'],
    [[{ ...item, sku_id: 'x'.repeat(65) }], '/0/sku_id', '(67 characters)'],
    [[{ ...item, sku_id: 1.5 }], '/0/sku_id', ', not 1.5'],
    [[{ ...item, sku_id: -1 }], '/0/sku_id', ', not -1'],
    [[{ ...item, sku_id: true }], '/0/sku_id', ', not true'],
    [[{ ...item, warehouse_id: [] }], '/0/warehouse_id', 'must have 1 to 32 elements, not 0'],
    [[{ ...item, warehouse_id: ['A', {}] }], '/0/warehouse_id/1', ', not an object'],
    [[{ ...item, warehouse_id: null }], '/0/warehouse_id', 'or a list of them'],
    [
      [{ ...item, qty: 1 }],
      '/0/qty',
      'is not a field here; the fields are sku_id, warehouse_id, quantity',
    ],
    [[{ ...item, 'a/b~c': 1 }], '/0/a~1b~0c', 'is not a field here'],
  ])('is refused: %j', (value, pointer, message) => {
    const faults = faultsOf(items, value);
    expect(faults.map(([at]) => at)).toContain(pointer);
    expect(faults[0]?.[1]).toContain(message);
  });

  it('may say more than items', () => {
    const whole = {
      items: [item],
      reservation_id: 'order-1',
      order_id: '#1001 / A',
      customer_id: 17,
      channel: 'web',
      ttl_seconds: 3_600,
      mode: 'partial',
      split: false,
    };
    expect(faultsOf(object, whole)).toEqual([]);
  });

  it.each<[JsonValue, string, string]>([
    [{}, '/items', 'is missing'],
    [{ items: [item], ttl_seconds: 0 }, '/ttl_seconds', 'an integer from 1 to 3600, not 0'],
    [{ items: [item], ttl_seconds: 3_601 }, '/ttl_seconds', 'not 3601'],
    [{ items: [item], mode: 'some' }, '/mode', 'must be one of all, partial, not "some"'],
    [{ items: [item], split: 1 }, '/split', 'must be true or false, not 1'],
    [{ items: [item], order_id: 'ü' }, '/order_id', 'printable ASCII'],
    [{ items: [item], order_id: '' }, '/order_id', 'printable ASCII'],
    [{ items: [item], channel: 5 }, '/channel', 'an id'],
    [{ items: [item], constructor: 1 }, '/constructor', 'is not a field here'],
    ['MUG', '', 'must be an object, not "MUG"'],
    [null, '', 'must be an object, not null'],
  ])('is refused: %j', (value, pointer, message) => {
    const [fault] = faultsOf(object, value);
    expect(fault?.[0]).toBe(pointer);
    expect(fault?.[1]).toContain(message);
  });

  it('has its bounds from the deployment', () => {
    const short = compileBody(requestSchemas({ ttlMinS: 5, ttlMaxS: 9 }).reserve);
    const [fault] = faultsOf(short, { items: [item], ttl_seconds: 10 });
    expect(fault?.[1]).toBe('must be an integer from 5 to 9, not 10');
  });

  it('names at most ten faults', () => {
    const bad = Array.from({ length: 500 }, () => ({ sku_id: '', quantity: 0 }));
    expect(faultsOf(items, bad)).toHaveLength(FAULTS_MAX);
  });
});

describe('bodies about stock', () => {
  const product = compileBody(productRequest);

  it('let a product say anything that can be kept', () => {
    const text = 'Becher — 350 ml\nspülmaschinenfest 🍵';
    expect(
      faultsOf(product, { description: text, attributes: { hue: 'blau', 'max.load': 3.5 } }),
    ).toEqual([]);
    expect(faultsOf(product, { name: 'a\nb' })[0]?.[0]).toBe('/name');
    expect(faultsOf(product, { name: 'a\0' })[0]?.[0]).toBe('/name');
    expect(faultsOf(product, { description: '\ud800' })[0]?.[0]).toBe('/description');
    expect(faultsOf(product, { attributes: { a: {} } })[0]?.[0]).toBe('/attributes/a');
    expect(faultsOf(product, { attributes: { 'a b': 1 } })[0]?.[1]).toContain('has a name');
  });

  it.each<[TSchema, JsonValue, string]>([
    [receiveRequest.single, { sku_id: 'A', warehouse_id: 'X', quantity: -1 }, '/quantity'],
    [receiveRequest.several, { lines: [] }, '/lines'],
    [adjustRequest.single, { sku_id: 'A', warehouse_id: 'X', quantity: 1 }, '/reason'],
    [
      adjustRequest.several,
      { reason: 'mood', lines: [{ sku_id: 'A', warehouse_id: 'X', quantity: 1 }] },
      '/reason',
    ],
    [
      receiveRequest.single,
      { sku_id: 'A', warehouse_id: 'X', quantity: 1, unit_cost: '1.23456' },
      '/unit_cost',
    ],
    [
      receiveRequest.single,
      { sku_id: 'A', warehouse_id: 'X', quantity: 1, currency: 'eur' },
      '/currency',
    ],
    [warehouseRequest, { latitude: 91 }, '/latitude'],
    [warehouseRequest, { cut_off: '24:00' }, '/cut_off'],
    [warehouseRequest, { handling_days: 366 }, '/handling_days'],
    [availabilityRequest, { sku_ids: [] }, '/sku_ids'],
  ])('%# are refused where they are wrong', (schema, value, pointer) => {
    expect(faultsOf(compileBody(schema), value)[0]?.[0]).toBe(pointer);
  });
});
