import { describe, expect, it } from 'vitest';
import { NO_ATTRIBUTES, readAttributes } from './attributes.ts';

describe('attributes', () => {
  it('are read by name', () => {
    expect(
      readAttributes(
        '{"order_id":"o","customer_id":"c","channel":"web","actor":"a","reason":"r","reference_type":"po","reference_id":"7"}',
      ),
    ).toEqual({
      ...{ orderId: 'o', customerId: 'c', channel: 'web', actor: 'a', reason: 'r' },
      ...{ referenceType: 'po', referenceId: '7', lines: [] },
    });
  });

  it.each(['', '{', 'null', '7', '"text"', '[1]', '{"order_id":7,"lines":{}}'])(
    'that are not as expected are left out: %s',
    (json) => {
      expect(readAttributes(json)).toEqual(NO_ATTRIBUTES);
    },
  );

  it('lose a zero character, which PostgreSQL cannot store', () => {
    expect(readAttributes('{"reason":"a\\u0000b"}').reason).toBe('a\ufffdb');
  });

  it.each([
    ['"12.50"', '12.50'],
    ['12.5', '12.5'],
    ['-3', '-3'],
    ['"1e3"', undefined],
    ['1e30', undefined],
    ['"NaN"', undefined],
    ['"0.1234567890123"', undefined],
    ['true', undefined],
  ])('a cost of %s is %s', (written, unitCost) => {
    const { lines } = readAttributes(`{"lines":[{"unit_cost":${written}},null]}`);
    expect(lines).toEqual([
      { unitCost, currency: undefined },
      { unitCost: undefined, currency: undefined },
    ]);
  });
});
