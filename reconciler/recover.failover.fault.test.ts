/**
 * Recovery when it is a failover that made it necessary: a group of a primary, two replicas and their
 * Sentinels. Whoever is primary afterwards, and however stale it was, Redis is what PostgreSQL says.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '../deploy/local/deadline.ts';
import { connectRedis } from '../engine/redis/connect.ts';
import { laneScripts } from '../engine/redis/lane-scripts.ts';
import { countReplicas } from '../engine/redis/replica-count.ts';
import {
  hasGroups,
  startRedisGroup,
  type TestRedisGroup,
  type TestRedisNode,
} from '../engine/testing/redis-group.ts';
import { renderLane } from './lanes/render.ts';
import { readLaneStatus } from './lanes/status.ts';
import { Registry } from './registry.ts';
import { dumpRedis } from './testing/dump.ts';
import { heal, movedAway, promoteStale, startGroupStack } from './testing/group-stack.ts';
import { interpose } from './testing/interpose.ts';
import { startEmbedded } from './testing/logs.ts';
import {
  detailOf,
  expectOpen,
  recoverOnce,
  recoveryDeps,
  type TestLog,
} from './testing/recovering.ts';
import { connectLane, LANE, type LaneStack, trade } from './testing/stack.ts';
import { takeTurn } from './turn.ts';
import { LaneWatcher, WATCH_LIMITS, type WatchReport } from './watch.ts';

const TEST_MS_MAX = 300_000;
const PATIENCE_MS = 120_000;
/** A majority of three is the primary and one. */
const QUORUM = { quorum: () => 1 };
const IS_LONG = process.env.HOLDFAST_TEST_LONG !== undefined;

