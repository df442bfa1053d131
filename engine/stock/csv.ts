/**
 * Reads CSV as RFC 4180 defines it, a chunk at a time, for `holdfast stock import` and the bench's real orders.
 *
 * Strict on purpose: a stock file that is read wrongly puts wrong numbers on sale, so whatever could be
 * understood in two ways is refused with the line where it stands. Taken beyond the RFC, because files from
 * spreadsheets have it: a byte order mark at the start, LF line ends, no line end after the last row, and
 * blank lines (skipped: they hold nothing).
 *
 * The scanner is always in one of these states:
 * - `field_start`: at the first character of a field; nothing of it has been read.
 * - `unquoted`: in a field that did not begin with a quote; a quote here is an error.
 * - `quoted`: between quotes; commas and line ends belong to the field.
 * - `quote_in_quoted`: just behind a quote within quotes: either the field's end, or the first half of `""`.
 * - `after_cr`: behind a CR outside quotes, the row not yet ended; only LF may follow.
 */

export interface CsvRow {
  /** The line of the file on which the row begins, from 1. Quoted fields may span lines. */
  readonly line: number;
  readonly fields: readonly string[];
}

export interface CsvRecord<Required extends string, Optional extends string = never> {
  readonly line: number;
  readonly values: Readonly<Record<Required, string> & Partial<Record<Optional, string>>>;
}

export interface CsvColumns<Required extends string, Optional extends string = never> {
  readonly required: readonly Required[];
  readonly optional?: readonly Optional[];
}

export type CsvChunk = string | Uint8Array;
/** The text itself, or its pieces as they come, cut anywhere: a file stream is one. Bytes are UTF-8. */
export type CsvSource = string | Iterable<CsvChunk> | AsyncIterable<CsvChunk>;

/** What is wrong with the file, and on which line (from 1). */
export class CsvError extends Error {
  readonly line: number;

  constructor(line: number, problem: string) {
    super(`line ${line}: ${problem}`);
    this.name = 'CsvError';
    this.line = line;
  }
}

/** A forgotten quote turns the rest of a file into one field: the limit names it before memory is gone. */
export const ROW_CHARACTERS_MAX = 1_048_576;
export const ROW_FIELDS_MAX = 1_000;

type ScanState = 'field_start' | 'unquoted' | 'quoted' | 'quote_in_quoted' | 'after_cr';

const LF = 10;
const CR = 13;
const QUOTE = 34;
const COMMA = 44;

class CsvScanner {
  #state: ScanState = 'field_start';
  #line = 1;
  #rowLine = 1;
  #rowCharacters = 0;
  #fieldLine = 1;
  #fieldIsQuoted = false;
  #field = '';
  #fields: string[] = [];

  get line(): number {
    return this.#line;
  }

  *push(chunk: string): Generator<CsvRow> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === 'unquoted' || this.#state === 'quoted') {
        at = this.#takePlain(chunk, at);
        if (at === chunk.length) return;
      }
      const row = this.#step(chunk.charCodeAt(at));
      // A field's first character, when nothing special, is left for #takePlain.
      if (row !== 'again') at += 1;
      if (typeof row === 'object') yield row;
    }
  }

  end(): CsvRow | undefined {
    if (this.#state === 'quoted') {
      throw new CsvError(
        this.#fieldLine,
        'a quoted field begins here and is not closed before the end of the file; close it with "',
      );
    }
    if (this.#state === 'after_cr') this.#loneCarriageReturn();
    return this.#endRow();
  }

  /** Takes the run of characters that need no decision, and returns the index behind it. */
  #takePlain(chunk: string, from: number): number {
    const quoted = this.#state === 'quoted';
    let to = from;
    for (; to < chunk.length; to += 1) {
      const code = chunk.charCodeAt(to);
      if (code === QUOTE) break;
      if (quoted) {
        if (code === LF) this.#line += 1;
      } else if (code === COMMA || code === LF || code === CR) break;
    }
    this.#append(chunk.slice(from, to));
    return to;
  }

  #step(code: number): CsvRow | 'again' | undefined {
    switch (this.#state) {
      case 'field_start':
        if (code === QUOTE) {
          this.#state = 'quoted';
          this.#fieldIsQuoted = true;
          this.#fieldLine = this.#line;
          return undefined;
        }
        if (code === COMMA || code === LF || code === CR) return this.#separator(code);
        this.#state = 'unquoted';
        return 'again';
      case 'unquoted':
        if (code === QUOTE) {
          throw new CsvError(
            this.#line,
            'a quote stands within a field that does not begin with one; quote the whole field and double the quote within it',
          );
        }
        return this.#separator(code);
      case 'quoted':
        this.#state = 'quote_in_quoted';
        return undefined;
      case 'quote_in_quoted':
        if (code === QUOTE) {
          this.#append('"');
          this.#state = 'quoted';
          return undefined;
        }
        if (code === COMMA || code === LF || code === CR) return this.#separator(code);
        throw new CsvError(
          this.#line,
          'text follows the closing quote of a field; only a comma or the end of the line may, and a quote within a quoted field is written twice',
        );
      case 'after_cr':
        break;
    }
    if (code !== LF) this.#loneCarriageReturn();
    return this.#separator(LF);
  }

  #separator(code: number): CsvRow | undefined {
    if (code === CR) {
      this.#state = 'after_cr';
      return undefined;
    }
    if (code === COMMA) {
      this.#endField();
      return undefined;
    }
    const row = this.#endRow();
    this.#line += 1;
    this.#rowLine = this.#line;
    return row;
  }

  #endField(): void {
    if (this.#fields.length === ROW_FIELDS_MAX) {
      throw new CsvError(this.#rowLine, `the row has more than ${ROW_FIELDS_MAX} fields`);
    }
    this.#fields.push(this.#field);
    this.#field = '';
    this.#fieldIsQuoted = false;
    this.#state = 'field_start';
  }

  /** The row that ends here; nothing when its line was blank. */
  #endRow(): CsvRow | undefined {
    const blank = this.#fields.length === 0 && this.#field === '' && !this.#fieldIsQuoted;
    this.#endField();
    const fields = this.#fields;
    this.#fields = [];
    this.#rowCharacters = 0;
    return blank ? undefined : { line: this.#rowLine, fields };
  }

  #append(text: string): void {
    this.#rowCharacters += text.length;
    if (this.#rowCharacters > ROW_CHARACTERS_MAX) {
      throw new CsvError(
        this.#rowLine,
        `the row that begins here is longer than ${ROW_CHARACTERS_MAX} characters; is a closing quote missing?`,
      );
    }
    this.#field += text;
  }

  #loneCarriageReturn(): never {
    throw new CsvError(
      this.#line,
      'a carriage return without a line feed; save the file with line ends LF or CR LF',
    );
  }
}

