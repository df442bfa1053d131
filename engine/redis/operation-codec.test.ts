import { expect, it } from 'vitest';
import type { CellField, Sku } from '../domain/ids.ts';
import { packId } from '../domain/reservation-id.ts';
import type { ReserveOperation } from './operation.ts';
import { BatchEncoder } from './operation-codec.ts';

const SENDING = { epoch: 1, timeMs: 1_000, atMs: 0 };
/** The length of attributes stands in 16 bits. */
const TOO_LONG = 'x'.repeat(70_000);

const reserveOf = (sku: string, more: Partial<ReserveOperation> = {}): ReserveOperation => ({
  kind: 'reserve',
  id: packId(`hf_${'0'.repeat(32)}`),
  fresh: true,
  fingerprint: Buffer.alloc(8, 1),
  ttlS: 600,
  partial: false,
  split: true,
  attributes: '',
  lines: [{ sku: sku as Sku, quantity: 1, fields: ['A' as CellField] }],
  ...more,
});

it.each([
  ['in a run', {}],
  ['in none', { fresh: false }],
])('a batch that cannot be encoded, for one %s, leaves nothing to the next', (_, more) => {
  const encoder = new BatchEncoder(0);
  const bad = [reserveOf('GOOD'), reserveOf('BAD', { ...more, attributes: TOO_LONG })];
  expect(() => encoder.encode(bad, SENDING)).toThrow();
  const good = [reserveOf('NEXT'), reserveOf('LAST', { fresh: false })];
  const { payload } = encoder.encode(good, SENDING);
  expect(payload).toEqual(new BatchEncoder(0).encode(good, SENDING).payload);
});
