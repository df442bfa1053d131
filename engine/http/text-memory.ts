// Bodies as text, where many are the same: a crowd wants one thing. Bytes that are those of a text
// which came before give that very string again, so nothing is decoded, and whoever keeps by text
// what he made of it finds it by a hash that V8 has already.

import { decodeUtf8, unitAt } from './utf8.ts';

/** Texts that are remembered at a time, a power of two; a body that shares a slot takes it over. */
const SLOTS = 256;
/** Beyond it a body is hardly ever sent twice. */
const BYTES_MAX = 160;

/** Of all bytes, because SKUs of one sale may differ in any one. */
function slotOf(bytes: Uint8Array): number {
  let hash = bytes.length;
  for (let at = 0; at < bytes.length; at += 1)
    hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x9e3779b1);
  return (hash ^ (hash >>> 15)) & (SLOTS - 1);
}

export class TextMemory {
  /** ASCII only: of that a text has as many units as bytes, and the same. */
  readonly #texts: string[] = Array.from({ length: SLOTS }, () => '');

  /** As `decodeUtf8`. */
  decode(chunk: ArrayBuffer): string | undefined {
    if (chunk.byteLength > BYTES_MAX) return decodeUtf8(chunk);
    const bytes = new Uint8Array(chunk);
    const slot = slotOf(bytes);
    const known = this.#texts[slot] ?? '';
    if (isText(bytes, known)) return known;
    const text = decodeUtf8(bytes);
    if (text !== undefined && isText(bytes, text)) this.#texts[slot] = text;
    return text;
  }
}

function isText(bytes: Uint8Array, text: string): boolean {
  if (bytes.length !== text.length) return false;
  for (let at = 0; at < bytes.length; at += 1) if (bytes[at] !== unitAt(text, at)) return false;
  return true;
}
