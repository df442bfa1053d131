/** The quick reading of a reserve's body must never say anything else than JSON.parse and the schema. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_RESERVATION_POLICY } from '../../reservations/policy.ts';
import { parseJson } from '../json.ts';
import { checkReserve } from './reserve.ts';
import type { ReserveForm } from './reserve-form.ts';
import { scanReserve } from './reserve-scan.ts';

const seed = Number(process.env.HOLDFAST_TEST_SEED ?? Math.trunc(Math.random() * 2 ** 31));
console.info(`seed ${seed} (HOLDFAST_TEST_SEED=${seed} repeats it)`);
const runs = { seed, numRuns: 15_000 };

const bounds = DEFAULT_RESERVATION_POLICY;
const check = checkReserve(bounds);

/** What JSON.parse and the schema make of the text, as the handler uses it. */
function judged(text: string): ReserveForm | undefined {
  const parsed = parseJson(Buffer.from(text));
  if (parsed.kind !== 'value') return undefined;
  const checked = check(parsed.value);
  return 'body' in checked ? checked.body : undefined;
}

/** Of the object form the schema's result holds the items a second time. */
function shown({ items, itemsPointer, about }: ReserveForm) {
  return { items, itemsPointer, about: { ...about, items: undefined } };
}

const id = fc.stringMatching(/^[A-Za-z0-9._:-]{1,12}$/);
const plainId = fc.oneof(id, fc.nat(), fc.constantFrom('x'.repeat(64), 999_999_999_999_999));
const quantity = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(1_000_000_000));
const reference = fc.oneof(fc.stringMatching(/^[ !#-[\]-~]{1,20}$/), fc.nat());
const optional = { requiredKeys: [] };
const plainItem = fc
  .tuple(fc.record({ sku_id: plainId, quantity }), fc.record({ warehouse_id: plainId }, optional))
  .map(([needed, more]) => ({ ...needed, ...more }));
const plainItems = fc.array(plainItem, { minLength: 1, maxLength: 3 });
const plainSaid = fc.record(
  {
    order_id: reference,
    customer_id: reference,
    reservation_id: plainId,
    channel: id,
    ttl_seconds: fc.integer({ min: bounds.ttlMinS, max: bounds.ttlMaxS }),
  },
  optional,
);
const plain = fc.oneof(
  plainItems,
  fc.tuple(plainItems, plainSaid).map(([items, said]) => ({ ...said, items })),
);
const written = fc
  .tuple(plain, fc.constantFrom(undefined, 1, '\t', ' \n\r'))
  .map(([body, space]) => JSON.stringify(body, null, space));

describe('scanReserve', () => {
  it('reads every plain body as JSON.parse and the schema do', () => {
    const read = (text: string): void => {
      const scanned = scanReserve(text, bounds);
      const slow = judged(text);
      if (scanned === undefined || slow === undefined) throw new Error('it is a plain body');
      expect(shown(scanned)).toEqual(shown(slow));
    };
    fc.assert(fc.property(written, read), { ...runs, numRuns: 3_000 });
  });

  const odd = fc.constantFrom(
    ...['0', '-0', '-1', '00', '01', '1.0', '1.', '.5', '1e1', '1E400', '+1', '1000000001'],
    ...['3601', '9007199254740993', '99999999999999999999', 'true', 'null', 'undefined', '[]'],
    ...['["A"]', '{}', '""', '"\\u0041"', '"a b"', '"a\\"b"', '"\u00e9"', '"\u0000"', '"A', "'A'"],
    ...[`"${'x'.repeat(64)}"`, `"${'x'.repeat(65)}"`, '"__proto__"', '"all"', '"partial"', 'false'],
  );
  const value = fc.oneof(
    { weight: 4, arbitrary: fc.oneof(plainId, quantity).map((each) => JSON.stringify(each)) },
    { weight: 1, arbitrary: odd },
  );
  const key = fc.constantFrom(
    ...['sku_id', 'sku_id', 'warehouse_id', 'quantity', 'quantity', 'qty', 'SKU_ID', ''],
    ...['__proto__', 'sku\\u005fid', 'sku_id '],
  );
  const saidKey = fc.constantFrom(
    ...['items', 'order_id', 'customer_id', 'reservation_id', 'channel', 'ttl_seconds', 'mode'],
    ...['split', 'x', '__proto__'],
  );
  const space = fc.constantFrom('', '', '', ' ', '\n', '\t\r', '\u00a0', '\ufeff', '\v');
  const members = (ofKeys: fc.Arbitrary<string>, ofValues: fc.Arbitrary<string>) =>
    fc
      .array(fc.tuple(ofKeys, ofValues, space), { maxLength: 5 })
      .map((all) => all.map(([k, v, s]) => `${s}"${k}"${s}:${s}${v}${s}`).join(','))
      .map((inner) => `{${inner}}`);
  const oddItem = fc.oneof(
    members(key, value),
    fc.tuple(value, value, value).map(([sku, warehouse, units]) => {
      return `{"sku_id":${sku},"warehouse_id":${warehouse},"quantity":${units}}`;
    }),
    fc.tuple(value, value).map(([sku, units]) => `{"quantity":${units},"sku_id":${sku}}`),
  );
  const oddItems = fc.tuple(fc.array(oddItem, { maxLength: 3 }), space).map(([all, s]) => {
    return `${s}[${s}${all.join(`${s},`)}]${s}`;
  });
  const oddBody = fc.oneof(
    oddItems,
    members(saidKey, fc.oneof(value, oddItems)),
    fc
      .tuple(plainItems, saidKey, value, saidKey, value)
      .map(
        ([items, a, first, b, second]) =>
          `{"${a}":${first},"items":${JSON.stringify(items)},"${b}":${second}}`,
      ),
  );
  const character = fc.constantFrom(...Array.from('{}[]",:\\0123456789-+.eE tnu\n\t\u0000\u00e9x'));
  const mutated = fc
    .tuple(written, fc.nat(), fc.constantFrom(0, 1, 2), fc.oneof(character, fc.constant('')))
    .map(([text, place, drop, insert]) => {
      const at = place % (text.length + 1);
      return text.slice(0, at) + insert + text.slice(at + drop);
    });

  it('takes nothing that they refuse, and reads nothing otherwise', () => {
    let taken = 0;
    let left = 0;
    const agree = (text: string): void => {
      const scanned = scanReserve(text, bounds);
      if (scanned === undefined) {
        left += 1;
        return;
      }
      taken += 1;
      const slow = judged(text);
      if (slow === undefined) throw new Error('they refuse it');
      expect(shown(scanned)).toEqual(shown(slow));
    };
    fc.assert(fc.property(fc.oneof(oddBody, mutated), agree), runs);
    // Both kinds came in numbers, else nothing was compared.
    expect(Math.min(taken, left)).toBeGreaterThan(500);
  });

  it('leaves a body to them that is longer than usual', () => {
    const item = { sku_id: 'A', warehouse_id: 'B', quantity: 1 };
    const text = JSON.stringify(Array.from({ length: 1_000 }, () => item));
    expect(scanReserve(text, bounds)).toBeUndefined();
    expect(judged(text)?.items).toHaveLength(1_000);
  });
});
