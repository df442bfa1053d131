/** What the readers of PostgreSQL's rows share: what is wanted, and a cursor in bounded pieces. */
import type { EntryKey } from '../engine/events/entry.ts';
import type { Place } from '../engine/log/place.ts';
import type { PoolClient } from '../engine/postgres/pool.ts';
import type { RestoreChunk } from '../engine/redis/lane-state.ts';

export interface RowsWanted {
  readonly lane: number;
  /** The position that the snapshot must stand at. */
  readonly head: EntryKey;
  /** Only rows that changed behind it; undefined: all rows. */
  readonly newerThan?: Place | undefined;
}

export interface ChunkLimits {
  /** Rows that one script writes: Redis does nothing else meanwhile. */
  readonly rowsMax: number;
  /** Bytes of records in one chunk; a single cart may exceed it. */
  readonly bytesMax: number;
}

export const EMPTY_CHUNK: RestoreChunk = { products: [], cells: [], records: [] };

/**
 * What is newer than a position, as a condition on a table's columns. Spelled with OR and not as a
 * row comparison, because a block range index can only use this form.
 */
export function changedAfter(epoch: string, seq: string): string {
  return `(${epoch} > $2 OR (${epoch} = $2 AND ${seq} > $3))`;
}

export function placeOf(wanted: RowsWanted): readonly [number, number, number] {
  // Everything is newer than (-1, -1), also a row that no entry is known to have written.
  return [wanted.lane, wanted.newerThan?.epoch ?? -1, wanted.newerThan?.seq ?? -1];
}

/**
 * The rows of a query, a bounded number at a time, inside of the transaction that is open. The next
 * piece is on its way while the reader works on this one.
 */
export async function* fetchRows<Row extends object>(
  client: PoolClient,
  query: string,
  values: readonly unknown[],
  rowsMax: number,
): AsyncGenerator<readonly Row[]> {
  await client.query(`DECLARE piece NO SCROLL CURSOR FOR ${query}`, [...values]);
  const fetch = () => {
    const fetching = client.query<Row>(`FETCH ${rowsMax} FROM piece`);
    // A reader that stops early never sees it; it must not count as unhandled then.
    fetching.catch(() => undefined);
    return fetching;
  };
  for (let fetching = fetch(); ; ) {
    const { rows } = await fetching;
    const isLast = rows.length < rowsMax;
    if (!isLast) fetching = fetch();
    if (rows.length > 0) yield rows;
    if (isLast) break;
  }
  await client.query('CLOSE piece');
}
