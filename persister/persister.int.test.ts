/** The persister on the lane's own stream, with a real Redis, its scripts, and a real PostgreSQL. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { followDemand } from '../engine/log/demand.ts';
import type { LogSource } from '../engine/log/event-log.ts';
import { createRedisLogSource } from '../engine/log/redis-log.ts';
import type { Pool } from '../engine/postgres/pool.ts';
import { readPosition } from '../engine/postgres/position.ts';
import { createDemands } from '../engine/redis/demands.ts';
import { KEYS, open } from '../engine/redis/testing/test-lane.ts';
import { startPostgres } from '../engine/testing/servers.ts';
import { createEmbeddedLog } from './embedded-log.ts';
import { migrate } from './migrate.ts';
import { createPersister, type Persister, type PersisterOptions } from './persister.ts';
import { openPool } from './testing/database.ts';
import {
  compareCells,
  countEntries,
  sell,
  startStack,
  stockOf,
  TERM,
  type TestStack,
} from './testing/stack.ts';

let stack: TestStack;
const ends: (() => Promise<void>)[] = [];

beforeEach(async () => {
  stack = await startStack();
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await stack.end();
});

/** Seconds on a busy machine; a wait ends as soon as it may. */
const SOON = { timeout: 20_000, interval: 20 };
const NO_METRICS = {
  applied: () => undefined,
  suspects: () => undefined,
  overtaken: () => undefined,
  gap: () => undefined,
  parked: () => undefined,
  failed: () => undefined,
};
const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };

function persister(options: Partial<PersisterOptions> = {}): Persister {
  const source: LogSource = createRedisLogSource(stack.state);
  ends.push(() => source.close());
  const limits = { standbyMs: 20, idleMs: 20, ...options.limits };
  const made = createPersister({
    pool: stack.database.pool,
    lane: 0,
    source,
    form: 'stream',
    ...{
      state: stack.state,
      log: SILENT,
    },
    ...options,
    limits,
  });
  ends.push(() => made.close());
  return made;
}

/** Runs until the test ends, or until `stop`. */
function running(...persisters: readonly Persister[]): { stop: () => Promise<void> } {
  const stopping = new AbortController();
  const done = Promise.all(persisters.map((each) => each.run(stopping.signal)));
  const stop = async () => {
    stopping.abort();
    await done;
  };
  ends.push(stop);
  return { stop };
}

async function expectAllArrived(pool: Pool = stack.database.pool): Promise<void> {
  const { last } = await stack.state.tail({ epoch: 0, seq: 0 }, 1);
  await expect
    .poll(() => readPosition(pool, 0), SOON)
    .toMatchObject({ epoch: last.epoch, seq: last.seq, nonce: last.nonce });
}

async function expectEqual(): Promise<void> {
  const { redis, postgres, ledger, suspects } = await compareCells(stack);
  expect(suspects).toBe(0);
  expect(postgres).toEqual(redis);
  const balances = Object.entries(redis as Record<string, number[]>);
  expect(ledger).toEqual(
    Object.fromEntries(balances.map(([name, row]) => [name, row.slice(0, 3)])),
  );
}

