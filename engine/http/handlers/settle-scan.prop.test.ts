/** The quick reading of a settlement's body must never say else than JSON.parse and the schema. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseJson } from '../json.ts';
import { compileBody, requestSchemas } from '../schema.ts';
import { scanSettle } from './settle-scan.ts';

const seed = Number(process.env.HOLDFAST_TEST_SEED ?? Math.trunc(Math.random() * 2 ** 31));
console.info(`seed ${seed} (HOLDFAST_TEST_SEED=${seed} repeats it)`);

const schemas = requestSchemas();
const checks = [compileBody(schemas.commit), compileBody(schemas.settle)];

/** What JSON.parse and each of the schemas make of the text. */
function judged(text: string): unknown[] {
  const parsed = parseJson(Buffer.from(text));
  if (parsed.kind !== 'value') return checks.map(() => undefined);
  const { value } = parsed;
  return checks.map((check) => {
    const checked = check(value);
    return 'body' in checked ? checked.body : undefined;
  });
}

const id = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9._:-]{1,64}$/),
  fc.stringMatching(/^hf_[0-9a-f]{32}$/),
  fc.constantFrom('x', 'x'.repeat(64), '__proto__'),
);
const space = fc.stringMatching(/^[ \t\n\r]{0,2}$/);
const usual = fc
  .tuple(id, fc.array(space, { minLength: 6, maxLength: 6 }))
  .map(([name, [a, b, c, d, e, f]]) => `${a}{${b}"reservation_id"${c}:${d}"${name}"${e}}${f}`);

describe('scanSettle', () => {
  it('reads every usual body as JSON.parse and the schemas do', () => {
    const read = (text: string): void => {
      const scanned = scanSettle(text);
      if (scanned === undefined) throw new Error('it is a usual body');
      for (const body of judged(text)) expect(body).toEqual(scanned);
    };
    fc.assert(fc.property(usual, read), { seed, numRuns: 3_000 });
  });

  const character = fc.constantFrom(
    ...Array.from('{}[]",:\\0_-. \n\t\v\u0000\u00a0\u00e9\ufeff\u2028xZ'),
    ...['\\u0041', ',"hold_epoch":3', ',"lines":[]', '"reservation_id":"y",', 'x'.repeat(64)],
  );
  const mutated = fc
    .tuple(usual, fc.nat(), fc.constantFrom(0, 0, 1, 2), character)
    .map(([text, place, drop, insert]) => {
      const at = place % (text.length + 1);
      return text.slice(0, at) + insert + text.slice(at + drop);
    });

  it('takes nothing that they refuse, and reads nothing otherwise', () => {
    let taken = 0;
    let left = 0;
    const agree = (text: string): void => {
      const scanned = scanSettle(text);
      if (scanned === undefined) {
        left += 1;
        return;
      }
      taken += 1;
      for (const body of judged(text)) expect(body).toEqual(scanned);
    };
    fc.assert(fc.property(mutated, agree), { seed, numRuns: 8_000 });
    // Both kinds came in numbers, else nothing was compared.
    expect(Math.min(taken, left)).toBeGreaterThan(500);
  });

  it('leaves to them what is well-formed and not usual', () => {
    for (const text of [
      '{"reservation_id":7}',
      '{"reservation_id":"order\\u002d1"}',
      '{"reservation_id":"r","lines":[{"sku_id":"A","quantity":1}]}',
      '{"reservation_id":"r","reservation_id":"s"}',
    ]) {
      expect(scanSettle(text)).toBeUndefined();
      expect(judged(text)).not.toContain(undefined);
    }
  });
});
