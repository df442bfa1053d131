/**
 * One keep-alive connection with one request under way at a time, which reads of an answer no more
 * than its status and its length. uWebSockets.js closes a connection that pipelines behind an answer
 * that is still to come, so nothing is pipelined here.
 */
import { connect, type Socket } from 'node:net';

export interface WireEvents {
  /** The bytes of one whole answer: to be read now, the buffer is read into again. */
  readonly answered: (bytes: Buffer) => void;
  readonly lost: (why: string) => void;
}

/** Of all connections, because what was read is looked at before anything else is: so it stays in the cache. */
const CHUNK = Buffer.allocUnsafe(16 * 1024);
const ZERO = 0x30;
const HEAD_END = Buffer.from('\r\n\r\n');

export class WireConnection {
  readonly isOpen: Promise<void>;
  readonly #socket: Socket;
  readonly #events: WireEvents;
  /** The beginning of an answer whose end has not come; usually an answer is one chunk. */
  #begun: Buffer | undefined;

  constructor(host: string, port: number, events: WireEvents) {
    this.#events = events;
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      onread: {
        buffer: CHUNK,
        callback: (bytes) => {
          this.#receive(CHUNK.subarray(0, bytes));
          return true;
        },
      },
    });
    this.isOpen = new Promise((resolve, reject) => {
      this.#socket.once('connect', () => resolve());
      this.#socket.once('error', reject);
    });
    this.#socket.on('close', () => events.lost('it was closed'));
    this.#socket.on('error', (error) => events.lost(error.message));
  }

  send(request: Buffer): void {
    this.#socket.write(request);
  }

  /** Says nothing any more. */
  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.removeAllListeners('error');
    this.#socket.on('error', () => undefined);
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    const bytes = this.#begun === undefined ? chunk : Buffer.concat([this.#begun, chunk]);
    const length = this.#lengthOf(bytes);
    if (Number.isNaN(length)) return;
    if (length === undefined || bytes.length < length) {
      // The buffer is read into again, so what is kept must be a copy.
      this.#begun = Buffer.from(bytes);
      return;
    }
    this.#begun = undefined;
    if (bytes.length > length) this.#events.lost('more came than one answer');
    else this.#events.answered(bytes);
  }

  /** NaN: it cannot be read, and its user knows. */
  #lengthOf(bytes: Buffer): number | undefined {
    try {
      return answerLength(bytes);
    } catch (error) {
      this.#events.lost(String(error));
      return Number.NaN;
    }
  }
}

/** As both transports of the engine write it; others are read the slow way. */
export const LENGTH = Buffer.from('\r\ncontent-length: ');

/** Of head and body; undefined while the head is not there whole. Throws without a length. */
export function answerLength(bytes: Buffer): number | undefined {
  const end = bytes.indexOf(HEAD_END);
  if (end < 0) return undefined;
  const at = bytes.indexOf(LENGTH);
  const isPlain = at >= 0 && at < end;
  const length = isPlain ? digitsAt(bytes, at + LENGTH.length) : lengthIn(bytes, end);
  return end + HEAD_END.length + length;
}

function digitsAt(bytes: Buffer, from: number): number {
  let value = 0;
  for (let at = from; ; at++) {
    const digit = (bytes[at] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return value;
    value = value * 10 + digit;
  }
}

function lengthIn(bytes: Buffer, end: number): number {
  const head = bytes.toString('latin1', 0, end);
  const [, digits] = /\r\ncontent-length: *(\d+)/i.exec(head) ?? [];
  if (digits === undefined) throw new Error(`an answer has no Content-Length:\n${head}`);
  return Number(digits);
}

/** `HTTP/1.1 201 Created`: the three digits at 9. */
export function statusOf(bytes: Buffer): number {
  const [hundreds = ZERO, tens = ZERO, ones = ZERO] = [bytes[9], bytes[10], bytes[11]];
  return (hundreds - ZERO) * 100 + (tens - ZERO) * 10 + (ones - ZERO);
}

/** The text behind the head. */
export function bodyText(bytes: Buffer): string {
  return bytes.toString('utf8', bytes.indexOf(HEAD_END) + HEAD_END.length);
}
