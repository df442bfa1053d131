// The scanner that names the place of a fault must agree with JSON.parse on what is a fault, and
// parseJson must accept exactly what JSON.parse accepts within the limits.

import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseJson } from './json.ts';
import { findJsonFault, locate } from './json-fault.ts';

const seed = Number(process.env.HOLDFAST_TEST_SEED ?? Date.now());
console.info(`json.prop.test.ts: seed ${seed} (HOLDFAST_TEST_SEED repeats it)`);
const runs = { seed, numRuns: 3_000 };

/** JSON with one character inserted, dropped or replaced: near enough to be instructive. */
const nearJson = fc
  .tuple(
    fc.json({ maxDepth: 4 }),
    fc.nat(),
    fc.constantFrom(0, 1),
    fc.constantFrom(...Array.from('{}[]",:\\0123456789-+.eE tnu\n\t\u0000\u00e9/x'), ''),
  )
  .map(([json, place, drop, insert]) => {
    const at = place % (json.length + 1);
    return json.slice(0, at) + insert + json.slice(at + drop);
  });

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

it('finds a fault exactly where there is one', () => {
  fc.assert(
    fc.property(nearJson, (text) => {
      const found = findJsonFault(text);
      expect(found === undefined).toBe(isJson(text));
      if (found === undefined) return;
      expect(found.offset).toBeLessThanOrEqual(text.length);
      // What stands before the fault could still become JSON: the fault is not named too late.
      const { line, column } = locate(text, found.offset);
      expect(line).toBeGreaterThan(0);
      expect(column).toBeGreaterThan(0);
    }),
    runs,
  );
});

it('takes what JSON.parse takes, with the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
      const outcome = parseJson(Buffer.from(JSON.stringify(value)));
      const text = JSON.stringify(value);
      if (text.includes('__proto__')) return;
      expect(outcome).toEqual({ kind: 'value', value: JSON.parse(text) });
    }),
    runs,
  );
});

it('answers any bytes with an outcome', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      expect(['value', 'malformed_json', 'malformed_request']).toContain(
        parseJson(Buffer.from(bytes)).kind,
      );
    }),
    runs,
  );
});
