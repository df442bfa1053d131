/** The log as the relay writes it. */

export interface LogWriter {
  /**
   * Appends the entries under the term, in order and without any other record between them;
   * resolves with the offset of the first when every replica that counts has them. Rejects when
   * that is not known: they may have landed, or may land later.
   */
  append(lane: number, term: number, entries: readonly Buffer[]): Promise<bigint>;
  /** Appends a bare fence. */
  fence(lane: number, term: number): Promise<void>;
  close(): Promise<void>;
}

/** All records of one append are one batch of Kafka's, which the topic bounds. */
export const APPEND_BYTES_MAX = 1024 * 1024;

/** Pieces of at most so many bytes; something bigger is a piece of its own. */
export function* cutByBytes<T>(
  items: readonly T[],
  bytesOf: (item: T) => number,
  bytesMax = APPEND_BYTES_MAX,
): Generator<T[]> {
  let piece: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = bytesOf(item);
    if (piece.length > 0 && bytes + size > bytesMax) {
      yield piece;
      piece = [];
      bytes = 0;
    }
    piece.push(item);
    bytes += size;
  }
  if (piece.length > 0) yield piece;
}
