import { describe, expect, it } from 'vitest';
import { CommandError } from './api.ts';
import { parseItem } from './try.ts';

describe('parseItem', () => {
  it.each([
    ['MUG', { sku_id: 'MUG', quantity: 1 }],
    ['MUG:3', { sku_id: 'MUG', quantity: 3 }],
    ['MUG@LON', { sku_id: 'MUG', warehouse_id: 'LON', quantity: 1 }],
    ['a:b@LON:12', { sku_id: 'a:b', warehouse_id: 'LON', quantity: 12 }],
  ])('%s', (text, item) => {
    expect(parseItem(text)).toEqual(item);
  });

  it.each(['', 'a b', '@LON', 'MUG@'])('refuses "%s"', (text) => {
    expect(() => parseItem(text)).toThrow(CommandError);
  });
});
