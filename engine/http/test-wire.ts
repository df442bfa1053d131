// For the contract suite: a raw client that shows every byte of a connection. Nothing here sleeps: it
// waits for bytes or for the end, with a deadline.

import type { Socket } from 'node:net';
import { connect } from 'node:net';

export interface WireResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

const DEADLINE_MS = 8_000;

/** Lets a test wait until something it watches has come true. */
export class Signal {
  #checks: (() => void)[] = [];

  /** To be called after each change of what is watched. */
  changed(): void {
    const checks = this.#checks;
    this.#checks = [];
    for (const check of checks) check();
  }

  /** Resolves once `done` holds; rejects at the deadline with what `describe` says then. */
  until(done: () => boolean, describe: () => string, deadlineMs = DEADLINE_MS): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(describe())), deadlineMs);
      const check = () => {
        if (done()) {
          clearTimeout(late);
          resolve();
        } else {
          this.#checks.push(check);
        }
      };
      check();
    });
  }
}

/** One TCP connection to the server under test. */
export class Wire {
  readonly #socket: Socket;
  readonly #signal = new Signal();
  #received = Buffer.alloc(0);
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#signal.changed();
    });
    // A reset is one of the ways in which a server may end a connection.
    for (const event of ['error', 'end', 'close']) socket.on(event, () => this.#end());
  }

  static open(port: number): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new Wire(socket));
      });
    });
  }

  /** All bytes that came. */
  get text(): string {
    return this.#received.toString('latin1');
  }

  /** Whether the server has ended the connection. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves when the bytes were handed to the kernel, or the connection has ended. */
  send(bytes: string | Buffer): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closed) resolve();
      else this.#socket.write(bytes, () => resolve());
    });
  }

  /** Resolves when `part` has come. */
  got(part: string): Promise<void> {
    const missing = () => `waited for ${JSON.stringify(part)}, got ${JSON.stringify(this.text)}`;
    return this.#signal.until(() => this.text.includes(part), missing);
  }

  /** The first `count` responses; `bodyless` when they answer HEAD. */
  async responses(count: number, bodyless = false): Promise<readonly WireResponse[]> {
    const enough = () => parseResponses(this.text, bodyless).length >= count;
    const received = () => `waited for ${count} responses, got ${JSON.stringify(this.text)}`;
    await this.#signal.until(() => enough() || this.#closed, received);
    if (!enough()) throw new Error(`${received()}, and the connection ended`);
    return parseResponses(this.text, bodyless);
  }

  async response(): Promise<WireResponse> {
    const [first] = await this.responses(1);
    if (first === undefined) throw new Error('no response');
    return first;
  }

  /** Resolves when the server has ended the connection. */
  ended(deadlineMs = DEADLINE_MS): Promise<void> {
    const stillOpen = () => `the connection stays open after ${JSON.stringify(this.text)}`;
    return this.#signal.until(() => this.#closed, stillOpen, deadlineMs);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #end(): void {
    this.#closed = true;
    this.#socket.destroy();
    this.#signal.changed();
  }
}

/** The complete responses at the head of a stream; interim 1xx responses are left out. */
export function parseResponses(stream: string, bodyless = false): readonly WireResponse[] {
  const found: WireResponse[] = [];
  let rest = stream;
  for (;;) {
    const headEnd = rest.indexOf('\r\n\r\n');
    if (headEnd < 0) return found;
    const [statusLine = '', ...lines] = rest.slice(0, headEnd).split('\r\n');
    const status = Number(/^HTTP\/1\.1 ([0-9]{3}) /.exec(statusLine)?.[1]);
    if (Number.isNaN(status)) throw new Error(`not a response: ${JSON.stringify(rest)}`);
    const headers = new Map(lines.map((line) => splitHeader(line)));
    const length = bodyless ? 0 : Number(headers.get('content-length') ?? 0);
    const bodyAt = headEnd + 4;
    if (rest.length < bodyAt + length) return found;
    const body = rest.slice(bodyAt, bodyAt + length);
    if (status >= 200) found.push({ status, headers, body });
    rest = rest.slice(bodyAt + length);
  }
}

function splitHeader(line: string): [string, string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

/** A request as text; `Host` is added, and `Content-Length` where there is a body. */
export function requestText(
  method: string,
  target: string,
  headers: Readonly<Record<string, string>> = {},
  body?: string,
): string {
  const all = {
    host: 'test',
    ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`;
}
