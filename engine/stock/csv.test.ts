/** The CSV reader against the RFC's rules, its refusals with their lines, and random cutting into chunks. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CsvSource } from './csv.ts';
import { CsvError, ROW_CHARACTERS_MAX, ROW_FIELDS_MAX, readCsv, readCsvRecords } from './csv.ts';

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function rowsOf(source: CsvSource): Promise<{ line: number; fields: readonly string[] }[]> {
  return await collect(readCsv(source));
}

async function fieldsOf(source: CsvSource): Promise<(readonly string[])[]> {
  return (await rowsOf(source)).map((row) => row.fields);
}

describe('readCsv', () => {
  it.each<[string, string, string[][]]>([
    ['nothing', '', []],
    [
      'LF, no line end at the end',
      'a,b\nc,d',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    [
      'CR LF',
      'a,b\r\nc,d\r\n',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    [
      'empty fields',
      ',\n,,',
      [
        ['', ''],
        ['', '', ''],
      ],
    ],
    ['spaces are part of a field', ' a , b ', [[' a ', ' b ']]],
    ['a quoted comma', '"AIRLINE LOUNGE,METAL SIGN",2', [['AIRLINE LOUNGE,METAL SIGN', '2']]],
    ['a doubled quote', '"RECORD FRAME 7"" SINGLE SIZE"', [['RECORD FRAME 7" SINGLE SIZE']]],
    ['only quotes', '"""",""', [['"', '']]],
    [
      'line ends in quotes',
      '"a\r\nb\nc",d\ne,f',
      [
        ['a\r\nb\nc', 'd'],
        ['e', 'f'],
      ],
    ],
    ['a lone CR in quotes', '"a\rb"', [['a\rb']]],
    ['blank lines', '\n\r\na\n\n\nb\n\n', [['a'], ['b']]],
    ['a quoted empty field is a row', '""\n', [['']]],
    ['a byte order mark', '\uFEFFa,b', [['a', 'b']]],
    ['a byte order mark before a quote', '\uFEFF"a",b', [['a', 'b']]],
  ])('%s', async (_name, text, rows) => {
    expect(await fieldsOf(text)).toEqual(rows);
    expect(await fieldsOf(text.split(''))).toEqual(rows);
  });

  it('numbers rows by the line on which they begin', async () => {
    const rows = await rowsOf('a\n\n"b\n\nc"\r\nd');
    expect(rows.map((row) => row.line)).toEqual([1, 3, 6]);
  });

  it.each<[string, string, number, RegExp]>([
    ['an open quote', 'a\nb,"c\nd', 2, /not closed/],
    ['an open quote is named where its field begins', 'a,"b\nc",d\n"e\nf', 3, /not closed/],
    ['a quote within', 'a\nb"c', 2, /double the quote/],
    ['text behind a closing quote', '"a" ,b', 1, /follows the closing quote/],
    ['a lone CR', 'a\nb\rc', 2, /carriage return/],
    ['a lone CR at the end', 'a\r', 1, /carriage return/],
    ['too many fields', `a\n${','.repeat(ROW_FIELDS_MAX)}`, 2, /more than 1000 fields/],
    ['a row without end', `a\n"${'x\n'.repeat(ROW_CHARACTERS_MAX / 2 + 1)}`, 2, /longer than/],
  ])('refuses %s', async (_name, text, line, problem) => {
    const error: unknown = await rowsOf(text).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(CsvError);
    expect(error).toMatchObject({ line, message: expect.stringMatching(problem) });
  });

  it('refuses bytes that are not UTF-8, and names the line', async () => {
    const latin1 = Buffer.from('sku,name\n1,caf\xe9\n', 'latin1');
    await expect(rowsOf([latin1.subarray(0, 9), latin1.subarray(9)])).rejects.toThrow(
      /^line 2: .*UTF-8/,
    );
    await expect(rowsOf([Buffer.from('a\n\xe2\x82', 'latin1')])).rejects.toThrow(/UTF-8/);
  });

  it('hands out rows before the source has ended', async () => {
    let read = 0;
    async function* chunks(): AsyncGenerator<string> {
      for (const chunk of ['a,b\nc', ',d\n', 'e\n']) {
        read += 1;
        yield chunk;
      }
    }
    const rows = readCsv(chunks());
    expect((await rows.next()).value).toEqual({ line: 1, fields: ['a', 'b'] });
    expect(read).toBe(1);
    await rows.return(undefined);
  });

  it('reads back what was written, wherever it is cut (property)', async () => {
    const cell = fc.string({
      unit: fc.constantFrom('a', '"', ',', '\r', '\n', ' ', 'é', '💡'),
      maxLength: 6,
    });
    const table = fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { maxLength: 6 });
    const cuts = fc.array(fc.nat(60), { maxLength: 8 });
    const seed = Number(process.env.HOLDFAST_TEST_SEED ?? Math.trunc(Math.random() * 2 ** 31));
    console.info(`seed ${seed} (HOLDFAST_TEST_SEED=${seed} repeats it)`);
    await fc.assert(
      fc.asyncProperty(table, cuts, fc.constantFrom('\n', '\r\n'), async (rows, at, lineEnd) => {
        const text = rows
          .map((row) => row.map((value) => `"${value.replaceAll('"', '""')}"`).join(',') + lineEnd)
          .join('');
        const bytes = Buffer.from(text);
        const edges = [0, ...at.map((cut) => cut % (bytes.length + 1)), bytes.length];
        edges.sort((left, right) => left - right);
        const chunks = edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
        expect(await fieldsOf(chunks)).toEqual(rows);
      }),
      { seed },
    );
  });
});

describe('readCsvRecords', () => {
  const columns = { required: ['sku_id', 'quantity'], optional: ['unit_cost'] } as const;

  async function records(text: string) {
    return await collect(readCsvRecords(text, columns));
  }

  it('takes columns in any order, the optional one present or not', async () => {
    expect(await records('quantity,sku_id\n5,A\n')).toEqual([
      { line: 2, values: { sku_id: 'A', quantity: '5' } },
    ]);
    expect(await records('unit_cost,sku_id,quantity\n1.5,A,5\n')).toEqual([
      { line: 2, values: { sku_id: 'A', quantity: '5', unit_cost: '1.5' } },
    ]);
  });

  it.each<[string, string, RegExp]>([
    ['an empty file', '', /^line 1: the file is empty; expected a header: sku_id,quantity$/],
    ['a missing column', 'sku_id\nA', /^line 1: .*no "quantity"/],
    ['an unknown column', 'sku_id,quantity,qty\n', /unknown "qty".*optionally unit_cost/],
    ['a column twice', 'sku_id,quantity,sku_id\n', /"sku_id" twice/],
    ['a short row', 'sku_id,quantity\nA,1\nB\n', /^line 3: has 1 fields, but the header has 2/],
    ['a long row', 'sku_id,quantity\nA,1,\n', /^line 2: has 3 fields/],
  ])('refuses %s', async (_name, text, problem) => {
    await expect(records(text)).rejects.toThrow(problem);
  });
});
