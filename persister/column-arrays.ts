/**
 * Rows as arrays of their columns, spelled for a statement that makes rows of them again (`unnest`).
 * They come with the statement, so no table has to take them first: a temporary one that is emptied at
 * each commit costs more than the rows of a small batch (README.md).
 */
import { literal } from './literal.ts';

type Value = string | number | boolean | Uint8Array | undefined;

export interface Column<Row> {
  readonly name: string;
  readonly type: 'text' | 'integer' | 'bigint' | 'boolean' | 'bytea';
  /** Undefined is null. */
  readonly of: (row: Row) => Value;
}

export class ColumnArrays<Row> {
  readonly #columns: readonly Column<Row>[];
  #values: Value[][];
  #count = 0;

  constructor(columns: readonly Column<Row>[]) {
    this.#columns = columns;
    this.#values = columns.map(() => []);
  }

  get count(): number {
    return this.#count;
  }

  add(row: Row): void {
    for (let i = 0; i < this.#columns.length; i += 1) {
      this.#values[i]?.push(this.#columns[i]?.of(row));
    }
    this.#count += 1;
  }

  /** An SQL expression for each column. */
  take(): string[] {
    const spelled = this.#columns.map(({ type }, i) => spell(type, this.#values[i] ?? []));
    this.clear();
    return spelled;
  }

  clear(): void {
    this.#values = this.#columns.map(() => []);
    this.#count = 0;
  }
}

/** The rows of such arrays as a common table expression; `first`: the number of the first parameter. */
export function rowsOf(name: string, columns: readonly Column<never>[], first: number): string {
  const names = columns.map((column) => column.name).join(', ');
  const arrays = columns.map(({ type }, i) => `$${first + i}::${type}[]`).join(', ');
  return `${name} AS MATERIALIZED (
  SELECT * FROM unnest(${arrays}) WITH ORDINALITY AS given (${names}, place)
)`;
}

/** Most columns of a batch say the same in all its rows, or nothing. */
function spell(type: Column<never>['type'], values: readonly Value[]): string {
  const [first] = values;
  if (values.every((value) => value === first)) {
    if (first === undefined) return 'NULL';
    return `array_fill(${literal(textOf(first))}::${type}, ARRAY[${values.length}])`;
  }
  return literal(isPlain(type, values) ? `{"${values.join('","')}"}` : arrayOf(values));
}

/** Texts in which nothing means something to an array: nearly all, and three times as fast so. */
function isPlain(type: Column<never>['type'], values: readonly Value[]): boolean {
  if (type !== 'text' || values.includes(undefined)) return false;
  const all = values.join('');
  return !(all.includes('"') || all.includes('\\'));
}

function arrayOf(values: readonly Value[]): string {
  return `{${values.map(elementOf).join(',')}}`;
}

function elementOf(value: Value): string {
  if (typeof value === 'number') return textOf(value);
  return value === undefined ? 'NULL' : `"${escaped(textOf(value))}"`;
}

/** As PostgreSQL reads a value of its type. */
function textOf(value: NonNullable<Value>): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (typeof value !== 'number') return `\\x${Buffer.from(value).toString('hex')}`;
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no whole number`);
  return String(value);
}

/** Within an element of an array that stands in quotes. */
function escaped(text: string): string {
  return text.replace(/[\\"]/g, (each) => `\\${each}`);
}

/** A `bytea[]` as text: arrays of arrays would all have to be as long. */
export function byteaArrayText(values: readonly Uint8Array[]): string | undefined {
  return values.length === 0 ? undefined : arrayOf(values);
}
