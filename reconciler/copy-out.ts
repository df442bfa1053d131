/**
 * The rows of a query as PostgreSQL's binary COPY: streamed as fast as both sides go, in one
 * statement, without a string or an object for a value that nobody wants. About a third of what
 * fetching from a cursor costs in this process.
 *
 * Format: PostgreSQL's documentation, "COPY", "Binary Format".
 */
import { to as copyTo } from 'pg-copy-streams';
import type { PoolClient } from '../engine/postgres/pool.ts';

/** How far ahead of the reader rows are kept: bounded memory, and nobody waits for the other. */
const READ_AHEAD_BYTES = 1_048_576;
/** Signature, flags, and the length of an extension that no server sends. */
const HEADER_BYTES = 19;
const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
/** Longer than any COPY takes; the client's own limit is for answers, not for streams. */
const WHOLE_MS_MAX = 3_600_000;

/** The columns of one row, read in their order, each exactly once. Valid until the next row. */
export class CopyRow {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  /** For copyOut. */
  point(bytes: Buffer, at: number): void {
    this.#bytes = bytes;
    this.#at = at;
  }

  skip(columns: number): void {
    for (let i = 0; i < columns; i++) this.#length();
  }

  /** A view, not a copy, of bytes that nobody writes over; undefined: NULL. */
  bytes(): Buffer | undefined {
    const length = this.#length();
    return length < 0 ? undefined : this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** Of `integer` and `bigint`; a NULL is 0. Throws RangeError beyond 2^53. */
  number(): number {
    const length = this.#length();
    if (length < 0) return 0;
    const at = this.#at - length;
    if (length === 4) return this.#bytes.readInt32BE(at);
    const value = this.#bytes.readInt32BE(at) * 0x1_0000_0000 + this.#bytes.readUInt32BE(at + 4);
    if (!Number.isSafeInteger(value)) throw new RangeError(`PostgreSQL returned ${value}`);
    return value;
  }

  /** Ids and names of states, which are ASCII; a NULL is ''. */
  ascii(): string {
    const length = this.#length();
    return length <= 0 ? '' : this.#bytes.toString('latin1', this.#at - length, this.#at);
  }

  /** Of `bytea[]`; NULL and empty are []. The elements are copies. */
  byteaArray(): Buffer[] {
    const array = this.bytes();
    if (array === undefined || array.readInt32BE(0) === 0) return [];
    const count = array.readInt32BE(12);
    const elements: Buffer[] = [];
    for (let i = 0, at = 20; i < count; i++) {
      const end = at + 4 + array.readInt32BE(at);
      elements.push(Buffer.from(array.subarray(at + 4, end)));
      at = end;
    }
    return elements;
  }

  /** Moves behind the value; its length, -1 for NULL. */
  #length(): number {
    const length = this.#bytes.readInt32BE(this.#at);
    this.#at += 4 + Math.max(length, 0);
    return length;
  }
}

/**
 * All rows, some at a time; each is the same object. `query` holds no parameters, because COPY takes
 * none. When nothing came for `stalledMs`, or the reader stops early, the connection is of no use any
 * more and must be closed.
 */
export async function* copyOut(
  client: PoolClient,
  query: string,
  stalledMs: number,
): AsyncGenerator<Iterable<CopyRow>> {
  const stream = Object.assign(
    copyTo(`COPY (${query}) TO STDOUT (FORMAT binary)`, { highWaterMark: READ_AHEAD_BYTES }),
    { query_timeout: WHOLE_MS_MAX, callback: () => undefined },
  );
  client.query(stream);
  const splitter = new RowSplitter();
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  try {
    for (;;) {
      const next = await within(stalledMs, chunks.next());
      if (next.done === true) break;
      yield splitter.rowsOf(next.value);
    }
  } finally {
    // The client has put the end of its timer into the callback, which pg-copy-streams never calls.
    stream.callback();
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const message = `PostgreSQL sent no row for ${ms} ms in the middle of a COPY`;
    timer = setTimeout(() => reject(new Error(message)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A row may begin in one piece and end in the next. */
class RowSplitter {
  readonly #row = new CopyRow();
  #rest: Buffer = Buffer.alloc(0);
  #isBegun = false;

  *rowsOf(piece: Buffer): Generator<CopyRow> {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    let at = this.#begin(bytes);
    for (;;) {
      const end = endOfRow(bytes, at);
      if (end === undefined) break;
      this.#row.point(bytes, at + 2);
      yield this.#row;
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }

  #begin(bytes: Buffer): number {
    if (this.#isBegun || bytes.length < HEADER_BYTES) return 0;
    if (!bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)) {
      throw new TypeError('PostgreSQL sent no binary COPY');
    }
    this.#isBegun = true;
    return HEADER_BYTES;
  }
}

/** Undefined: the row is not all there, or this is the trailer (-1 fields). */
function endOfRow(bytes: Buffer, start: number): number | undefined {
  if (start + 2 > bytes.length) return undefined;
  const fields = bytes.readInt16BE(start);
  if (fields < 0) return undefined;
  let at = start + 2;
  for (let i = 0; i < fields; i++) {
    if (at + 4 > bytes.length) return undefined;
    at += 4 + Math.max(bytes.readInt32BE(at), 0);
  }
  return at > bytes.length ? undefined : at;
}
