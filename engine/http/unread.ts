// What keeps a client that asks and does not read from filling this process. What the kernel does not
// take of an answer, uWS keeps in the socket's own buffer, without a bound and without a word. Only
// `tryEnd` says so, and it costs 0.25 us more than `end`, so it is used for a few answers that nobody
// can foresee, and the more likely the larger they are.

import type { AnswerBody, AnswerHead } from './answer.ts';
import type { UwsResponse } from './uws-load.ts';

/** About what a head takes. */
const HEAD_BYTES = 250;

/**
 * Which answers are looked after: one in so many bytes of them, drawn anew each time, because who knew
 * which it is could have it read on another connection. So a connection is found out when it has left
 * `meanBytes` unread, on average; an answer of twice as much always is one of them.
 */
export class Probes {
  readonly #meanBytes: number;
  readonly #random: () => number;
  #leftBytes: number;

  /** The first comes after twice `meanBytes`. */
  constructor(meanBytes: number, random: () => number = Math.random) {
    this.#meanBytes = meanBytes;
    this.#random = random;
    this.#leftBytes = 2 * meanBytes;
  }

  /** Whether the answer with such a body is one of them. */
  isDue(bodyBytes: number): boolean {
    this.#leftBytes -= bodyBytes + HEAD_BYTES;
    if (this.#leftBytes > 0) return false;
    this.#leftBytes = 2 * this.#meanBytes * this.#random();
    return true;
  }
}

/**
 * Ends the answer as far as the client takes it; whether it took all. If not, the response stays open,
 * so that uWS closes the connection at its next request, or when it takes nothing for about 10 s; the
 * rest follows by `sendRest`.
 */
export function tryToEnd(res: UwsResponse, body: AnswerBody): boolean {
  return res.tryEnd(body, 0)[0];
}

/** Sends the rest by and by; `done` is called when all is sent, and never after an abort. */
export function sendRest(res: UwsResponse, body: AnswerBody, done: () => void): void {
  // Text is made bytes anew each time, because many connections may wait for the same. Bytes may be
  // written over when this returns (stamped.ts).
  const kept = typeof body === 'string' ? body : Buffer.from(body);
  res.onWritable((offset) => {
    const bytes = Buffer.from(kept);
    const isAll = res.tryEnd(bytes.subarray(offset), bytes.length)[0];
    if (isAll) done();
    return isAll;
  });
}

const LINE_END = '\r\n';

/**
 * The whole of an answer of which uWS cannot be asked whether it was taken: without a body, or before
 * the connection is closed. It is written as a status, which for uWS ends nothing; so the response
 * stays open, and who calls this closes it in a later turn, whether or not it was read.
 */
export function writeWhole(
  res: UwsResponse,
  head: AnswerHead,
  requestId: string,
  body: AnswerBody | undefined,
  lengthBytes: number | undefined,
): void {
  const lines = [head.text + requestId, `date: ${new Date().toUTCString()}`, 'connection: close'];
  // uWS puts a line end behind what it is given. It ends the head; behind a body it is counted in, and
  // changes nothing in JSON.
  const bytes = body === undefined ? undefined : Buffer.from(body);
  const length = bytes === undefined ? lengthBytes : bytes.length + LINE_END.length;
  if (length !== undefined) lines.push(`content-length: ${length}`);
  const text = lines.join(LINE_END) + LINE_END;
  res.writeStatus(
    bytes === undefined ? text : Buffer.concat([Buffer.from(text + LINE_END), bytes]),
  );
}
