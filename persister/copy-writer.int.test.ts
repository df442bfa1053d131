/** What the writer writes is what PostgreSQL reads, and what comes back. */
import { once } from 'node:events';
import * as fc from 'fast-check';
import { from as copyFrom } from 'pg-copy-streams';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CopyWriter } from './copy-writer.ts';
import { type MigratedDatabase, migratedDatabase } from './testing/database.ts';

let database: MigratedDatabase;

beforeAll(async () => {
  database = await migratedDatabase();
  await database.pool.query(`CREATE TABLE copied (
    i integer, n bigint, t text, b bytea, a bytea[], d numeric, at timestamptz)`);
});
afterAll(() => database.end());

const bytes = fc.uint8Array({ maxLength: 12 }).map((array) => Buffer.from(array));
const nullable = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const row = fc.record({
  i: nullable(fc.integer()),
  n: nullable(fc.maxSafeInteger()),
  t: nullable(
    fc.oneof(fc.string(), fc.string({ unit: 'binary' })).map((text) => text.replaceAll('\0', '')),
  ),
  b: nullable(bytes),
  a: fc.array(bytes, { maxLength: 4 }),
  d: nullable(
    fc
      .tuple(
        fc.boolean(),
        fc.nat(),
        fc.integer({ min: 0, max: 12 }),
        fc.bigInt(0n, 999_999_999_999n),
      )
      .map(([minus, whole, places, part]) => {
        const fraction = String(part).padStart(12, '0').slice(0, places);
        return `${minus && whole > 0 ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`;
      }),
  ),
  at: fc.date({ min: new Date('1970-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }),
});

it('round trips every type, in any mixture', async () => {
  // Small, so that it grows in the middle of rows.
  const out = new CopyWriter(32);
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 20 }), async (given) => {
      for (const each of given) {
        out.row(7);
        out.int(each.i);
        out.bigint(each.n);
        out.text(each.t);
        out.bytea(each.b);
        out.byteaArray(each.a);
        out.numeric(each.d);
        out.timestamp(each.at.getTime());
      }
      const client = await database.pool.connect();
      await client.query('TRUNCATE copied');
      const stream = client.query(copyFrom('COPY copied FROM STDIN (FORMAT binary)'));
      stream.end(out.take());
      await once(stream, 'finish');
      const { rows } = await client.query('SELECT * FROM copied');
      client.release();
      expect(rows).toEqual(
        given.map((each) => ({
          i: each.i ?? null,
          n: each.n ?? null,
          // A lone surrogate is no character; it is stored as the replacement for one.
          t: each.t === undefined ? null : Buffer.from(each.t).toString(),
          b: each.b ?? null,
          a: each.a,
          d: each.d ?? null,
          at: each.at,
        })),
      );
    }),
    { numRuns: 60 },
  );
});