describe('what is sold on the lane', () => {
  it('arrives, once, and is marked as persisted and as logged', async () => {
    running(persister());
    await stack.receive(stockOf(500));
    await sell(stack, 120);
    await expectAllArrived();
    await expectEqual();
    const { epoch, seq } = await readPosition(stack.database.pool, 0);
    const mark = `${epoch} ${seq}`;
    await expect
      .poll(() => stack.redis.hgetall(KEYS.marks), SOON)
      .toEqual({ persisted: mark, logged: mark });
    const counts = await countEntries(stack);
    expect(counts.postgres).toBe(counts.redis);
  });

  it('is written once when the log cannot be read in the middle of a batch', async () => {
    await stack.receive(stockOf(100));
    await sell(stack, 20);
    const log = createRedisLogSource(stack.state);
    let reads = 0;
    const source: LogSource = {
      ...log,
      // One entry a look: the first is a batch, the second begins the next one.
      read: async (position, limits) => {
        reads += 1;
        if (reads === 3) throw new Error('the log is gone');
        return await log.read(position, { ...limits, recordsMax: 1 });
      },
    };
    const failures: unknown[] = [];
    const made = persister({
      source,
      metrics: { ...NO_METRICS, failed: (error) => void failures.push(error) },
    });
    expect(await made.runOnce()).toMatchObject({ did: 'applied' });
    await expect(made.runOnce()).rejects.toThrow('the log is gone');
    running(made);
    await expectAllArrived();
    await expectEqual();
    const counts = await countEntries(stack);
    expect(counts.postgres).toBe(counts.redis);
    // What it had read of that batch did not stand in the way of the next one.
    expect(failures.map(String)).toEqual(['Error: the log is gone']);
  });

  it('is read again after a stop, from where PostgreSQL stands', async () => {
    const first = running(persister());
    await stack.receive(stockOf(100));
    await sell(stack, 20);
    await first.stop();
    await sell(stack, 20);
    running(persister());
    await expectAllArrived();
    await expectEqual();
  });

  it('arrives when somebody waits for it, long before its batch is due', async () => {
    const subscriber = stack.redis.duplicate();
    ends.push(async () => subscriber.disconnect());
    const demand = followDemand(subscriber, 0, ['logged']);
    const source = createRedisLogSource(stack.state, demand);
    ends.push(() => source.close());
    running(persister({ source, demand, limits: { gatherMs: 600_000 } }));
    await stack.receive(stockOf(100));
    for (let i = 0; i < 3; i += 1) {
      await sell(stack, 5);
      const { last } = await stack.state.tail({ epoch: 0, seq: 0 }, 1);
      createDemands(stack.redis, 0)('logged', last);
      await expectAllArrived();
    }
    await expectEqual();
  });

  it('is applied once by two persisters at a time', async () => {
    let overtaken = 0;
    const metrics = {
      applied: () => undefined,
      suspects: () => undefined,
      gap: () => undefined,
      ...{
        parked: () => undefined,
        failed: () => undefined,
      },
      overtaken: () => {
        overtaken++;
      },
    };
    const limits = { standbyMs: 1, gatherMs: 0 };
    running(persister({ metrics, limits }), persister({ metrics, limits }));
    await stack.receive(stockOf(2_000));
    for (let i = 0; i < 20; i++) await sell(stack, 20);
    await expectAllArrived();
    await expectEqual();
    expect(overtaken).toBeGreaterThan(0);
  });

  it('is trimmed from the stream when it is older than the margin, but for the last entry', async () => {
    running(persister({ limits: { trimEveryMs: 10, trimMarginMs: 60_000 } }));
    await stack.receive(stockOf(100));
    await sell(stack, 20);
    await expectAllArrived();
    const before = await countEntries(stack);
    expect(before.redis).toBe(before.postgres);
    await stack.passSeconds(61);
    await stack.receive(stockOf(1));
    await expectAllArrived();
    await expect.poll(async () => (await countEntries(stack)).redis, SOON).toBe(1);
    await expectEqual();
  });
});

describe('a lane that is closed', () => {
  it('is left alone until recovery has opened it at a new term', async () => {
    const worker = persister();
    await stack.receive(stockOf(10));
    while ((await worker.runOnce()).did === 'applied');
    await sell(stack, 1);
    const claim = await stack.state.claim(TERM + 1);
    expect(claim.claimed).toBe(true);
    expect(await worker.runOnce()).toEqual({ did: 'idle' });
    const fenced = createEmbeddedLog({ pool: stack.database.pool });
    await fenced.fence(0, TERM + 1);
    const at = await readPosition(stack.database.pool, 0);
    const tail = await stack.state.tail(at, 100);
    expect(tail.entries.length).toBeGreaterThan(0);
    await fenced.appendTail(
      0,
      TERM + 1,
      tail.entries.map(({ bytes }) => bytes),
    );
    // A second time changes nothing: a recovery may not know how far it came.
    await fenced.appendTail(
      0,
      TERM + 1,
      tail.entries.map(({ bytes }) => bytes),
    );
    const head = await readPosition(stack.database.pool, 0);
    if (claim.claimed) {
      await stack.state.open(TERM + 1, claim.replid, head, Buffer.alloc(8, 5), claim.timeMs);
    }
    await sell(stack, 5);
    running(worker);
    await expectAllArrived();
    await expectEqual();
  });

  it('of a lower term than PostgreSQL carries is a zombie: nothing of it is applied', async () => {
    await stack.receive(stockOf(10));
    const fenced = createEmbeddedLog({ pool: stack.database.pool });
    await fenced.fence(0, TERM + 1);
    expect(await persister().runOnce()).toEqual({ did: 'idle' });
    await expect(fenced.fence(0, TERM)).rejects.toThrow('lane 0 has a higher term than');
    await expect(fenced.appendTail(0, TERM, [])).resolves.toBeUndefined();
    const { entries } = await stack.state.tail({ epoch: 0, seq: 0 }, 10);
    const bytes = entries.map((entry) => entry.bytes);
    await expect(fenced.appendTail(0, TERM, bytes)).rejects.toThrow(/is at term \d+, not at/);
  });

  it('and restarted is fenced by its replid; the persister goes on when it is opened again', async () => {
    running(persister());
    await stack.receive(stockOf(50));
    await sell(stack, 10);
    await stack.server.restart();
    await expect
      .poll(() => stack.state.tail({ epoch: 0, seq: 0 }, 1).catch(() => undefined), SOON)
      .toMatchObject({ replidMatches: false });
    await createEmbeddedLog({ pool: stack.database.pool }).fence(0, TERM + 1);
    await open(stack.state, TERM + 1);
    await expect
      .poll(async () => (await stack.lane.availability([])).outcome, SOON)
      .toBe('applied');
    await sell(stack, 10);
    await expectAllArrived();
    await expectEqual();
  });
});

