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
import { generationOf, packId } from '../engine/domain/reservation-id.ts';
import { encodeOperation } from '../engine/events/hold-codec.ts';
import { isSameEntry, showPlace } from '../engine/log/place.ts';
import type { Pool, PoolClient } from '../engine/postgres/pool.ts';
import { readPosition } from '../engine/postgres/position.ts';
import type { CellRow, RestoreChunk } from '../engine/redis/lane-state.ts';
import { readReservations } from './reservation-rows.ts';
import {
  type ChunkLimits,
  changedAfter,
  EMPTY_CHUNK,
  fetchRows,
  placeOf,
  type RowsWanted,
} from './row-reader.ts';

/** Redis drops a generation when it is more days back than this (lua/commands/drop.lua). */
export const GENERATIONS_BACK = 2;

/** 500 rows keep a script near a millisecond; 256 KiB are four of the biggest carts. */
export const CHUNK_LIMITS: ChunkLimits = { rowsMax: 500, bytesMax: 262_144 };

/** Throws when PostgreSQL's position is no longer the head: somebody writes under our term. */
export async function* readRows(
  pool: Pool,
  wanted: RowsWanted,
  limits: ChunkLimits = CHUNK_LIMITS,
): AsyncGenerator<RestoreChunk> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const position = await readPosition(client, wanted.lane);
    if (!isSameEntry(position, wanted.head)) {
      throw new Error(
        `PostgreSQL stands at ${showPlace(position)}, recovery saw ${showPlace(wanted.head)}: who writes the log under its term?`,
      );
    }
    const oldest = generationOf(position.timeMs) - GENERATIONS_BACK;
    yield* readProducts(client, wanted, limits);
    yield* readCells(client, wanted, limits);
    yield* readOperations(client, wanted, oldest, limits);
    yield* readReservations(client, wanted, oldest, limits);
  } finally {
    // Nothing was written; closing the connection is the one thing that always ends the snapshot.
    const isOver = await client.query('ROLLBACK').then(
      () => true,
      () => false,
    );
    client.release(!isOver);
  }
}

interface ProductSql {
  readonly sku_id: string;
}

async function* readProducts(
  client: PoolClient,
  wanted: RowsWanted,
  limits: ChunkLimits,
): AsyncGenerator<RestoreChunk> {
  const [, epoch, seq] = placeOf(wanted);
  const rows = fetchRows<ProductSql>(
    client,
    `SELECT sku_id FROM products
     WHERE defined_epoch > $1 OR (defined_epoch = $1 AND defined_seq > $2)`,
    [epoch, seq],
    limits.rowsMax,
  );
  for await (const chunk of rows) {
    yield { ...EMPTY_CHUNK, products: chunk.map((row) => asSku(row.sku_id)) };
  }
}

interface CellSql {
  readonly sku_id: string;
  readonly warehouse_id: string;
  readonly pool: string;
  readonly available_qty: number;
  readonly reserved_qty: number;
  readonly allocated_qty: number;
  readonly version: number;
}

async function* readCells(
  client: PoolClient,
  wanted: RowsWanted,
  limits: ChunkLimits,
): AsyncGenerator<RestoreChunk> {
  const rows = fetchRows<CellSql>(
    client,
    `SELECT sku_id, warehouse_id, pool, available_qty, reserved_qty, allocated_qty, version
     FROM inventory WHERE lane = $1 AND ${changedAfter('epoch', 'seq')}`,
    placeOf(wanted),
    limits.rowsMax,
  );
  for await (const chunk of rows) yield { ...EMPTY_CHUNK, cells: chunk.map(toCell) };
}

function toCell(row: CellSql): CellRow {
  return {
    sku: asSku(row.sku_id),
    field: cellField(row.warehouse_id, row.pool),
    available: row.available_qty,
    reserved: row.reserved_qty,
    allocated: row.allocated_qty,
    version: row.version,
  };
}

interface OperationSql {
  readonly operation_id: string;
  readonly generation: number;
  readonly fingerprint: Buffer;
  readonly created_s: number;
}

async function* readOperations(
  client: PoolClient,
  wanted: RowsWanted,
  oldestGeneration: number,
  limits: ChunkLimits,
): AsyncGenerator<RestoreChunk> {
  const rows = fetchRows<OperationSql>(
    client,
    `SELECT operation_id, generation, fingerprint, created_s FROM operations o
     WHERE lane = $1 AND ${changedAfter('epoch', 'seq')} AND generation >= $4
       AND NOT EXISTS (SELECT FROM operations newer
                       WHERE newer.operation_id = o.operation_id
                         AND (newer.epoch, newer.seq) > (o.epoch, o.seq))`,
    [...placeOf(wanted), oldestGeneration],
    limits.rowsMax,
  );
  for await (const chunk of rows) {
    const records = chunk.map((row) => ({
      id: packId(row.operation_id),
      generation: row.generation,
      record: encodeOperation(row.fingerprint, row.created_s),
    }));
    yield { ...EMPTY_CHUNK, records };
  }
}
