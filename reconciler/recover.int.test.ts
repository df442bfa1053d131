/** Recovery on a real Redis and a real PostgreSQL, over both logs, from every state it is made for. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPosition } from '../engine/postgres/position.ts';
import { RECOVERY_LIMITS } from './claim.ts';
import { Registry } from './registry.ts';
import { parseTerm, showTerm } from './term.ts';
import { dumpRedis } from './testing/dump.ts';
import { believeOpen, dieHalfWay, loseTail, restart } from './testing/forge.ts';
import { LOGS } from './testing/logs.ts';
import {
  detailOf,
  expectLevel,
  expectOpen,
  recoverOnce,
  recoveryDeps,
  type TestLog,
} from './testing/recovering.ts';
import { connectLane, KEYS, LANE, type Stack, startStack, trade } from './testing/stack.ts';
import { claimNamedBy } from './unpark.ts';

describe.each(LOGS)('over the $name log', ({ start }) => {
  let stack: Stack;
  let log: TestLog;

  beforeEach(async () => {
    stack = await startStack();
    log = await start(stack);
  });
  afterEach(async () => {
    await log.end();
    await stack.end();
  });

  const recovered = async (more: Parameters<typeof recoveryDeps>[2] = {}) => {
    const report = await recoverOnce(recoveryDeps(stack, log, more));
    if (report.outcome !== 'opened') throw new Error(`${report.outcome}: ${report.reason}`);
    return report;
  };
  /** A lane that has opened, traded, and brought all of it to PostgreSQL. */
  const inBusiness = async () => {
    await recovered();
    await trade(connectLane(stack.redis), 'first', 32);
    await log.bringToPostgres();
  };

  it('opens a new shop: nothing in Redis, nothing in PostgreSQL', async () => {
    const report = await recovered();
    expect(report.cause).toBe('no_meta');
    expect(showTerm(report.term ?? 0)).toBe('1.1');
    expect(report.steps.map(({ step }) => step).join(' ')).toBe(
      'claim fence fence_applied lineage wipe copy registry open',
    );
    const [opened] = (await stack.state.tail({ epoch: 0, seq: 0 }, 9)).entries;
    expect(opened).toMatchObject({ epoch: report.term, seq: 1 });
    await expectOpen(stack, log);
  });

  it('keeps its timeline where people find it', async () => {
    const { term } = await recovered();
    const { rows } = await stack.database.pool.query(
      'SELECT term, cause, outcome, ended_at > started_at AS ended, steps FROM recoveries',
    );
    expect(rows).toMatchObject([{ term, cause: 'no_meta', outcome: 'opened', ended: true }]);
    expect(rows[0]?.steps).toHaveLength(8);
    expect(rows[0]?.steps[0]).toMatchObject({
      step: 'claim',
      at_ms: expect.any(Number),
      took_ms: expect.any(Number),
    });
  });

  it('copies nothing after a clean restart, and relays what had not reached PostgreSQL', async () => {
    await inBusiness();
    const lane = connectLane(stack.redis);
    await trade(lane, 'second', 16);
    const before = await dumpRedis(stack.redis);
    await restart(stack);
    const report = await recovered();
    expect(report.cause).toBe('replid');
    expect(detailOf(report, 'lineage')).toMatchObject({ verdict: 'tail' });
    // meta's position is the tail's last entry, which PostgreSQL has by now.
    expect(detailOf(report, 'copy')).toEqual({ what: 'nothing' });
    expect(await dumpRedis(stack.redis)).toEqual(before);
    // An engine that was there before goes on by itself.
    await trade(lane, 'third', 8);
    await expectOpen(stack, log);
  });

  it('copies the newer rows back after a lost tail', async () => {
    await inBusiness();
    let before = {};
    await loseTail(stack, async () => {
      await trade(connectLane(stack.redis), 'lost', 24);
      await log.bringToPostgres();
      before = await dumpRedis(stack.redis);
    });
    expect(await dumpRedis(stack.redis)).not.toEqual(before);
    const report = await recovered();
    expect(report.cause).toBe('replid');
    expect(detailOf(report, 'lineage')).toEqual({ verdict: 'nothing' });
    expect(detailOf(report, 'copy')).toMatchObject({ what: 'newer' });
    expect(await dumpRedis(stack.redis)).toEqual(before);
    await expectOpen(stack, log);
  });

  it('brings the entry of a script that died half way to PostgreSQL, and back', async () => {
    await inBusiness();
    let whole = {};
    await dieHalfWay(stack, async () => {
      await trade(connectLane(stack.redis), 'half', 1);
      whole = await dumpRedis(stack.redis);
    });
    const report = await recovered();
    expect(report.cause).toBe('half_done');
    expect(detailOf(report, 'lineage')).toMatchObject({ verdict: 'tail' });
    expect(detailOf(report, 'copy')).toMatchObject({ what: 'newer' });
    expect(await dumpRedis(stack.redis)).toEqual(whole);
    await expectOpen(stack, log);
  });

  it('rebuilds a Redis that was emptied in the middle of a sale', async () => {
    await inBusiness();
    const kept = await dumpRedis(stack.redis);
    await trade(connectLane(stack.redis), 'gone', 16);
    await stack.redis.flushall();
    const report = await recovered();
    expect(report.cause).toBe('no_meta');
    expect(detailOf(report, 'copy')).toMatchObject({ what: 'everything' });
    // `memory` promises no more: what had not reached the log is gone, whole.
    expect(await dumpRedis(stack.redis)).toEqual(kept);
    await expectOpen(stack, log);
  });

  it('drops a fork, and its holds', async () => {
    await inBusiness();
    let truth = {};
    await loseTail(stack, async () => {
      await trade(connectLane(stack.redis), 'truth', 16);
      await log.bringToPostgres();
      truth = await dumpRedis(stack.redis);
    });
    await believeOpen(stack);
    await trade(connectLane(stack.redis), 'fork', 24);
    await restart(stack);
    const report = await recovered();
    expect(detailOf(report, 'lineage')).toEqual({ verdict: 'fork' });
    expect(detailOf(report, 'copy')).toMatchObject({ what: 'everything' });
    expect(await dumpRedis(stack.redis)).toEqual(truth);
    await expectOpen(stack, log);
  });

  it('sees a fork of the same length by the nonce alone', async () => {
    await inBusiness();
    let truth = {};
    await loseTail(stack, async () => {
      await trade(connectLane(stack.redis), 'truth', 1);
      await log.bringToPostgres();
      truth = await dumpRedis(stack.redis);
    });
    await believeOpen(stack);
    await trade(connectLane(stack.redis), 'fork', 1);
    await restart(stack);
    const tail = await stack.state.tail({ epoch: 0, seq: 0 }, 1);
    const position = await readPosition(stack.database.pool, LANE);
    expect([tail.last.epoch, tail.last.seq]).toEqual([position.epoch, position.seq]);
    expect(detailOf(await recovered(), 'lineage')).toEqual({ verdict: 'fork' });
    expect(await dumpRedis(stack.redis)).toEqual(truth);
  });

  it('follows a tail longer than one piece', async () => {
    await inBusiness();
    await trade(connectLane(stack.redis), 'long', 48);
    await restart(stack);
    const limits = { ...RECOVERY_LIMITS, entriesMax: 2 };
    const report = await recovered({ limits });
    expect(detailOf(report, 'lineage')).toMatchObject({
      verdict: 'tail',
      tail: expect.any(Number),
    });
    expect(detailOf(report, 'copy')).toEqual({ what: 'nothing' });
    await expectOpen(stack, log);
  });

  it('parks when PostgreSQL lacks what Redis builds on, and asks a person', async () => {
    await inBusiness();
    const { pool } = stack.database;
    await pool.query(`UPDATE positions SET seq = 2, epoch = 1, nonce = '\\x0000000000000001'`);
    await pool.query('DELETE FROM entries');
    const { entries } = await stack.state.tail({ epoch: 0, seq: 0 }, 9);
    const second = entries[2];
    await stack.redis.xtrim(KEYS.log, 'MINID', `${second?.epoch}-${second?.seq}`);
    await restart(stack);
    const before = await stack.redis.call('DEBUG', 'DIGEST-VALUE', KEYS.log, KEYS.meta);
    const report = await recoverOnce(recoveryDeps(stack, log));
    expect(report).toMatchObject({
      outcome: 'parked',
      reason: expect.stringMatching(/is behind.*unpark/),
    });
    const registry = new Registry(pool);
    expect(await registry.read(LANE)).toMatchObject({ state: 'parked' });
    expect(before).toBeDefined();
    // Nothing was dropped: what Redis has may be all that there is.
    expect((await stack.state.tail({ epoch: 0, seq: 0 }, 99)).entries.length).toBeGreaterThan(0);
    expect(await registry.unpark(await registry.read(LANE))).toBe(true);
    expect(await recoverOnce(recoveryDeps(stack, log))).toMatchObject({ outcome: 'parked' });
  });

  it('parks when Redis was claimed under a term that this registry never gave', async () => {
    await inBusiness();
    await stack.state.claim(2 ** 32 + 50);
    const report = await recoverOnce(recoveryDeps(stack, log));
    expect(report).toMatchObject({ outcome: 'parked', reason: expect.stringMatching(/1\.50/) });
    // The way out: give up what Redis holds.
    await stack.redis.flushall();
    const registry = new Registry(stack.database.pool);
    expect(await registry.unpark(await registry.read(LANE))).toBe(true);
    await recovered();
    await expectOpen(stack, log);
  });

  it('goes on above the term that Redis was claimed under, at once, when a person names it', async () => {
    await inBusiness();
    const claimed = 2 ** 32 + 50;
    await stack.state.claim(claimed);
    const registry = new Registry(stack.database.pool);
    expect(await recoverOnce(recoveryDeps(stack, log))).toMatchObject({ outcome: 'parked' });
    const parked = await registry.read(LANE);
    expect(parseTerm(claimNamedBy(parked.outcome) ?? '')).toBe(claimed);
    expect(await registry.unpark(parked, claimed)).toBe(true);
    expect(await recovered()).toMatchObject({ outcome: 'opened', term: claimed + 1 });
    await expectOpen(stack, log);
  });

  it('starts again where the registry opened and meta did not', async () => {
    await inBusiness();
    await stack.redis.flushall();
    const dies = (point: string) => {
      if (point === 'recovery.after_registry') throw new Error('died');
    };
    await expect(recovered({ crashPoint: dies })).rejects.toThrow('died');
    expect(await new Registry(stack.database.pool).read(LANE)).toMatchObject({ state: 'open' });
    expect((await recovered()).cause).toBe('closed');
    await expectOpen(stack, log);
  });

  it('wipes before it copies where a recovery died in the middle of dropping a fork', async () => {
    await inBusiness();
    let truth = {};
    await loseTail(stack, async () => {
      await trade(connectLane(stack.redis), 'truth', 8);
      await log.bringToPostgres();
      truth = await dumpRedis(stack.redis);
    });
    await believeOpen(stack);
    await trade(connectLane(stack.redis), 'fork', 24);
    // The stream, which shows the fork, is gone; its holds are not.
    await stack.state.claim(2 ** 32 + 2);
    await stack.redis.hset(KEYS.meta, 'epoch', '0', 'seq', '0', 'nonce', Buffer.alloc(8));
    await stack.redis.del(KEYS.log);
    await stack.database.pool.query(`UPDATE lanes SET term = $1, state = 'recovering'`, [
      2 ** 32 + 2,
    ]);
    const report = await recovered();
    expect(detailOf(report, 'lineage')).toEqual({ verdict: 'nothing' });
    expect(await dumpRedis(stack.redis)).toEqual(truth);
    await expectLevelAfterOpen();
  });

  const expectLevelAfterOpen = async () => {
    await log.bringToPostgres();
    await expectLevel(stack);
  };

  it('drops all of a fork also when Redis restarts in the middle of dropping it', async () => {
    await inBusiness();
    let truth = {};
    await loseTail(stack, async () => {
      await trade(connectLane(stack.redis), 'truth', 4);
      await log.bringToPostgres();
      truth = await dumpRedis(stack.redis);
    });
    await believeOpen(stack);
    await trade(connectLane(stack.redis), 'fork', 8);
    // Keys of the fork that no copy would overwrite, enough for several pieces.
    const pipeline = stack.redis.pipeline();
    for (let i = 0; i < 10_000; i++) pipeline.hset(`${KEYS.prefix}hold:1:${i}`, 'id', 'fork');
    await pipeline.exec();
    await restart(stack);
    const dies = (point: string) => {
      if (point === 'recovery.in_wipe') throw new Error('died');
    };
    await expect(recovered({ crashPoint: dies })).rejects.toThrow('died');
    expect((await stack.redis.keys(`${KEYS.prefix}hold:1:*`)).length).toBeGreaterThan(1_000);
    await restart(stack);
    await recovered();
    expect(await dumpRedis(stack.redis)).toEqual(truth);
  });

  it('lets no time pass for holds while the lane is closed', async () => {
    await inBusiness();
    const { timeMs } = await stack.state.tail({ epoch: 0, seq: 0 }, 1);
    await stack.redis.flushall();
    // Redis's clock says that an hour has passed, PostgreSQL knows when the lane stopped.
    const report = await recovered();
    const { timeMs: opened } = await stack.state.tail({ epoch: 0, seq: 0 }, 1);
    expect(detailOf(report, 'claim')).toMatchObject({ lane_time_ms: 0 });
    expect(opened).toBe(timeMs);
  });

  it('gives up with an error that says what to do when PostgreSQL stands still', async () => {
    const limits = { ...RECOVERY_LIMITS, stalledMs: 50 };
    const silent = { ...log.fencedLog, fence: async () => undefined };
    await expect(
      recoverOnce(recoveryDeps(stack, { ...log, fencedLog: silent }, { limits })),
    ).rejects.toThrow(/has stood at 0-0 .*is the persister running\?/);
    const { rows } = await stack.database.pool.query('SELECT outcome FROM recoveries');
    expect(rows[0]?.outcome).toMatch(/^failed: PostgreSQL has stood/);
    await recovered();
  });

  it('ends a wait with the signal', async () => {
    const stop = new AbortController();
    const silent = { ...log.fencedLog, fence: async () => stop.abort() };
    await expect(
      recoverOnce(recoveryDeps(stack, { ...log, fencedLog: silent }), stop.signal),
    ).rejects.toThrow(/abort/i);
    await recovered();
  });
});