describe.runIf(hasGroups())('a Redis group', { timeout: TEST_MS_MAX }, () => {
  let group: TestRedisGroup;
  let stack: LaneStack;
  let log: TestLog;

  beforeAll(async () => {
    group = await startRedisGroup();
  }, TEST_MS_MAX);
  afterAll(() => group?.stop());
  beforeEach(async () => {
    await heal(group);
    stack = await startGroupStack(group);
    log = await startEmbedded(stack);
    await recovered();
    await trade(connectLane(stack.redis), 'first', 16);
    await log.bringToPostgres();
  }, TEST_MS_MAX);
  afterEach(async () => {
    await log.end();
    await stack.end();
  });

  const recovered = async () => {
    const report = await recoverOnce(recoveryDeps(stack, log, QUORUM));
    if (report.outcome !== 'opened') throw new Error(`${report.outcome}: ${report.reason}`);
    return report;
  };
  const failOver = async () => {
    const old = await group.primary();
    await old.kill();
    await movedAway(group, stack, old);
  };

  it('is shown with its replicas and with what each Sentinel says', async () => {
    const { pool } = stack.database;
    const status = await readLaneStatus({
      lane: LANE,
      redis: stack.redis,
      redisUrl: group.url,
      pool,
      registry: new Registry(pool),
      recoveriesMax: 1,
    });
    expect(status.state).toBe('open');
    expect(status.sentinels.map(({ problem }) => problem)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    const deployment = { redisUrl: group.url, redisLocalAddress: undefined };
    const count = (redisReplicas?: number) =>
      countReplicas({ ...deployment, redisReplicas }, stack.redis);
    expect([await count(), await count(3)]).toEqual([2, 3]);
    const shown = renderLane(status);
    expect(shown.match(/sentinel .* names 127\S+ \(master; 2 replicas, quorum 2\)/g)).toHaveLength(
      3,
    );
    expect(shown.match(/replica .* online, \d+ bytes behind/g)).toHaveLength(2);
    expect(shown).toMatch(/replicated \(on [12] of 1 wanted\)/);
  });

  /** How the lane came to be open at another primary; undefined: it is not. */
  const openedElsewhere = async ({ host, port }: TestRedisNode) => {
    const { rows } = await stack.database.pool.query(
      `SELECT cause, replid IS NOT NULL AS has_replid,
          detected_at >= well_at AND started_at >= detected_at AS in_order
       FROM recoveries WHERE outcome = 'opened' AND primary_address <> $1
       ORDER BY term DESC LIMIT 1`,
      [`${host}:${port}`],
    );
    return rows[0];
  };

  const LEADERS = [
    { leader: 'whoever has the turn', isHung: false },
    // It holds the turn, and shows no sign of life.
    { leader: 'one that takes over from a leader that hangs', isHung: true },
  ];
  it.each(LEADERS)(
    'a primary killed: watchers see it, and $leader opens the lane',
    async ({ isHung }) => {
      const turn = isHung ? await takeTurn(stack.database.pool, LANE) : undefined;
      const reports: WatchReport[] = [];
      const stop = new AbortController();
      const watchers = [0, 1].map(() => {
        const redis = connectRedis({ url: group.url, name: 'watcher', onError: () => undefined });
        const watcher = new LaneWatcher({
          ...recoveryDeps(stack, log, QUORUM),
          state: laneScripts(redis, LANE),
          watch: WATCH_LIMITS,
          onReport: (report) => void reports.push(report),
          onError: () => undefined,
        });
        redis.on('ready', () => watcher.reconnected());
        return { redis, done: watcher.run(stop.signal) };
      });
      try {
        const areWatching = () =>
          reports.filter(({ kind }) => kind === 'open').length === watchers.length || undefined;
        expect(await waitFor(areWatching, PATIENCE_MS)).toBe(true);
        await trade(connectLane(stack.redis), 'second', 16);
        const old = await group.primary();
        await old.kill();
        const opened = await waitFor(() => openedElsewhere(old), PATIENCE_MS);
        expect(opened).toEqual({ cause: 'replid', has_replid: true, in_order: true });
        const told = () =>
          reports.find((each) => each.kind === 'recovery' && each.report.outcome === 'opened');
        expect(await waitFor(told, PATIENCE_MS)).toBeDefined();
        await movedAway(group, stack, old);
      } finally {
        stop.abort();
        await turn?.end();
        await Promise.all(watchers.map(({ done }) => done));
        for (const { redis } of watchers) redis.disconnect();
      }
      await expectOpen(stack, log);
    },
  );

  it('a stale replica promoted: what PostgreSQL has beyond it goes back', async () => {
    let truth = {};
    await promoteStale(group, stack, async () => {
      await trade(connectLane(stack.redis), 'unheard', 16);
      await log.bringToPostgres();
      truth = await dumpRedis(stack.redis);
    });
    expect(await dumpRedis(stack.redis)).not.toEqual(truth);
    const report = await recovered();
    expect(report.cause).toBe('replid');
    expect(detailOf(report, 'copy')).toMatchObject({ what: 'newer' });
    expect(detailOf(report, 'replicate')).toMatchObject({ wanted: 1 });
    expect(await dumpRedis(stack.redis)).toEqual(truth);
    await expectOpen(stack, log);
  });

  it('A to B to A: each has its own term, and the first comes back as a replica', async () => {
    const first = await group.primary();
    await failOver();
    const second = await recovered();
    await trade(connectLane(stack.redis), 'on-b', 8);
    await log.bringToPostgres();
    await heal(group);
    // Only the first primary is left to be promoted. On a busy machine the Sentinels may have gone back to it
    // by themselves: then it is not the primary who is killed, but who else there is.
    const after = await group.primary();
    for (const node of group.nodes) if (node !== first) await node.kill();
    if (after !== first) await movedAway(group, stack, after);
    expect(stack.state.address()).toBe(`${first.host}:${first.port}`);
    await heal(group);
    const third = await recovered();
    expect(third.term ?? 0).toBeGreaterThan(second.term ?? 0);
    await expectOpen(stack, log);
  });

  const CALLS = ['log.fence', 'state.restore', 'registry.open', 'state.open'] as const;
  const SOME = IS_LONG ? CALLS : CALLS.slice(1, 2);
  it.each(SOME)('a second failover in the middle of the recovery, ahead of %s', async (at) => {
    await promoteStale(group, stack, async () => {
      await trade(connectLane(stack.redis), 'unheard', 8);
      await log.bringToPostgres();
    });
    await heal(group);
    let hasFailedOver = false;
    const deps = interpose(recoveryDeps(stack, log, QUORUM), async (call) => {
      if (call !== at || hasFailedOver) return;
      hasFailedOver = true;
      await failOver();
    });
    const ended = await recoverOnce(deps).then(
      ({ outcome }) => outcome,
      (error: unknown) => String(error),
    );
    expect(hasFailedOver).toBe(true);
    // The scripts find another replication id; a command that was in flight finds no connection.
    expect(ended).not.toBe('opened');
    const tail = await stack.state.tail({ epoch: 0, seq: 0 }, 1);
    expect(tail.open && tail.replidMatches).toBe(false);
    await recovered();
    await expectOpen(stack, log);
  });
});
