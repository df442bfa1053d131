/** Watchers on a real Redis and a real PostgreSQL: alone, several, and with the stores away. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '../deploy/local/deadline.ts';
import { RECOVERY_LIMITS } from './claim.ts';
import { Registry } from './registry.ts';
import { connected, restart } from './testing/forge.ts';
import { startEmbedded } from './testing/logs.ts';
import { expectOpen, recoverOnce, recoveryDeps, type TestLog } from './testing/recovering.ts';
import { connectLane, KEYS, LANE, type Stack, startStack, trade } from './testing/stack.ts';
import { takeTurn } from './turn.ts';
import {
  backoffMs,
  LaneWatcher,
  takeOverMs,
  WATCH_LIMITS,
  type WatchDeps,
  type WatchReport,
} from './watch.ts';

const PATIENCE_MS = 30_000;
const TEST_MS_MAX = 120_000;
let stack: Stack;
let log: TestLog;

beforeEach(async () => {
  stack = await startStack();
  log = await startEmbedded(stack);
});
afterEach(async () => {
  await log.end();
  await stack.end();
});

const never = () => new AbortController().signal;

interface Watched {
  readonly watcher: LaneWatcher;
  readonly reports: WatchReport[];
  readonly errors: unknown[];
}

function watch(more: Partial<WatchDeps> = {}): Watched {
  const reports: WatchReport[] = [];
  const errors: unknown[] = [];
  const watcher = new LaneWatcher({
    ...recoveryDeps(stack, log),
    watch: WATCH_LIMITS,
    onReport: (report) => void reports.push(report),
    onError: (error) => void errors.push(error),
    ...more,
  });
  return { watcher, reports, errors };
}

/** Runs watchers while `act` does; they have ended when it resolves. */
async function watching(watched: readonly Watched[], act: () => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const running = watched.map(({ watcher }) => watcher.run(stop.signal));
  try {
    await act();
  } finally {
    stop.abort();
    await Promise.all(running);
  }
}

async function until(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
  const reached = await waitFor(async () => (await isSo()) || undefined, PATIENCE_MS);
  if (reached === undefined) throw new Error(`${what} did not come to be`);
}

const isOpen = async (): Promise<boolean> => {
  const tail = await stack.state.tail({ epoch: 0, seq: 0 }, 1).catch(() => undefined);
  return tail?.open === true && tail.replidMatches && !tail.halfDone;
};

