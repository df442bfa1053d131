/** The walk that names faults must agree with the compiled check on what is one. */
import fc from 'fast-check';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { describe, it } from 'vitest';
import type { JsonValue } from './json.ts';
import { availabilityRequest, requestSchemas } from './schema.ts';
import { findFaults } from './schema-faults.ts';
import { adjustRequest, productRequest, receiveRequest, warehouseRequest } from './schema-stock.ts';

const seed = Number(process.env.HOLDFAST_TEST_SEED ?? Math.trunc(Math.random() * 2 ** 31));
console.info(`seed ${seed} (HOLDFAST_TEST_SEED=${seed} repeats it)`);

describe('findFaults', () => {
  const all: readonly TSchema[] = [
    ...Object.values(requestSchemas()),
    availabilityRequest,
    receiveRequest.single,
    receiveRequest.several,
    adjustRequest.single,
    productRequest,
    warehouseRequest,
  ];
  const odd = fc.constantFrom<JsonValue>(
    0,
    1,
    -1,
    1.5,
    1e300,
    2 ** 53,
    Number.POSITIVE_INFINITY,
    '',
    'A',
    'a b',
    '12:30',
    'x'.repeat(65),
    '\ud800',
    '\0',
    'GBP',
    '2.50',
    true,
    null,
    'damage',
    'partial',
  );
  const keys = ['sku_id', 'warehouse_id', 'quantity', 'items', 'lines', 'reservation_id', 'mode'];
  const more = ['ttl_seconds', 'attributes', 'unit_cost', 'reason', 'sku_ids', 'cut_off', 'zzz'];
  const value = fc.letrec<{ any: JsonValue }>((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      odd,
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...keys, ...more), tie('any'), { maxKeys: 4 }),
    ),
  })).any;

  it('finds something wrong exactly where the compiled check does', () => {
    for (const schema of all) {
      const validator = Compile(schema);
      fc.assert(
        fc.property(
          value,
          (body) => (findFaults(schema, body).length === 0) === validator.Check(body),
        ),
        { seed, numRuns: 400 },
      );
    }
  });
});
