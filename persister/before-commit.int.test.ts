/**
 * Until COMMIT nothing is said and nothing is trimmed: another transaction holds the position row,
 * so the persister's first statement waits, for as long as the test likes.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createRedisLogSource } from '../engine/log/redis-log.ts';
import { keepPositions } from '../engine/postgres/testing/kept-row.ts';
import { KEYS } from '../engine/redis/testing/test-lane.ts';
import { createPersister } from './persister.ts';
import { sell, startStack, stockOf, type TestStack } from './testing/stack.ts';

/** Seconds on a busy machine; a wait ends as soon as it may. */
const SOON = { timeout: 20_000, interval: 20 };
const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };

let stack: TestStack;
const ends: (() => Promise<void>)[] = [];
beforeEach(async () => {
  stack = await startStack();
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await stack.end();
});

async function isWaitingForTheRow(): Promise<boolean> {
  const { rowCount } = await stack.database.pool.query(
    `SELECT FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%EXECUTE move_position%'`,
  );
  return rowCount === 1;
}

it('marks and trims what PostgreSQL has committed, and nothing before', async () => {
  const { pool } = stack.database;
  await stack.receive(stockOf(100));
  await sell(stack, 20);
  const written = await stack.redis.xlen(KEYS.log);
  const letGo = await keepPositions(pool);

  const source = createRedisLogSource(stack.state);
  const said: string[] = [];
  const persister = createPersister({
    pool,
    lane: 0,
    source,
    form: 'stream',
    log: SILENT,
    state: {
      mark: async (level, at) => {
        said.push(level);
        await stack.state.mark(level, at);
      },
      trim: async (persisted, marginMs) => {
        said.push('trim');
        return await stack.state.trim(persisted, marginMs);
      },
    },
    limits: { trimEveryMs: 0, trimMarginMs: 0 },
  });
  ends.push(
    () => source.close(),
    () => persister.close(),
  );
  const applying = persister.runOnce();
  try {
    await expect.poll(isWaitingForTheRow, SOON).toBe(true);
    expect(said).toEqual([]);
    expect(await stack.redis.xlen(KEYS.log)).toBe(written);
  } finally {
    await letGo();
    await applying;
  }
  expect(await applying).toMatchObject({ did: 'applied' });
  await expect.poll(() => new Set(said), SOON).toEqual(new Set(['logged', 'persisted', 'trim']));
  await expect.poll(() => stack.redis.xlen(KEYS.log), SOON).toBe(1);
});
