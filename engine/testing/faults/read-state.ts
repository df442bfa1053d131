/**
 * Reads the final state of a run: what Redis and PostgreSQL have of its SKUs and ids when both stand
 * at the same position, and the log up to there. Bytes are read with the auditor's decoders.
 */
import type { Redis } from 'ioredis';
import type { Pool, PoolClient } from 'pg';
import { laneKeys } from '../../redis/keys.ts';
import type { EntryId } from '../auditor/decode.ts';
import {
  type CellBalances,
  fieldIn,
  idBytes,
  placeOf,
  readCell,
  readRecord,
} from '../auditor/decode-record.ts';
import {
  type FinalState,
  type StoredCell,
  type StoredReservation,
  showEntry,
} from './final-state.ts';

import type { LogReader, Place } from './log-reader.ts';

export interface StateSources {
  /** The primary of the moment, directly. */
  readonly redis: Redis;
  readonly pool: Pool;
  /** Undefined: the log is left out. */
  readonly log: LogReader | undefined;
}

export interface StateOf {
  readonly skus: readonly string[];
  /** Ids that clients know; those of rows that PostgreSQL has are added. */
  readonly ids: readonly string[];
}

const LANE = 0;
const KEYS = laneKeys(LANE);
const POLL_MS = 20;
const DAY_MS = 86_400_000;
/** First byte of the head of a record that stands among the carts. */
const CART_HEAD = 128;
const LOG_MS_MAX = 30_000;

