/**
 * Statements and COPYs that go to PostgreSQL as one message, with all their data behind it. Each round
 * trip wakes two processes, and a batch of a few events is little more than its round trips: so the
 * data of a COPY does not wait until the server asks for it (PostgreSQL documentation, "Frontend/Backend
 * Protocol", simple query and COPY operations). When a statement fails, what follows it is not run, and
 * the server drops the data that was on its way.
 *
 * pg-copy-streams sends one COPY at a time, and each takes two round trips.
 */
import type { Duplex } from 'node:stream';
import type { PoolClient } from '../engine/postgres/pool.ts';
import { type CrashPoint, noCrashPoint } from '../engine/runtime/crash-point.ts';

/** A COPY from our data, or any other statement; of its rows all columns are read as text. */
export type Statement =
  | { readonly statement: string; readonly bytes: Buffer }
  | { readonly statement: string; readonly bytes?: never };

export interface ScriptResult {
  readonly rows: readonly Readonly<Record<string, string | null>>[];
  /** What each statement did: `UPDATE 1`. */
  readonly tags: readonly string[];
}

/** Large enough that the messages do not count, small enough that the server starts while we send. */
const COPY_CHUNK_BYTES = 256 * 1024;
const QUERY = 'Q'.charCodeAt(0);
const COPY_DATA = 'd'.charCodeAt(0);
const COPY_DONE = 'c'.charCodeAt(0);
const HEADER_BYTES = 5;

/** Rejects with the first error; then nobody knows what was done, unless it is in a transaction. */
export function runScript(
  client: PoolClient,
  statements: readonly Statement[],
  crash: CrashPoint = noCrashPoint,
): Promise<ScriptResult> {
  return new Promise((resolve, reject) => {
    client.query(new Script(statements, crash, resolve, reject));
  });
}

/** What pg's client calls as the answers come. */
class Script {
  readonly #statements: readonly Statement[];
  readonly #crash: CrashPoint;
  readonly #rows: Record<string, string | null>[] = [];
  readonly #tags: string[] = [];
  #columns: readonly string[] = [];
  #error: Error | undefined;
  /** The client wraps it, to end the timer of `query_timeout`. */
  callback: (error?: Error) => void;

  constructor(
    statements: readonly Statement[],
    crash: CrashPoint,
    resolve: (result: ScriptResult) => void,
    reject: (error: Error) => void,
  ) {
    this.#statements = statements;
    this.#crash = crash;
    this.callback = (error) => {
      if (error === undefined) resolve({ rows: this.#rows, tags: this.#tags });
      else reject(error);
    };
  }

  submit({ stream }: { readonly stream: Duplex }): void {
    // Closed meanwhile: the client tells all its queries so.
    if (!stream.writable) return;
    const text = this.#statements.map(({ statement }) => statement).join('\n;\n');
    stream.write(message(QUERY, Buffer.from(`${text}\0`)));
    this.#crash('persister.after_begin');
    stream.cork();
    for (const { bytes } of this.#statements) {
      if (bytes !== undefined) writeCopy(stream, bytes);
    }
    stream.uncork();
    this.#crash('persister.after_send');
  }

  handleRowDescription({ fields }: { fields: readonly { readonly name: string }[] }): void {
    this.#columns = fields.map(({ name }) => name);
  }

  handleDataRow({ fields }: { fields: readonly (string | null)[] }): void {
    this.#rows.push(Object.fromEntries(this.#columns.map((name, i) => [name, fields[i] ?? null])));
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.#tags.push(text);
  }

  /** The data is on its way. */
  handleCopyInResponse(): void {}

  handleEmptyQuery(): void {}

  handleError(error: Error): void {
    this.#error ??= error;
    this.callback(this.#error);
  }

  handleReadyForQuery(): void {
    this.callback(this.#error);
  }
}

function writeCopy(stream: Duplex, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += COPY_CHUNK_BYTES) {
    const chunk = bytes.subarray(at, at + COPY_CHUNK_BYTES);
    stream.write(header(COPY_DATA, chunk.length));
    stream.write(chunk);
  }
  stream.write(header(COPY_DONE, 0));
}

function message(code: number, body: Buffer): Buffer {
  return Buffer.concat([header(code, body.length), body]);
}

/** The length counts itself, and not the code. */
function header(code: number, bodyBytes: number): Buffer {
  const head = Buffer.allocUnsafe(HEADER_BYTES);
  head[0] = code;
  head.writeInt32BE(bodyBytes + HEADER_BYTES - 1, 1);
  return head;
}

/** Runs what the session has prepared under the name, with SQL expressions. */
export function callPrepared(name: string, expressions: readonly string[]): Statement {
  return { statement: `EXECUTE ${name} (${expressions.join(', ')})` };
}