async function* decodeText(source: CsvSource, line: () => number): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const decode = (bytes?: Uint8Array): string => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
    } catch {
      throw new CsvError(
        line(),
        'on this line or behind it the text is not UTF-8; save it as UTF-8',
      );
    }
  };
  let atStart = true;
  for await (const chunk of typeof source === 'string' ? [source] : source) {
    let text = typeof chunk === 'string' ? chunk : decode(chunk);
    if (text === '') continue;
    if (atStart && text.startsWith('\uFEFF')) text = text.slice(1);
    atStart = false;
    yield text;
  }
  yield decode();
}

/**
 * The rows of a CSV text in order, the header (if it has one) included.
 * @throws CsvError when the text is no RFC 4180 CSV; rows before the error have been yielded.
 */
export async function* readCsv(source: CsvSource): AsyncGenerator<CsvRow> {
  const scanner = new CsvScanner();
  for await (const text of decodeText(source, () => scanner.line)) yield* scanner.push(text);
  const last = scanner.end();
  if (last !== undefined) yield last;
}

/**
 * The rows of a CSV text with a header, as records by column name. Columns may stand in any order; one that is
 * missing, unknown or named twice is refused, because a misspelt column would otherwise be silently without effect.
 * @throws CsvError
 */
export async function* readCsvRecords<Required extends string, Optional extends string = never>(
  source: CsvSource,
  columns: CsvColumns<Required, Optional>,
): AsyncGenerator<CsvRecord<Required, Optional>> {
  let header: readonly string[] | undefined;
  for await (const { line, fields } of readCsv(source)) {
    if (header === undefined) {
      header = fields;
      checkHeader(line, header, columns);
      continue;
    }
    if (fields.length !== header.length) {
      throw new CsvError(line, `has ${fields.length} fields, but the header has ${header.length}`);
    }
    const values: Record<string, string> = {};
    for (const [index, name] of header.entries()) values[name] = fields[index] ?? '';
    // checkHeader has seen that every required column is in the header, and no unknown one.
    yield { line, values: values as CsvRecord<Required, Optional>['values'] };
  }
  if (header === undefined) {
    throw new CsvError(1, `the file is empty; expected a header: ${columns.required.join(',')}`);
  }
}

function checkHeader(
  line: number,
  header: readonly string[],
  columns: CsvColumns<string, string>,
): void {
  const known = new Set([...columns.required, ...(columns.optional ?? [])]);
  const problems = [
    ...columns.required.filter((name) => !header.includes(name)).map((name) => `no "${name}"`),
    ...header.filter((name) => !known.has(name)).map((name) => `unknown "${name}"`),
    ...header
      .filter((name, index) => header.indexOf(name) !== index)
      .map((name) => `"${name}" twice`),
  ];
  if (problems.length === 0) return;
  const optional = columns.optional?.length ? ` and optionally ${columns.optional.join(',')}` : '';
  throw new CsvError(
    line,
    `the header's columns are wrong: ${problems.join('; ')}. Expected ${columns.required.join(',')}${optional}`,
  );
}
