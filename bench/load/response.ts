/**
 * Reads HTTP/1.1 responses with a Content-Length off a connection, one at a time (no pipelining). Anything else
 * (chunked, no length, more bytes than announced) is refused: a load client that guesses framing measures nonsense.
 * After an error the connection is of no use.
 *
 * States: no head yet (`#head` undefined: the bytes so far are in `#chunks`), or in the body (`#head` known;
 * `#chunks` holds its first `#received` bytes).
 */

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case; a header that came twice is joined by ", ". */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** False: the server closes the connection behind this response. */
  readonly keepsAlive: boolean;
}

export class ResponseError extends Error {
  override readonly name = 'ResponseError';
}

interface Head {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly keepsAlive: boolean;
  readonly bodyBytes: number;
}

const HEAD_BYTES_MAX = 32 * 1024;
/** Far above any answer of the engine; it bounds what a wrong length can make us hold. */
const BODY_BYTES_MAX = 64 * 1024 * 1024;
const HEAD_END = Buffer.from('\r\n\r\n');

export class ResponseReader {
  #head: Head | undefined;
  #chunks: Buffer[] = [];
  #received = 0;

  /** @returns the response when the chunk completes it. @throws ResponseError */
  push(chunk: Buffer): HttpResponse | undefined {
    this.#chunks.push(chunk);
    this.#received += chunk.length;
    while (this.#head === undefined) {
      if (!this.#readHead()) return undefined;
    }
    const head = this.#head;
    if (this.#received < head.bodyBytes) return undefined;
    if (this.#received > head.bodyBytes) {
      throw new ResponseError(
        `${this.#received - head.bodyBytes} bytes follow the response that nobody asked for`,
      );
    }
    const body = joined(this.#chunks).toString('utf8');
    this.#startWith(undefined, Buffer.alloc(0));
    const { status, headers, keepsAlive } = head;
    return { status, headers, body, keepsAlive };
  }

  /** Bytes of an unfinished response are there. */
  get isBegun(): boolean {
    return this.#head !== undefined || this.#received > 0;
  }

  /** @returns false when the head is not complete yet. */
  #readHead(): boolean {
    const bytes = joined(this.#chunks);
    const end = bytes.indexOf(HEAD_END);
    if ((end < 0 ? bytes.length : end) > HEAD_BYTES_MAX) {
      throw new ResponseError(`the response's head is longer than ${HEAD_BYTES_MAX} bytes`);
    }
    if (end < 0) {
      this.#chunks = [bytes];
      return false;
    }
    const head = parseHead(bytes.toString('latin1', 0, end));
    // 100 Continue, 103 Early Hints: the response proper follows.
    this.#startWith(head.status < 200 ? undefined : head, bytes.subarray(end + HEAD_END.length));
    return true;
  }

  #startWith(head: Head | undefined, rest: Buffer): void {
    this.#head = head;
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#received = rest.length;
  }
}

function joined(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
}

function parseHead(text: string): Head {
  const lines = text.split('\r\n');
  const statusLine = lines[0] ?? '';
  const match = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(statusLine);
  if (match === null) {
    throw new ResponseError(`no HTTP/1.1 status line: ${JSON.stringify(statusLine.slice(0, 80))}`);
  }
  const headers: Record<string, string> = {};
  for (let index = 1; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    const colon = line.indexOf(':');
    if (colon <= 0) throw new ResponseError(`no header: ${JSON.stringify(line.slice(0, 80))}`);
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = headers[name];
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  }
  const status = Number(match[2]);
  const connection = headers.connection?.toLowerCase();
  return {
    status,
    headers,
    keepsAlive: match[1] === '1' ? connection !== 'close' : connection === 'keep-alive',
    bodyBytes: bodyBytes(status, headers),
  };
}

function bodyBytes(status: number, headers: Readonly<Record<string, string>>): number {
  const encoding = headers['transfer-encoding'];
  if (encoding !== undefined) {
    throw new ResponseError(`the response is ${encoding}; this client reads Content-Length only`);
  }
  if (status < 200 || status === 204 || status === 304) return 0;
  const length = headers['content-length'];
  if (length === undefined) throw new ResponseError('the response has no Content-Length');
  if (!/^\d{1,9}$/.test(length) || Number(length) > BODY_BYTES_MAX) {
    throw new ResponseError(`the Content-Length is ${JSON.stringify(length)}`);
  }
  return Number(length);
}
