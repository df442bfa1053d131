/** What is spelled as arrays PostgreSQL reads as the same rows. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { byteaArrayText, type Column, ColumnArrays, rowsOf } from './column-arrays.ts';
import { type MigratedDatabase, migratedDatabase } from './testing/database.ts';

let database: MigratedDatabase;

beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(() => database.end());

interface Row {
  readonly i: number | undefined;
  readonly n: number | undefined;
  readonly t: string | undefined;
  readonly f: boolean | undefined;
  readonly b: Buffer | undefined;
  readonly a: readonly Buffer[];
}

const COLUMNS: readonly Column<Row>[] = [
  { name: 'i', type: 'integer', of: ({ i }) => i },
  { name: 'n', type: 'bigint', of: ({ n }) => n },
  { name: 't', type: 'text', of: ({ t }) => t },
  { name: 'f', type: 'boolean', of: ({ f }) => f },
  { name: 'b', type: 'bytea', of: ({ b }) => b },
  { name: 'a', type: 'text', of: ({ a }) => byteaArrayText(a) },
];

async function read(rows: readonly Row[]): Promise<unknown[]> {
  const arrays = new ColumnArrays(COLUMNS);
  for (const row of rows) arrays.add(row);
  const client = await database.pool.connect();
  try {
    await client.query(`PREPARE given AS WITH ${rowsOf('given_rows', COLUMNS, 1)}
      SELECT i, n, t, f, b, a::bytea[] FROM given_rows ORDER BY place`);
    return (await client.query(`EXECUTE given (${arrays.take().join(', ')})`)).rows;
  } finally {
    await client.query('DEALLOCATE ALL');
    client.release();
  }
}

function asRead({ i, n, t, f, b, a }: Row): unknown {
  return {
    ...{ i: i ?? null, n: n ?? null, f: f ?? null, b: b ?? null },
    // A lone surrogate is no character; it is stored as the replacement for one.
    t: t === undefined ? null : Buffer.from(t).toString(),
    a: a.length === 0 ? null : a,
  };
}

const bytes = fc.uint8Array({ maxLength: 12 }).map((array) => Buffer.from(array));
const rarely = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
/** What means something to an array, to a string in SQL, or to both. */
const pitfall = fc.constantFrom('', 'NULL', 'null', '"', "'", '\\', '{}', ',', ' ', '\\x00', '$1');
const text = fc
  .oneof(
    pitfall,
    fc.array(pitfall).map((all) => all.join('')),
    fc.string({ unit: 'binary' }),
  )
  .map((any) => any.replaceAll('\0', ''));
const row: fc.Arbitrary<Row> = fc.record({
  i: rarely(fc.integer()),
  n: rarely(fc.maxSafeInteger()),
  t: rarely(text),
  f: rarely(fc.boolean()),
  b: rarely(bytes),
  a: fc.array(bytes, { maxLength: 3 }),
});
/** Columns that say the same in all rows are spelled otherwise, so some do. */
const rows = fc
  .tuple(row, fc.array(row, { maxLength: 20 }), fc.subarray(COLUMNS.map(({ name }) => name)))
  .map(([first, others, same]) => {
    const kept = Object.fromEntries(same.map((name) => [name, first[name as keyof Row]]));
    return [first, ...others.map((other) => ({ ...other, ...kept }))];
  });

it('round trips every type, in any mixture, of which columns may be the same throughout', async () => {
  await fc.assert(
    fc.asyncProperty(rows, async (given) => {
      expect(await read(given)).toEqual(given.map(asRead));
    }),
    { numRuns: 200 },
  );
});

it('makes no rows of none', async () => {
  expect(await read([])).toEqual([]);
});

it('refuses a number that is not whole, because it would be another one there', () => {
  const arrays = new ColumnArrays(COLUMNS);
  arrays.add({ i: 1, n: 0.5, t: 't', f: true, b: undefined, a: [] });
  expect(() => arrays.take()).toThrow(/0.5 is no whole number/);
});
