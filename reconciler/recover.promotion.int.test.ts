/** A PostgreSQL that goes away, or that comes back older and on another timeline. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../engine/testing/servers.ts';
import { migrate } from '../persister/migrate.ts';
import { openPool } from '../persister/testing/database.ts';
import { Registry } from './registry.ts';
import { showTerm } from './term.ts';
import { dumpRedis } from './testing/dump.ts';
import { restart } from './testing/forge.ts';
import { interpose } from './testing/interpose.ts';
import { LOGS } from './testing/logs.ts';
import { copyStandby, promote } from './testing/promotion.ts';
import {
  detailOf,
  expectOpen,
  recoverOnce,
  recoveryDeps,
  type TestLog,
} from './testing/recovering.ts';
import { connectLane, KEYS, LANE, type Stack, startStack, trade } from './testing/stack.ts';

describe.each(LOGS)('over the $name log', ({ start }) => {
  let postgres: TestPostgres;
  let stack: Stack;
  let log: TestLog;

  beforeEach(async () => {
    postgres = await startPostgres();
    const pool = openPool(postgres.url);
    await migrate(pool);
    const end = async () => {
      await pool.end();
      await postgres.stop();
    };
    stack = await startStack({ url: postgres.url, pool, end });
    log = await start(stack);
    await recoverOnce(recoveryDeps(stack, log));
    await trade(connectLane(stack.redis), 'first', 8);
    await log.bringToPostgres();
  });
  afterEach(async () => {
    await log.end();
    await stack.end();
  });

  it('a standby promoted behind: the lane is recovered, nothing is lost', async () => {
    const standby = await copyStandby(postgres);
    await trade(connectLane(stack.redis), 'second', 8);
    await log.bringToPostgres();
    await promote(postgres, standby);
    // The lane sells meanwhile.
    await trade(connectLane(stack.redis), 'third', 4);
    const before = await dumpRedis(stack.redis);
    const report = await recoverOnce(recoveryDeps(stack, log));
    expect(report).toMatchObject({ outcome: 'opened', cause: 'postgres_promoted' });
    expect(showTerm(report.term ?? 0)).toBe('2.2');
    expect(detailOf(report, 'lineage')).toMatchObject({ verdict: 'tail' });
    expect(await dumpRedis(stack.redis)).toEqual(before);
    await expectOpen(stack, log);
  });

  it('a standby promoted behind, and Redis emptied: back to what PostgreSQL has', async () => {
    const standby = await copyStandby(postgres);
    const known = await dumpRedis(stack.redis);
    await trade(connectLane(stack.redis), 'second', 8);
    await promote(postgres, standby);
    await stack.redis.flushall();
    const report = await recoverOnce(recoveryDeps(stack, log));
    expect(report).toMatchObject({ outcome: 'opened', cause: 'no_meta' });
    expect(await dumpRedis(stack.redis)).toEqual(known);
    await expectOpen(stack, log);
  });

  it('promoted in the middle of a recovery: that one ends, the next one opens', async () => {
    await restart(stack);
    const standby = await copyStandby(postgres);
    const deps = interpose(recoveryDeps(stack, log), async (call) => {
      if (call === 'registry.open') await promote(postgres, standby);
    });
    expect(await recoverOnce(deps)).toMatchObject({ outcome: 'superseded' });
    expect(await new Registry(stack.database.pool).read(LANE)).toMatchObject({ timeline: 2 });
    const report = await recoverOnce(recoveryDeps(stack, log));
    expect(report.outcome).toBe('opened');
    expect(showTerm(report.term ?? 0)).toBe('2.2');
    await expectOpen(stack, log);
  });

  it('PostgreSQL away: an open lane sells on, a closed one stays closed', async () => {
    const { state } = stack;
    await postgres.stop();
    await trade(connectLane(stack.redis), 'alone', 4);
    await expect(recoverOnce(recoveryDeps(stack, log))).rejects.toThrow();
    await stack.redis.hset(KEYS.meta, 'state', 'closed');
    await expect(recoverOnce(recoveryDeps(stack, log))).rejects.toThrow();
    expect((await state.tail({ epoch: 0, seq: 0 }, 1)).open).toBe(false);
    await postgres.start();
    const report = await recoverOnce(recoveryDeps(stack, log));
    expect(report).toMatchObject({ outcome: 'opened', cause: 'closed' });
    await expectOpen(stack, log);
  });
});
