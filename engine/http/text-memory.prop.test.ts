// What the memory gives must be what decoding gives, whatever came before it in the same slot.

import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { TextMemory } from './text-memory.ts';
import { decodeUtf8 } from './utf8.ts';

const seed = Number(process.env.HOLDFAST_TEST_SEED ?? Date.now());
console.info(`text-memory.prop.test.ts: seed ${seed} (HOLDFAST_TEST_SEED repeats it)`);

function chunkOf(bytes: Uint8Array): ArrayBuffer {
  const chunk = new ArrayBuffer(bytes.length);
  new Uint8Array(chunk).set(bytes);
  return chunk;
}

const ascii = fc.string({ unit: 'binary-ascii', maxLength: 200 }).map((text) => Buffer.from(text));
const text = fc.string({ unit: 'binary', maxLength: 60 }).map((each) => Buffer.from(each));
const junk = fc.uint8Array({ maxLength: 60 });
/** So alike that many share a slot sooner or later, and some are sent again. */
const orders = fc
  .tuple(fc.nat(400), fc.constantFrom('A', '\u00e9', '\u0000', '\ufeff'))
  .map(([sku, warehouse]) => Buffer.from(`[{"sku_id":"${sku}","warehouse_id":"${warehouse}"}]`));
const mangled = orders.map((bytes) => bytes.map((byte) => (byte >= 0x80 ? byte - 1 : byte)));

it('gives what decoding gives', () => {
  const bodies = fc.array(fc.oneof(orders, orders, mangled, ascii, text, junk), { maxLength: 400 });
  fc.assert(
    fc.property(bodies, (all) => {
      const memory = new TextMemory();
      for (const bytes of [...all, ...all]) {
        expect(memory.decode(chunkOf(bytes))).toBe(decodeUtf8(bytes));
      }
    }),
    { seed, numRuns: 300 },
  );
});