describe('runOnce', { timeout: TEST_MS_MAX }, () => {
  it('opens a new lane, then finds it open', async () => {
    const { watcher } = watch();
    const report = await watcher.runOnce(never());
    expect(report).toMatchObject({ kind: 'recovery', report: { outcome: 'opened' } });
    const term = report.kind === 'recovery' ? report.report.term : undefined;
    expect(await watcher.runOnce(never())).toEqual({ kind: 'open', term });
  });

  it('dates each trouble from when that one was seen', async () => {
    const { watcher } = watch();
    for (let i = 0; i < 2; i++) {
      await stack.redis.flushall();
      expect(await watcher.runOnce(never())).toMatchObject({ report: { outcome: 'opened' } });
    }
    const { rows } = await stack.database.pool.query(
      `SELECT first.well_at IS NULL AS was_never_well, second.well_at >= first.started_at AS was_well,
              second.detected_at >= second.well_at AS in_order
       FROM recoveries first, recoveries second WHERE first.term < second.term`,
    );
    expect(rows).toEqual([{ was_never_well: true, was_well: true, in_order: true }]);
  });

  it('waits while another has the turn, and shows life', async () => {
    const turn = await takeTurn(stack.database.pool, LANE);
    expect(turn.isOurs).toBe(true);
    const { watcher } = watch();
    expect(await watcher.runOnce(never())).toEqual({ kind: 'waiting', cause: 'no_meta' });
    expect((await new Registry(stack.database.pool).read(LANE)).term).toBe(0);
    await turn.end();
    expect((await watcher.runOnce(never())).kind).toBe('recovery');
  });

  it('holds back where somebody knows why this is not the node, and takes no number', async () => {
    let reason: string | undefined = 'it is on the wrong side';
    const { watcher } = watch({ whyNotHere: async () => reason });
    const heldBack = { kind: 'held_back', cause: 'no_meta', reason };
    expect(await watcher.runOnce(never())).toEqual(heldBack);
    expect((await new Registry(stack.database.pool).read(LANE)).term).toBe(0);
    reason = undefined;
    expect((await watcher.runOnce(never())).kind).toBe('recovery');
  });

  it('gives the turn back when the log takes no fence, and opens when it does', async () => {
    const limits = { ...RECOVERY_LIMITS, fenceMs: 20 };
    const silent = { ...log.fencedLog, fence: () => new Promise<void>(() => undefined) };
    const deaf = watch({ limits, log: silent });
    await expect(deaf.watcher.runOnce(never())).rejects.toThrow(/the log did not take the fence/);
    expect(await watch().watcher.runOnce(never())).toMatchObject({ report: { outcome: 'opened' } });
  });

  it('takes over from one that has the turn and shows no life', async () => {
    const turn = await takeTurn(stack.database.pool, LANE);
    const limits = { ...WATCH_LIMITS, takeOverMs: 60 };
    const { watcher } = watch({ watch: limits });
    await until('taking over', async () => (await watcher.runOnce(never())).kind === 'recovery');
    await turn.end();
    await expectOpen(stack, log);
  });

  it('leaves a parked lane alone until somebody unparks it', async () => {
    const { watcher } = watch();
    await watcher.runOnce(never());
    await stack.state.claim(2 ** 32 + 50);
    const parked = await watcher.runOnce(never());
    expect(parked).toMatchObject({ kind: 'recovery', report: { outcome: 'parked' } });
    for (let i = 0; i < 3; i++) {
      expect(await watcher.runOnce(never())).toMatchObject({
        kind: 'parked',
        reason: expect.stringMatching(/^parked: .*unpark/),
      });
    }
    await stack.redis.flushall();
    {
      const registry = new Registry(stack.database.pool);
      expect(await registry.unpark(await registry.read(LANE))).toBe(true);
    }
    expect(await watcher.runOnce(never())).toMatchObject({ report: { outcome: 'opened' } });
  });

  it('reports what the persister has stopped at, and does not recover over it', async () => {
    const { watcher } = watch();
    await stack.database.pool.query(`UPDATE positions SET parked = 'entry 3-1 cannot be read'`);
    const expected = { kind: 'parked', reason: 'entry 3-1 cannot be read' };
    expect(await watcher.runOnce(never())).toEqual(expected);
  });

  it('waits for the replicas without which Redis takes no writes, on one number', async () => {
    await stack.redis.config('SET', 'min-replicas-to-write', '1');
    const limits = { ...RECOVERY_LIMITS, replicasMs: PATIENCE_MS };
    let refused = 0;
    const state = {
      ...stack.state,
      claim: (term: number) =>
        stack.state.claim(term).catch(async (error: unknown) => {
          if (++refused === 3) await stack.redis.config('SET', 'min-replicas-to-write', '0');
          throw error;
        }),
    };
    const { watcher } = watch({ limits, state });
    const report = await watcher.runOnce(never());
    expect(report).toMatchObject({ kind: 'recovery', report: { outcome: 'opened' } });
    expect(refused).toBe(3);
    expect((await new Registry(stack.database.pool).read(LANE)).term).toBe(2 ** 32 + 1);
  });

  it('gives the turn back when a recovery fails', async () => {
    const failing = { ...log.fencedLog, fence: () => Promise.reject(new Error('no log')) };
    const { watcher } = watch({ log: failing });
    for (let i = 0; i < 3; i++) await expect(watcher.runOnce(never())).rejects.toThrow('no log');
    const turn = await takeTurn(stack.database.pool, LANE);
    expect(turn.isOurs).toBe(true);
    await turn.end();
  });
});

