/** The fallback of availability under a stampede: few statements, bounded waits, a bounded queue. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type MigratedDatabase, migratedDatabase } from '../../persister/testing/database.ts';
import { asSku, type Sku } from '../domain/ids.ts';
import type { Pool } from '../postgres/pool.ts';
import { createMirror, MIRROR_LIMITS, type MirrorLimits, type MirrorView } from './mirror.ts';

const SKUS = Array.from({ length: 3_000 }, (_, i) => asSku(`S-${i}`));

let database: MigratedDatabase;
let nowMs: number;
let statements: number;
let running: number;
let runningMax: number;

/** The real pool, counted. */
function counted(): Pool {
  return new Proxy(database.pool, {
    get(pool, name, receiver) {
      if (name !== 'query') return Reflect.get(pool, name, receiver);
      return async (query: { text: string; values: unknown[] }) => {
        statements += 1;
        running += 1;
        runningMax = Math.max(runningMax, running);
        try {
          return await pool.query(query);
        } finally {
          running -= 1;
        }
      };
    },
  });
}

/** Whoever reads looks everything up that they asked for. */
function mirrorWith(limits: Partial<MirrorLimits> = {}) {
  const mirror = createMirror({
    pool: counted(),
    lane: 0,
    limits: { ...MIRROR_LIMITS, waitMs: 30_000, ...limits },
    now: () => nowMs,
  });
  return {
    async read(skus: readonly Sku[]): Promise<readonly MirrorView[] | 'overloaded'> {
      const viewOf = await mirror.read(skus);
      return viewOf === 'overloaded' ? viewOf : skus.map(viewOf);
    },
  };
}

beforeAll(async () => {
  database = await migratedDatabase();
  await database.pool.query(
    `INSERT INTO products (sku_id, attributes)
     SELECT 'S-' || i, '{}' FROM generate_series(0, 2999) i`,
  );
  await database.pool.query(
    `INSERT INTO inventory (sku_id, warehouse_id, pool, lane, available_qty, reserved_qty,
       allocated_qty, version, epoch, seq, updated_at)
     SELECT 'S-' || i, 'LON', p, 0, i, 2, 1, 7, 1, 1, now()
     FROM generate_series(1, 2999) i, unnest('{shared,web}'::text[]) p`,
  );
  await database.pool.query('UPDATE positions SET time_ms = 1234');
});
afterAll(async () => {
  await database?.end();
});
beforeEach(() => {
  nowMs = 0;
  statements = 0;
  running = 0;
  runningMax = 0;
});

it('shows a SKU with its cells, one without, and one that nobody described', async () => {
  const asked = [asSku('S-5'), asSku('S-0'), asSku('NOBODY')];
  const views = await mirrorWith().read(asked);
  const cell = { available: 5, reserved: 2, allocated: 1, version: 7 };
  expect(views).toEqual([
    {
      sku: 'S-5',
      known: true,
      laneTimeMs: 1234,
      cells: expect.arrayContaining([
        { field: 'LON', ...cell },
        { field: 'LON/web', ...cell },
      ]),
    },
    { sku: 'S-0', known: true, laneTimeMs: 1234, cells: [] },
    { sku: 'NOBODY', known: false, laneTimeMs: 1234, cells: [] },
  ]);
});

describe('a stampede', () => {
  it('shares statements, two at a time', async () => {
    const mirror = mirrorWith();
    const readers = Array.from({ length: 2_000 }, (_, i) => {
      const sku = SKUS[i % 500] as Sku;
      return mirror.read([sku, asSku('S-1')]);
    });
    const answers = await Promise.all(readers);
    expect(answers.every((views) => views !== 'overloaded' && views.length === 2)).toBe(true);
    // Two of those that came first run; all others share the next one.
    expect(statements).toBe(3);
    expect(runningMax).toBeLessThanOrEqual(2);
  });

  it('shows what was read again for the published time', async () => {
    const mirror = mirrorWith({ keepMs: 500 });
    await mirror.read(SKUS.slice(0, 10));
    nowMs = 499;
    await mirror.read(SKUS.slice(0, 10));
    expect(statements).toBe(1);
    nowMs = 501;
    await mirror.read(SKUS.slice(0, 10));
    expect(statements).toBe(2);
  });

  it('a statement asks for no more SKUs than its limit', async () => {
    const mirror = mirrorWith({ statementSkusMax: 1_000 });
    const parts = [0, 1_000, 2_000].map((from) => mirror.read(SKUS.slice(from, from + 1_000)));
    const views = await Promise.all(parts);
    expect(views.flat()).toHaveLength(3_000);
    expect(statements).toBe(3);
  });

  it('refuses what would wait beyond its limit, and goes on when the queue is shorter', async () => {
    const mirror = mirrorWith({ statementsMax: 1, statementSkusMax: 10, waitingSkusMax: 20 });
    const first = mirror.read(SKUS.slice(0, 10));
    const waiting = [10, 20].map((from) => mirror.read(SKUS.slice(from, from + 10)));
    expect(await mirror.read(SKUS.slice(30, 40))).toBe('overloaded');
    await Promise.all([first, ...waiting]);
    expect(await mirror.read(SKUS.slice(30, 40))).toHaveLength(10);
  });

  it('keeps no more than its limit', async () => {
    const mirror = mirrorWith({ keptSkusMax: 15 });
    await mirror.read(SKUS.slice(0, 10));
    await mirror.read(SKUS.slice(10, 20));
    await mirror.read(SKUS.slice(0, 10));
    expect(statements).toBe(3);
  });
});

it('a statement that takes too long is given up, and the connections are free again', async () => {
  const lock = await database.pool.connect();
  try {
    await lock.query('BEGIN');
    await lock.query('LOCK TABLE positions');
    const mirror = mirrorWith({ waitMs: 200 });
    const asking = [0, 1, 2].map((i) => mirror.read([asSku(`S-${i}`)]));
    const ends = await Promise.allSettled(asking);
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    await lock.query('ROLLBACK');
    expect(await mirror.read([asSku('S-1')])).toHaveLength(1);
    expect(database.pool.waitingCount).toBe(0);
  } finally {
    lock.release(true);
  }
});
