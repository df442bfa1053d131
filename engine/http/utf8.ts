// Bytes as text, where they are UTF-8, and text as bytes, where it is ASCII.

// Keeps a byte order mark, which is no JSON and must be seen; fatal, so that nothing is replaced.
const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text, which gives the same bytes again; undefined when they are not UTF-8. */
export function decodeUtf8(bytes: ArrayBuffer | Uint8Array): string | undefined {
  try {
    return DECODER.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * `text.charCodeAt(index)` for loops that meet strings of many kinds (flat, joined, known by name):
 * V8 then looks the method up anew for each character, and here it need not.
 */
export function unitAt(text: string, index: number): number {
  return String.prototype.charCodeAt.call(text, index);
}
