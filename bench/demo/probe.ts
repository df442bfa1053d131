/**
 * Looks at the running system from outside, as an operator would: the sale's stock through the API, the lane's
 * position in Redis, and what PostgreSQL has.
 */
import type { Redis } from 'ioredis';
import { createPool, type Pool } from '../../engine/postgres/pool.ts';
import { readPosition } from '../../engine/postgres/position.ts';
import { connectRedis, whenReady } from '../../engine/redis/connect.ts';
import { laneKeys } from '../../engine/redis/keys.ts';
import { type Api, fieldOf } from './api.ts';

export interface Place {
  readonly epoch: number;
  readonly seq: number;
}

export interface Balances {
  readonly available: number;
  readonly reserved: number;
  readonly allocated: number;
}

export interface Rows {
  readonly reservations: number;
  readonly movements: number;
  /** Reservations by status. */
  readonly held: number;
  readonly committed: number;
  readonly expired: number;
}

export interface Probe {
  readonly redis: Redis;
  readonly pool: Pool;
  /** Of the SKU, over all warehouses. */
  readonly balances: (api: Api, skuId: string) => Promise<Balances | undefined>;
  /** Where the lane stands in Redis; undefined: there is none yet. */
  readonly lane: () => Promise<Place | undefined>;
  /** What PostgreSQL has applied. */
  readonly persisted: () => Promise<Place>;
  readonly rows: () => Promise<Rows>;
  readonly close: () => Promise<void>;
}

const LANE = 0;
const READY_MS = 5_000;

export async function openProbe(redisUrl: string, databaseUrl: string): Promise<Probe> {
  const ignore = (): void => {
    // Each look fails by itself, and is left out of the picture.
  };
  const redis = connectRedis({ url: redisUrl, name: 'holdfast-demo', onError: ignore });
  const pool = createPool({
    url: databaseUrl,
    applicationName: 'holdfast-demo',
    connectionsMax: 3,
    onIdleError: ignore,
  });
  const close = async (): Promise<void> => {
    redis.disconnect();
    await pool.end();
  };
  try {
    await whenReady(redis, READY_MS);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    redis,
    pool,
    balances: readBalances,
    lane: () => readLane(redis),
    persisted: () => readPosition(pool, LANE),
    rows: () => readRows(pool),
    close,
  };
}

async function readLane(redis: Redis): Promise<Place | undefined> {
  const [epoch, seq] = await redis.hmget(laneKeys(LANE).meta, 'epoch', 'seq');
  return epoch == null ? undefined : { epoch: Number(epoch), seq: Number(seq) };
}

async function readBalances(api: Api, skuId: string): Promise<Balances | undefined> {
  const path = `/api/v1/inventory/${encodeURIComponent(skuId)}/availability`;
  const answer = await api.call({ method: 'GET', path, label: 'availability' });
  const warehouses = answer.status === 200 ? fieldOf(answer.body, 'warehouses') : undefined;
  if (!Array.isArray(warehouses)) return undefined;
  const sum = (name: string): number =>
    warehouses.reduce((total: number, each: unknown) => total + Number(fieldOf(each, name)), 0);
  return {
    available: sum('available_qty'),
    reserved: sum('reserved_qty'),
    allocated: sum('allocated_qty'),
  };
}

const SELECT_ROWS = `
  SELECT count(*) AS reservations,
         count(*) FILTER (WHERE status = 'held') AS held,
         count(*) FILTER (WHERE status = 'committed') AS committed,
         count(*) FILTER (WHERE status = 'expired') AS expired,
         (SELECT count(*) FROM stock_movements) AS movements
  FROM reservations`;

async function readRows(pool: Pool): Promise<Rows> {
  const { rows } = await pool.query<Rows>(SELECT_ROWS);
  const [row] = rows;
  if (row === undefined) throw new Error('PostgreSQL counted nothing');
  return row;
}