/** Throws when the stores do not come to stand at one position within the time. */
export async function readFinalState(
  sources: StateSources,
  of: StateOf,
  timeoutMs: number,
): Promise<FinalState> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const state = await tryRead(sources, of);
    if (state !== undefined) {
      const log = await sources.log?.readUntil(state.position, LOG_MS_MAX);
      return { ...state, log, isLogWhole: sources.log?.isWhole ?? false };
    }
    if (performance.now() > deadlineMs) {
      const [redis, postgres] = [await redisPlace(sources.redis), await placeIn(sources.pool)];
      throw new Error(
        `the lane was not open with Redis (${show(redis)}) and PostgreSQL (${show(postgres)}) at one position within ${timeoutMs} ms`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Undefined when something moved while it was read. */
async function tryRead(
  { redis, pool }: StateSources,
  of: StateOf,
): Promise<Omit<FinalState, 'log' | 'isLogWhole'> | undefined> {
  // Until it is open, recovery may have moved the position ahead of the stream.
  if ((await redis.hget(KEYS.meta, 'state')) !== 'open') return undefined;
  const before = await redisPlace(redis);
  const client = await pool.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    if (!isSame(await placeIn(client), before)) return undefined;
    const postgres = await readPostgres(client, of.skus);
    const ids = new Set([...of.ids, ...postgres.reservations.map(({ id }) => id)]);
    const cells = await readCells(redis, of.skus);
    const records = await readRecords(redis, [...ids]);
    if (!isSame(await redisPlace(redis), before)) return undefined;
    const readAtMs = performance.now();
    return { readAtMs, position: before, redis: { cells, records }, postgres };
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
    client.release();
  }
}

const isSame = (a: Place, b: Place): boolean => a.epoch === b.epoch && a.seq === b.seq;
const show = ({ epoch, seq }: Place): string => `${epoch}-${seq}`;

export async function redisPlace(redis: Redis): Promise<Place> {
  const [epoch, seq] = await redis.hmget(KEYS.meta, 'epoch', 'seq');
  return { epoch: Number(epoch ?? 0), seq: Number(seq ?? 0) };
}

export async function placeIn(client: Pool | PoolClient): Promise<Place> {
  const { rows } = await client.query<{ epoch: string; seq: string }>(
    'SELECT epoch::text, seq::text FROM positions WHERE lane = $1',
    [LANE],
  );
  return { epoch: Number(rows[0]?.epoch ?? 0), seq: Number(rows[0]?.seq ?? 0) };
}

/** A SKU of a run stands in one warehouse. */
async function readCells(
  redis: Redis,
  skus: readonly string[],
): Promise<Map<string, CellBalances>> {
  const cells = new Map<string, CellBalances>();
  for (const sku of skus) {
    const fields = await redis.hgetallBuffer(KEYS.stock(sku));
    for (const [field, bytes] of Object.entries(fields)) {
      // The field without a name says that the SKU is known.
      if (field !== '') cells.set(sku, readCell(bytes, `cell ${sku} ${field}`));
    }
  }
  return cells;
}

async function readRecords(redis: Redis, ids: readonly string[]): Promise<Map<string, string>> {
  const [seconds] = await redis.time();
  const today = Math.floor((Number(seconds) * 1_000) / DAY_MS);
  const records = new Map<string, string>();
  await Promise.all(
    ids.map(async (id) => {
      const state = await readRecordOf(redis, id, today);
      if (state !== undefined) records.set(id, state);
    }),
  );
  return records;
}

async function readRecordOf(redis: Redis, id: string, today: number): Promise<string | undefined> {
  const { day, bucket } = placeOf(id);
  // A clock that jumped in a fault may have put it into a day beside this one.
  const days = day === undefined ? [today, today - 1, today + 1] : [day];
  for (const each of days) {
    const field = fieldIn(LANE, each, bucket, idBytes(id));
    const head = await redis.hgetBuffer(KEYS.hold(each, bucket), field);
    if (head === null) continue;
    const isHead = (head[0] ?? 0) >= CART_HEAD;
    const bytes = isHead ? await redis.hgetBuffer(KEYS.cart(each, bucket), field) : head;
    return bytes === null ? 'a head without its cart' : readRecord(bytes, `record ${id}`).state;
  }
  return undefined;
}

async function readPostgres(
  client: PoolClient,
  skus: readonly string[],
): Promise<FinalState['postgres']> {
  const reservations = await client.query<StoredReservation>(
    `SELECT r.reservation_id AS id, r.created_epoch::float8 AS "createdEpoch",
            r.created_seq::float8 AS "createdSeq", r.status, r.order_id AS "orderId",
            json_agg(json_build_object('sku', l.sku_id, 'requested', l.requested,
              'reserved', l.reserved, 'allocated', l.allocated)) AS lines
     FROM reservations r JOIN reservation_lines l USING (reservation_id, created_epoch, created_seq)
     WHERE l.sku_id = ANY ($1) GROUP BY r.reservation_id, r.created_epoch, r.created_seq
     ORDER BY r.created_epoch, r.created_seq`,
    [skus],
  );
  const cells = await client.query<StoredCell & { sku: string }>(
    `SELECT sku_id AS sku, sum(available_qty)::float8 AS available,
            sum(reserved_qty)::float8 AS reserved, sum(allocated_qty)::float8 AS allocated,
            sum(version)::float8 AS version, min(suspect) AS suspect
     FROM inventory WHERE sku_id = ANY ($1) GROUP BY sku_id`,
    [skus],
  );
  const received = await client.query<{ sku: string; units: number }>(
    `SELECT sku_id AS sku, sum(quantity)::float8 AS units FROM stock_movements
     WHERE sku_id = ANY ($1) AND movement_type = 'receive' GROUP BY sku_id`,
    [skus],
  );
  const entries = await client.query<EntryId>(
    `SELECT epoch::float8 AS epoch, seq::float8 AS seq, encode(nonce, 'hex') AS nonce
     FROM entries WHERE lane = $1`,
    [LANE],
  );
  return {
    entries: new Set(entries.rows.map(showEntry)),
    cells: new Map(cells.rows.map(({ sku, ...cell }) => [sku, cell])),
    reservations: reservations.rows,
    received: new Map(received.rows.map(({ sku, units }) => [sku, units])),
  };
}
