/** The shared vectors: bytes and their meaning, as Lua, TypeScript and SQL must agree on them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Change, type Entry, NEVER } from './entry.ts';
import { decodeEntry, encodeEntry } from './entry-codec.ts';

interface Vector {
  readonly name: string;
  readonly hex: string;
  /** The reserves of one run, or of several, are written one by one by encodeEntry, and mean the same. */
  readonly form?: 'run' | 'runs';
  /** The entry, byte strings as hex. */
  readonly entry: unknown;
}

const { vectors } = JSON.parse(readFileSync(join(import.meta.dirname, 'vectors.json'), 'utf8')) as {
  readonly vectors: readonly Vector[];
};

const BYTES: ReadonlySet<string> = new Set(['nonce', 'fingerprint', 'operation']);

function readEntry(json: unknown): Entry {
  const text = JSON.stringify(json);
  return JSON.parse(text, (name, value) => (BYTES.has(name) ? Buffer.from(value, 'hex') : value));
}

describe('vectors.json', () => {
  it.each(
    vectors.map(({ name, hex, form, entry }) => [name, hex, form, readEntry(entry)] as const),
  )('%s', (_, hex, form, entry) => {
    expect(decodeEntry(Buffer.from(hex, 'hex'))).toEqual(entry);
    const encoded = encodeEntry(entry);
    if (form !== undefined) expect(decodeEntry(encoded)).toEqual(entry);
    else expect(encoded.toString('hex')).toBe(hex);
  });

  it('is one history, in which every kind of change and of entry occurs', () => {
    const entries = vectors.map(({ entry }) => readEntry(entry));
    entries.forEach(({ predecessor }, i) => {
      expect(predecessor).toEqual(entries[i - 1]?.key ?? NEVER);
    });
    const seen = new Set(entries.flatMap(({ changes }) => changes.map(({ type }) => type)));
    const types: Record<Change['type'], true> = {
      reserved: true,
      committed: true,
      released: true,
      expired: true,
      extended: true,
      ...{
        cancelled: true,
        shipped: true,
        stock_moved: true,
        product_defined: true,
        repaired: true,
      },
    };
    expect([...seen].sort()).toEqual(Object.keys(types).sort());
    expect(new Set(entries.map(({ kind }) => kind)).size).toBe(3);
    expect(new Set(vectors.map(({ form }) => form))).toEqual(new Set([undefined, 'run', 'runs']));
  });
});
