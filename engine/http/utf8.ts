// Bytes as text, where they are UTF-8.

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