describe('what stops the persister', () => {
  it('an entry that cannot be read parks the lane, with what stood before it applied', async () => {
    await stack.receive(stockOf(10));
    const { last } = await stack.state.tail({ epoch: 0, seq: 0 }, 1);
    await stack.redis.xadd(KEYS.log, `${last.epoch}-${last.seq + 1}`, 'e', 'nonsense');
    const errors: string[] = [];
    const log = { ...SILENT, error: (_: unknown, message?: string) => errors.push(message ?? '') };
    const worker = persister({ log: log as PersisterOptions['log'] });
    while ((await worker.runOnce()).did !== 'parked');
    const position = await readPosition(stack.database.pool, 0);
    expect(position).toMatchObject({ epoch: last.epoch, seq: last.seq });
    expect(position.parked).toMatch(/cannot be read: entry format 110 is unknown/);
    expect(errors).toEqual(['the lane is parked until a person looks']);
    expect(await worker.runOnce()).toEqual({ did: 'parked' });
    // A person removed it.
    await stack.redis.xdel(KEYS.log, `${last.epoch}-${last.seq + 1}`);
    await stack.database.pool.query('UPDATE positions SET parked = NULL');
    expect(await worker.runOnce()).toEqual({ did: 'idle' });
  });

  it('a gap: it says so, applies nothing behind it, and goes on when the gap is closed', async () => {
    const worker = persister();
    await stack.receive(stockOf(10));
    const nonce = Buffer.alloc(8, 7);
    await stack.database.pool.query('UPDATE positions SET nonce = $1', [nonce]);
    expect(await worker.runOnce()).toEqual({ did: 'gap' });
    expect(await worker.runOnce()).toEqual({ did: 'gap' });
    expect(await readPosition(stack.database.pool, 0)).toMatchObject({ epoch: 0, seq: 0 });
    await stack.database.pool.query('UPDATE positions SET nonce = $1', [Buffer.alloc(8)]);
    expect((await worker.runOnce()).did).toBe('applied');
  });
});

describe('PostgreSQL away', () => {
  it('stopped, and killed under load: it goes on where it was', async () => {
    const postgres = await startPostgres();
    const pool = openPool(postgres.url);
    ends.push(() => postgres.stop());
    ends.push(() => pool.end());
    await migrate(pool);
    await pool.query('UPDATE positions SET term = $1', [TERM]);
    const backoff = { firstMs: 10, maxMs: 100 };
    running(persister({ pool, limits: { backoff } }));
    await stack.receive(stockOf(500));
    await sell(stack, 20);
    await postgres.stop();
    await sell(stack, 20);
    await postgres.start();
    await sell(stack, 20);
    await expectAllArrived(pool);
    await postgres.kill();
    await sell(stack, 20);
    await postgres.start();
    await expectAllArrived(pool);
    const { rows } = await pool.query<{ n: number }>('SELECT count(*) AS n FROM entries');
    expect(rows[0]?.n).toBe((await countEntries(stack)).redis);
  });
});
