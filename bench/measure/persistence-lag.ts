/**
 * How far PostgreSQL is behind Redis, sampled while a load runs: units of one SKU that Redis holds and
 * PostgreSQL does not know of yet (each event of the load is one unit), and the age of what it has.
 */
import type { Redis } from 'ioredis';
import { decodeCell } from '../../engine/events/cell-codec.ts';
import type { Pool } from '../../engine/postgres/pool.ts';
import { laneKeys } from '../../engine/redis/keys.ts';

export interface LagSample {
  /** Seconds since the watch began. */
  readonly atS: number;
  readonly events: number;
  /** Lane time since the newest entry that PostgreSQL has; 0 when it has all. */
  readonly lagMs: number;
  /** Units reserved, as PostgreSQL has them. */
  readonly persisted: number;
}

export interface LagOf {
  readonly redis: Redis;
  readonly pool: Pool;
  readonly sku: string;
  readonly warehouse: string;
}

export interface LagWatch {
  /** What was seen since the watch began. */
  samples(): readonly LagSample[];
  stop(): Promise<void>;
}

const LANE = 0;
const EVERY_MS = 50;
const SELECT = `
  SELECT p.epoch, p.seq, p.time_ms,
    coalesce((SELECT reserved_qty + allocated_qty FROM inventory
      WHERE sku_id = $1 AND warehouse_id = $2 AND pool = 'shared'), 0) AS persisted
  FROM positions p WHERE p.lane = ${LANE}`;

export function watchLag(of: LagOf): LagWatch {
  const startMs = performance.now();
  const samples: LagSample[] = [];
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const beganMs = performance.now();
      const sample = await readLag(of);
      samples.push({ atS: (performance.now() - startMs) / 1_000, ...sample });
      const leftMs = Math.max(0, beganMs + EVERY_MS - performance.now());
      await new Promise((resolve) => setTimeout(resolve, leftMs));
    }
  };
  const done = run();
  // Who stops the watch hears of it; until then it must not end the process.
  done.catch(() => undefined);
  return {
    samples: () => samples,
    async stop() {
      stopping.abort();
      await done;
    },
  };
}

interface Row {
  readonly epoch: number;
  readonly seq: number;
  readonly time_ms: number;
  readonly persisted: number;
}

/** PostgreSQL first: what comes in between counts as backlog, and it is never negative. */
export async function readLag({
  redis,
  pool,
  sku,
  warehouse,
}: LagOf): Promise<Omit<LagSample, 'atS'>> {
  const { rows } = await pool.query<Row>(SELECT, [sku, warehouse]);
  const row = rows[0];
  if (row === undefined) throw new Error('PostgreSQL has no position');
  const keys = laneKeys(LANE);
  const [meta, cell, clock] = await Promise.all([
    redis.hmget(keys.meta, 'epoch', 'seq', 'offset'),
    redis.hgetBuffer(keys.stock(sku), warehouse),
    redis.time(),
  ]);
  const [epoch, seq, offset] = meta.map(Number);
  const { reserved, allocated } = cell === null ? { reserved: 0, allocated: 0 } : decodeCell(cell);
  const [seconds = 0, us = 0] = clock.map(Number);
  const laneMs = seconds * 1_000 + us / 1_000 + (offset ?? 0);
  const hasAll = row.epoch === epoch && row.seq === seq;
  return {
    events: reserved + allocated - row.persisted,
    lagMs: hasAll ? 0 : Math.max(0, laneMs - row.time_ms),
    persisted: row.persisted,
  };
}

type Seen = Pick<LagSample, 'atS' | 'events'>;

/**
 * Events a second by which a backlog grows. A persister takes batches, so its backlog is a saw: what
 * counts is whether the lowest points rise, between the first and the second half of the time from
 * `fromS` on (before it, queues fill). NaN when there is not enough to see.
 */
export function growthPerSecond(samples: readonly Seen[], fromS: number): number {
  const seen = samples.filter(({ atS }) => atS >= fromS);
  const [first] = seen;
  const last = seen.at(-1);
  if (first === undefined || last === undefined || seen.length < 4) return Number.NaN;
  const half = (last.atS - first.atS) / 2;
  const middle = first.atS + half;
  const before = seen.filter(({ atS }) => atS <= middle);
  const after = seen.filter(({ atS }) => atS > middle);
  // Half the time lies between the two, wherever in its half each lowest point is.
  return (lowest(after) - lowest(before)) / half;
}

/** Of the second half: how near PostgreSQL came to Redis. */
export function lowestAtLast(samples: readonly Seen[]): number {
  return lowest(samples.slice(Math.floor(samples.length / 2)));
}

function lowest(samples: readonly Seen[]): number {
  return samples.reduce((low, { events }) => Math.min(low, events), Number.POSITIVE_INFINITY);
}