describe('run', { timeout: TEST_MS_MAX }, () => {
  it('recovers whatever happens while it watches, and tells each', async () => {
    const watched = watch();
    await watching([watched], async () => {
      await until('the lane open', isOpen);
      await trade(connectLane(stack.redis), 'first', 8);
      await stack.redis.flushall();
      await until('open after being emptied', isOpen);
      await restart(stack);
      await until('open after a restart', isOpen);
      await stack.redis.hset(KEYS.meta, 'state', 'closed');
      await until('open after being closed', isOpen);
    });
    const causes = watched.reports.flatMap((each) =>
      each.kind === 'recovery' && each.report.outcome === 'opened' ? [each.report.cause] : [],
    );
    expect(causes).toEqual(['no_meta', 'no_meta', 'replid', 'closed']);
    // Told once for each time that it became so, however often it was seen (or not at all, when
    // the lane was closed again before the next look).
    const kinds = watched.reports.map((each) => each.kind);
    const repeats = kinds.filter((kind, i) => kind === 'open' && kinds[i - 1] === 'open');
    expect(repeats).toEqual([]);
    await expectOpen(stack, log);
  });

  it('several watch at once, and one recovers', async () => {
    // A recovery that shows no life for 1.5 s is taken over from, which burns a number: here it is only
    // the machine that is busy.
    const patient = { ...WATCH_LIMITS, takeOverMs: TEST_MS_MAX, takeOverMsMax: TEST_MS_MAX };
    const watched = Array.from({ length: 4 }, () => watch({ watch: patient }));
    await watching(watched, async () => {
      await until('the lane open', isOpen);
      for (let i = 0; i < 5; i++) {
        await stack.redis.flushall();
        await until('open again', isOpen);
      }
    });
    const opened = watched
      .flatMap(({ reports }) => reports)
      .filter((each) => each.kind === 'recovery' && each.report.outcome === 'opened');
    expect(opened).toHaveLength(6);
    // No number was burnt: nobody disturbed the one who had the turn.
    expect((await new Registry(stack.database.pool).read(LANE)).term).toBe(2 ** 32 + 6);
    await expectOpen(stack, log);
  });

  it('stays while Redis is away, and recovers when it is back', async () => {
    const watched = watch({ watch: { ...WATCH_LIMITS, backoffMsMax: 100 } });
    await watching([watched], async () => {
      await until('the lane open', isOpen);
      await stack.server.kill();
      await until('an error told', () => watched.errors.length > 2);
      await stack.server.start();
      await connected(stack);
      await until('the lane open again', isOpen);
    });
    await expectOpen(stack, log);
  });

  it('looks at once when it is woken, and not more often than it may', async () => {
    const idle = { ...WATCH_LIMITS, pollMs: 60_000, wakeMs: 10 };
    const watched = watch({ watch: idle });
    await watching([watched], async () => {
      await until('the lane open', isOpen);
      await stack.redis.flushall();
      watched.watcher.wake();
      await until('open again', isOpen);
    });
    await expectOpen(stack, log);
  });

  it('looks at once when its connection comes back, whatever it waits for', async () => {
    const patient = { ...WATCH_LIMITS, pollMs: 60_000, backoffMsMax: 60_000 };
    const watched = watch({ watch: patient });
    stack.redis.on('ready', () => watched.watcher.reconnected());
    await watching([watched], async () => {
      await until('the lane open', isOpen);
      await stack.server.kill();
      watched.watcher.reconnected();
      await until('an error told', () => watched.errors.length > 0);
      await stack.server.start();
      await until('the lane open again', isOpen);
    });
    await expectOpen(stack, log);
  });

  it('tells once what it cannot see on this PostgreSQL', async () => {
    class Limited extends Registry {
      override async warning(): Promise<string> {
        return 'no timeline';
      }
    }
    const watched = watch({ registry: new Limited(stack.database.pool) });
    await watching([watched], () => until('the lane open', isOpen));
    expect(watched.reports[0]).toEqual({ kind: 'limited', reason: 'no timeline' });
    expect(watched.reports.filter(({ kind }) => kind === 'limited')).toHaveLength(1);
  });

  it('ends with the signal, also out of a pause', async () => {
    const { watcher } = watch({ watch: { ...WATCH_LIMITS, pollMs: 60_000 } });
    const stop = new AbortController();
    const running = watcher.run(stop.signal);
    await until('the lane open', isOpen);
    stop.abort();
    await running;
    const burnt = await recoverOnce(recoveryDeps(stack, log)).catch((error: unknown) => error);
    expect(String(burnt)).toMatch(/needs no recovery/);
  });
});

describe('takeOverMs', () => {
  it('doubles with each that was in vain, to the bound', () => {
    const waits = [0, 1, 2, 3, 50].map((times) => takeOverMs(WATCH_LIMITS, times));
    expect(waits).toEqual([1_500, 3_000, 6_000, 12_000, 12_000]);
  });
});

describe('backoffMs', () => {
  it('doubles from the poll to the bound', () => {
    const pauses = [0, 1, 2, 3, 4, 5, 50].map((failures) => backoffMs(WATCH_LIMITS, failures));
    expect(pauses).toEqual([100, 200, 400, 500, 500, 500, 500]);
  });
});
