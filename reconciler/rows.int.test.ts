/** What PostgreSQL gives back to Redis is what Redis had: real scripts, real rows. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../deploy/local/deadline.ts';
import { packId } from '../engine/domain/reservation-id.ts';
import { NEVER } from '../engine/events/entry.ts';
import { readPosition } from '../engine/postgres/position.ts';
import type { RestoreChunk } from '../engine/redis/lane-state.ts';
import { open, reserve, settle } from '../engine/redis/testing/test-lane.ts';
import type { RecoveryDeps } from './claim.ts';
import { planCopy } from './copy-back.ts';
import { CHUNK_LIMITS, type ChunkLimits, readRows } from './rows.ts';
import { idsOf, readChunk } from './testing/chunks.ts';
import { dueSeconds, dumpPostgres, dumpRedis } from './testing/dump.ts';
import { persist } from './testing/persist.ts';
import { KEYS, LANE, type Stack, startStack, submit, trade } from './testing/stack.ts';

const TERM = 2 ** 32 + 1;
let stack: Stack;

beforeAll(async () => {
  stack = await startStack();
  await open(stack.state, TERM);
  await trade(stack.lane, 'first', 176);
  await persist(stack);
});
afterAll(() => stack.end());

async function collect(wanted: Partial<Parameters<typeof readRows>[1]> = {}, limits?: ChunkLimits) {
  const head = await readPosition(stack.database.pool, LANE);
  const chunks: RestoreChunk[] = [];
  const rows = readRows(stack.database.pool, { lane: LANE, head, ...wanted }, limits);
  for await (const chunk of rows) chunks.push(chunk);
  return chunks;
}

async function restore(chunks: readonly RestoreChunk[]): Promise<void> {
  const term = 2 ** 33 + Math.floor(Math.random() * 2 ** 32);
  const claim = await stack.state.claim(term);
  if (!claim.claimed) throw new Error('not claimed');
  for (const chunk of chunks) {
    expect(await stack.state.restore(term, claim.replid, chunk)).toBe('done');
  }
}

describe('what goes back', () => {
  it('is everything over a Redis of another day, whose holds may have ended in ways that no row tells', async () => {
    const { pool } = stack.database;
    const before = { ...(await readPosition(pool, LANE)), hasUnseenHolds: false };
    const { outcome } = await submit(stack.lane, reserve(packId('one-more'), { 'A@north': 1 }));
    expect(outcome).toBe('created');
    await persist(stack);
    const head = await readPosition(pool, LANE);
    const deps = { pool, lane: LANE } as unknown as RecoveryDeps;
    const move = (days: number) =>
      pool.query(
        'UPDATE entries SET time_ms = $1::bigint + $2 * 86400000 WHERE epoch = $3 AND seq = $4',
        [head.timeMs, days, before.epoch, before.seq],
      );
    await move(0);
    expect(await planCopy(deps, 'tail', before, head)).toMatchObject({ what: 'newer' });
    await move(-1);
    expect(await planCopy(deps, 'tail', before, head)).toEqual({
      what: 'everything',
      because: expect.stringMatching(/ is of another day$/),
    });
    await move(0);
    const unswept = { ...before, hasUnseenHolds: true };
    expect(await planCopy(deps, 'tail', unswept, head)).toEqual({
      what: 'everything',
      because: expect.stringMatching(/holds of days ago/),
    });
    expect(await planCopy(deps, 'tail', { ...head, hasUnseenHolds: true }, head)).toEqual({
      what: 'nothing',
    });
  });
});

describe('over an older Redis', () => {
  it('takes the cart away of a reservation that has become small', async () => {
    const { redis, database, lane } = stack;
    const big = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`BIG-${i}@north`, 1]));
    const id = packId('a-big-cart');
    expect(await submit(lane, reserve(id, big))).toMatchObject({ outcome: 'created' });
    await persist(stack);
    const than = await readPosition(database.pool, LANE);
    const before = await dumpRedis(redis);
    expect(await submit(lane, settle('release', id))).toMatchObject({ outcome: 'released' });
    await persist(stack);
    const truth = await dumpRedis(redis);
    // Back to what it was, as a replica has it that heard nothing of the release.
    for (const place of Object.keys(before)) {
      if (before[place] === truth[place]) continue;
      const [name = '', field = ''] = place.split(' ');
      const value = Buffer.from(before[place] ?? '', 'hex');
      await redis.hset(`${KEYS.prefix}${name}`, Buffer.from(field, 'hex'), value);
    }
    expect(await dumpRedis(redis)).toEqual(before);
    const chunks = await collect({ newerThan: than });
    expect(chunks.flatMap((chunk) => readChunk(chunk).gone)).toHaveLength(1);
    await restore(chunks);
    expect(await dumpRedis(redis)).toEqual(truth);
  });
});

describe('readRows', () => {
  it('gives an emptied Redis everything back, byte by byte', async () => {
    const before = await dumpRedis(stack.redis);
    const due = await dueSeconds(stack.redis);
    expect(Object.keys(before).length).toBeGreaterThan(200);
    expect(await dumpPostgres(stack.database.pool)).toEqual(before);
    const chunks = await collect();
    await stack.redis.flushall();
    await restore(chunks);
    const after = await dumpRedis(stack.redis);
    expect(after).toEqual(before);
    // Redis keeps references of holds that are over; what is held is due in the same seconds.
    for (const second of await dueSeconds(stack.redis)) expect(due).toContain(second);
    expect((await dueSeconds(stack.redis)).length).toBeGreaterThan(0);
  });

  it('cuts into chunks of so many rows and bytes', async () => {
    const limits = { ...CHUNK_LIMITS, rowsMax: 7, bytesMax: 500 };
    const chunks = await collect({}, limits);
    for (const chunk of chunks) {
      const rows = chunk.products + chunk.cells + chunk.records;
      const values = readChunk(chunk).hashes.map(({ value }) => value.length);
      expect(rows).toBeGreaterThan(0);
      expect(rows).toBeLessThanOrEqual(7);
      // One row may exceed it: the last, with its head.
      const others = values.reduce((sum, length) => sum + length, 0) - Math.max(...values);
      expect(others).toBeLessThanOrEqual(500);
    }
    const all = await collect();
    expect(idsOf(chunks)).toEqual(idsOf(all));
    expect(new Set(idsOf(chunks)).size).toBe(idsOf(all).length);
  });

  it('leaves out what is older than a position, and nothing else', async () => {
    const head = await readPosition(stack.database.pool, LANE);
    expect(await collect({ newerThan: head })).toEqual([]);
    const { rows } = await stack.database.pool.query<{ seq: number }>(
      'SELECT max(seq) AS seq FROM reservations WHERE seq < (SELECT max(seq) FROM reservations)',
    );
    const than = { epoch: TERM, seq: rows[0]?.seq ?? 0 };
    const newer = await collect({ newerThan: than });
    const count = newer.reduce((sum, chunk) => sum + chunk.records, 0);
    const expected = await stack.database.pool.query<{ n: number }>(
      `SELECT (SELECT count(*) FROM reservations WHERE (epoch, seq) > ($1, $2))
            + (SELECT count(*) FROM operations WHERE (epoch, seq) > ($1, $2)) AS n`,
      [than.epoch, than.seq],
    );
    expect(count).toBe(expected.rows[0]?.n);
    expect(count).toBeGreaterThan(0);
  });

  it('gives holds of any age, and the rest only of generations that Redis looks at', async () => {
    const count = async () => {
      const chunks = await collect();
      const held = chunks.reduce((sum, chunk) => sum + readChunk(chunk).references, 0);
      return { all: idsOf(chunks).length, held };
    };
    const before = await count();
    expect(before.all).toBeGreaterThan(before.held);
    await stack.database.pool.query('UPDATE reservations SET generation = generation - 3');
    await stack.database.pool.query('UPDATE operations SET generation = generation - 3');
    expect(await count()).toEqual({ all: before.held, held: before.held });
    await stack.database.pool.query('UPDATE reservations SET generation = generation + 1');
    await stack.database.pool.query('UPDATE operations SET generation = generation + 1');
    expect(await count()).toEqual(before);
    await stack.database.pool.query('UPDATE reservations SET generation = generation + 2');
    await stack.database.pool.query('UPDATE operations SET generation = generation + 2');
  });

  it('gives only the newest reservation of an id that was used again', async () => {
    const { pool } = stack.database;
    const all = async () => idsOf(await collect());
    const before = await all();
    await pool.query(
      `INSERT INTO reservations
         (reservation_id, created_epoch, created_seq, lane, generation, status, version, fingerprint,
          created_s, epoch, seq)
       SELECT reservation_id, 1, 1, lane, generation, 'expired', 1, '\\x0000000000000000', 1, epoch, seq
       FROM reservations`,
    );
    expect(await all()).toEqual(before);
    await pool.query('DELETE FROM reservations WHERE created_epoch = 1');
  });

  it('refuses a snapshot that does not stand at the head', async () => {
    const forked = { ...(await readPosition(stack.database.pool, LANE)), nonce: randomBytes(8) };
    await expect(collect({ head: forked })).rejects.toThrow(/who writes the log/);
    await expect(collect({ head: NEVER })).rejects.toThrow(/recovery saw 0-0/);
  });

  it('gives its connection back when the reader stops early', async () => {
    const { pool } = stack.database;
    const head = await readPosition(pool, LANE);
    for (let i = 0; i < 20; i++) {
      for await (const _ of readRows(pool, { lane: LANE, head })) break;
    }
    expect(pool.idleCount).toBe(pool.totalCount);
    // The backend of a connection that was closed ends when it reads so.
    const isFree = async () => {
      const { rows } = await pool.query(
        `SELECT FROM pg_stat_activity
         WHERE datname = current_database() AND (state LIKE 'idle in transaction%'
           OR (pid = pg_backend_pid() AND xact_start < query_start))`,
      );
      return rows.length === 0 || undefined;
    };
    expect(await waitFor(isFree, 30_000)).toBe(true);
  });

  it('leaves meta without a position as soon as one chunk is in', async () => {
    expect(await stack.redis.hmget(KEYS.meta, 'epoch', 'seq')).toEqual(['0', '0']);
  });
});
