/**
 * PostgreSQL's rows on their way back into Redis, as Redis keeps them: all read in one snapshot,
 * streamed in bounded chunks. Either the rows that changed after a position, or all of them.
 *
 * What goes back: every product that the log has defined, every cell, every hold that is live, and
 * of everything else (committed reservations, tombstones, stock operations) what stands in a
 * generation that Redis still looks at. Older ones are PostgreSQL's alone: Redis has dropped them
 * too, and a settlement of one brings its record along (`adopt`). Of an id that was used again only
 * the newest reservation goes back.
 */
import { asSku, cellField } from '../engine/domain/ids.ts';
import { GENERATIONS_BACK, generationOf, packId } from '../engine/domain/reservation-id.ts';
import type { EntryKey } from '../engine/events/entry.ts';
import { encodeOperation } from '../engine/events/hold-codec.ts';
import { isSameEntry, type Place, showPlace } from '../engine/log/place.ts';
import type { Pool, PoolClient } from '../engine/postgres/pool.ts';
import { type LanePosition, readPosition } from '../engine/postgres/position.ts';
import { laneKeys } from '../engine/redis/keys.ts';
import type { RestoreChunk } from '../engine/redis/lane-state.ts';
import { RestoreEncoder } from '../engine/redis/restore-encoder.ts';
import { type CopyRow, copyOut } from './copy-out.ts';
import { ReservationReader } from './reservation-rows.ts';
import { cellsQuery, operationsQuery, productsQuery, reservationsQuery } from './row-queries.ts';

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
  /** Bytes of one chunk, exceeded by one row at the most. */
  readonly bytesMax: number;
  /** How long PostgreSQL may send nothing. */
  readonly stalledMs: number;
}

/** 1,000 rows keep a script below 5 ms (README, "What it costs"); 256 KiB are four of the biggest carts. */
export const CHUNK_LIMITS: ChunkLimits = {
  rowsMax: 1_000,
  bytesMax: 262_144,
  stalledMs: 30_000,
};

/**
 * For the sessions that read rows. The planner must not hash or sort all reservations that there ever
 * were to find out which are the newest, nor compile what runs for milliseconds; and a COPY of a
 * million rows may take longer than a statement usually may.
 */
const SESSION = `
  SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off;
  SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL statement_timeout = 0`;

/** Throws when PostgreSQL's position is no longer the head: somebody writes under our term. */
export async function* readRows(
  pool: Pool,
  wanted: RowsWanted,
  limits: ChunkLimits = CHUNK_LIMITS,
): AsyncGenerator<RestoreChunk> {
  const client = await pool.connect();
  // A connection that breaks tells the query that runs; between two nobody would listen.
  const ignore = () => undefined;
  client.on('error', ignore);
  let isOver = false;
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const position = await readPosition(client, wanted.lane);
    if (!isSameEntry(position, wanted.head)) {
      throw new Error(
        `PostgreSQL stands at ${showPlace(position)}, recovery saw ${showPlace(wanted.head)}: who writes the log under its term?`,
      );
    }
    await client.query(SESSION);
    yield* encodeRows(client, wanted, position, limits);
    await client.query('ROLLBACK');
    isOver = true;
  } finally {
    client.off('error', ignore);
    // Nothing was written; closing the connection is the one thing that always ends the snapshot.
    client.release(!isOver);
  }
}

/** What a full copy comes to, for people who wait; the rows may change until it is done. */
export async function countRows(pool: Pool, wanted: RowsWanted): Promise<number> {
  const { timeMs } = await readPosition(pool, wanted.lane);
  const queries = rowQueries(wanted, oldestGeneration(timeMs)).map(
    ({ count }) => `(SELECT count(*) FROM ${count})`,
  );
  const { rows } = await pool.query<{ total: number }>(`SELECT ${queries.join(' + ')} AS total`);
  return rows[0]?.total ?? 0;
}

/** Redis has dropped what is older, but for holds. */
function oldestGeneration(timeMs: number): number {
  return generationOf(timeMs) - GENERATIONS_BACK;
}

function rowQueries({ lane, newerThan }: RowsWanted, oldest: number) {
  // Everything is newer than (-1, -1), also a row that no entry is known to have written.
  const after = newerThan ?? { epoch: -1, seq: -1 };
  return [
    productsQuery(after),
    cellsQuery(lane, after),
    operationsQuery(lane, after, oldest),
    reservationsQuery(lane, after, oldest),
  ] as const;
}

async function* encodeRows(
  client: PoolClient,
  wanted: RowsWanted,
  { timeMs }: LanePosition,
  limits: ChunkLimits,
): AsyncGenerator<RestoreChunk> {
  const out = new RestoreEncoder(laneKeys(wanted.lane), {
    isOverOlder: wanted.newerThan !== undefined,
  });
  const reservations = new ReservationReader(out);
  const readers = [writeProduct, writeCell, writeOperation].map((write) => ({
    read: (row: CopyRow) => write(out, row),
    end: () => undefined,
  }));
  const queries = rowQueries(wanted, oldestGeneration(timeMs));
  for (const [i, reader] of [...readers, reservations].entries()) {
    const query = queries[i];
    if (query === undefined) throw new Error('there is a query for each reader');
    for await (const rows of copyOut(client, query.select, limits.stalledMs)) {
      for (const row of rows) {
        reader.read(row);
        if (out.rows >= limits.rowsMax || out.bytes >= limits.bytesMax) yield out.take();
      }
    }
    reader.end();
  }
  if (out.rows > 0) yield out.take();
}

function writeProduct(out: RestoreEncoder, row: CopyRow): void {
  out.product(asSku(row.ascii()));
}

function writeCell(out: RestoreEncoder, row: CopyRow): void {
  out.cell({
    sku: asSku(row.ascii()),
    field: cellField(row.ascii(), row.ascii()),
    available: row.number(),
    reserved: row.number(),
    allocated: row.number(),
    version: row.number(),
  });
}

function writeOperation(out: RestoreEncoder, row: CopyRow): void {
  out.record({
    id: packId(row.ascii()),
    generation: row.number(),
    record: encodeOperation(row.bytes() ?? Buffer.alloc(0), row.number()),
  });
}
