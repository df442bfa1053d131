// Answers that differ from one another in nothing but ids: bytes that are there already, into which
// the ids of each are written. A string would be put together, flattened, measured and copied for
// each answer; over uWS that is an eighth of what a small one costs (README.md, "What it costs").

import { MADE_REQUEST_ID_LENGTH } from './request-id.ts';
import { unitAt } from './utf8.ts';

/** Of a reservation id that an engine made. */
const MADE_ID_LENGTH = 35;

/** Bytes cost more than a few strings, so they are made for what is given more often. */
const STRINGS_FIRST = 3;

/** Writes ASCII of that length, which is given because V8 reads a string's own with a call. */
export function stamp(bytes: Uint8Array, at: number, text: string, length: number): void {
  for (let index = 0; index < length; index += 1) bytes[at + index] = unitAt(text, index);
}

/** A body with a place for a reservation id and, in some, one for the request id before it. */
export class StampedBody {
  readonly #before: string | undefined;
  readonly #between: string;
  readonly #after: string;
  #uses = 0;
  #bytes: Uint8Array | undefined;

  /** What stands before the request id, if it has a place; before the reservation id; behind it. */
  constructor(before: string | undefined, between: string, after: string) {
    this.#before = before;
    this.#between = between;
    this.#after = after;
  }

  text(requestId: string, id: string): string {
    const rest = this.#between + id + this.#after;
    return this.#before === undefined ? rest : this.#before + requestId + rest;
  }

  /** The same; bytes, which stay so until the next call, where both ids are as long as ours are. */
  stamped(requestId: string, id: string): string | Uint8Array {
    const bytes = this.#bytes ?? this.#prepare();
    const isUsual = id.length === MADE_ID_LENGTH && requestId.length === MADE_REQUEST_ID_LENGTH;
    if (bytes === undefined || !isUsual) return this.text(requestId, id);
    let at = 0;
    if (this.#before !== undefined) {
      at = this.#before.length;
      stamp(bytes, at, requestId, MADE_REQUEST_ID_LENGTH);
      at += MADE_REQUEST_ID_LENGTH;
    }
    stamp(bytes, at + this.#between.length, id, MADE_ID_LENGTH);
    return bytes;
  }

  #prepare(): Uint8Array | undefined {
    this.#uses += 1;
    if (this.#uses <= STRINGS_FIRST) return undefined;
    const text = this.text(' '.repeat(MADE_REQUEST_ID_LENGTH), ' '.repeat(MADE_ID_LENGTH));
    const bytes = Buffer.from(text);
    // Only of ASCII are the places where the lengths of the strings say.
    if (bytes.length !== text.length) return undefined;
    this.#bytes = bytes;
    return bytes;
  }
}
