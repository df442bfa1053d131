/** Who may be told that something is logged or persisted, with a real Redis between. */
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DurabilityLevel } from '../domain/durability.ts';
import { Line } from '../runtime/line.ts';
import { startRedis, type TestRedis } from '../testing/servers.ts';
import { connectRedis, whenReady } from './connect.ts';
import { laneKeys } from './keys.ts';
import { laneScripts } from './lane-scripts.ts';
import type { LaneState } from './lane-state.ts';
import type { LaneStamp } from './operation.ts';
import { listen, type PlaceMessage } from './place-messages.ts';
import { createWatermarks, type RunningWatermarks } from './watermarks.ts';

const WAIT_MS_MAX = 300;
const UNREACHABLE_MS = 60_000;
const SOON_MS = 10_000;

interface Subject {
  readonly marks: RunningWatermarks;
  /** What `wait` is told. */
  readonly wait: (level: DurabilityLevel, epoch: number, seq: number) => Promise<boolean>;
  readonly confirm: (epoch: number) => Promise<boolean>;
}

let server: TestRedis;
let redis: Redis;
let state: LaneState;
let subscribers: Redis[];
let running: RunningWatermarks[];
let registry: (deadline: number) => Promise<{ term: number; state: string }>;

beforeEach(async () => {
  server = await startRedis();
  redis = await connect();
  state = laneScripts(redis, 0);
  subscribers = [];
  running = [];
  registry = async () => ({ term: 7, state: 'open' });
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const each of running) each.close();
  for (const each of [redis, ...subscribers]) each.disconnect();
  server.resume();
  await server.stop();
});

async function connect(): Promise<Redis> {
  const client = connectRedis({ url: server.url, name: 'test', onError: () => undefined });
  await whenReady(client, 5_000);
  return client;
}

async function subject(waitMsMax = UNREACHABLE_MS): Promise<Subject> {
  const subscriber = await connect();
  const marks = createWatermarks({
    redis,
    subscriber,
    lane: 0,
    waitMsMax,
    line: new Line(),
    readRegistry: (deadline) => registry(deadline),
  });
  subscribers.push(subscriber);
  running.push(marks);
  return {
    marks,
    wait: (level, epoch, seq) =>
      new Promise((resolve) => marks.wait(level, stampOf(epoch, seq), resolve)),
    confirm: (epoch) => new Promise((resolve) => marks.confirmOpen(stampOf(epoch, 1), resolve)),
  };
}

function stampOf(epoch: number, seq: number): LaneStamp {
  return { epoch, seq, timeMs: 0, offsetMs: 0 };
}

describe('a wait for a level', () => {
  it('ends when a mark of its epoch covers it, and not before', async () => {
    const { marks, wait } = await subject();
    const [covered, beyond] = [wait('persisted', 7, 5), wait('persisted', 7, 6)];
    await state.mark('persisted', { epoch: 7, seq: 5 });
    expect(await covered).toBe(true);
    expect(marks.waiting()).toBe(1);
    await state.mark('persisted', { epoch: 7, seq: 9 });
    expect(await beyond).toBe(true);
  });

  it('is not reached by a mark of a later epoch: what it waits for may be void', async () => {
    const { wait } = await subject();
    const waiting = wait('logged', 7, 5);
    await state.mark('logged', { epoch: 8, seq: 90 });
    expect(await waiting).toBe(false);
    expect(await wait('logged', 7, 5), 'and neither is who comes later').toBe(false);
  });

  it('is not reached by a mark of an older epoch', async () => {
    const { marks, wait } = await subject(WAIT_MS_MAX);
    await state.mark('logged', { epoch: 6, seq: 90 });
    await expect.poll(() => marks.last('logged')).toEqual({ epoch: 6, seq: 90 });
    expect(await wait('logged', 7, 5)).toBe(false);
  });

  it('is over when the marks are closed, also for who comes then', async () => {
    const { marks, wait } = await subject();
    const before = wait('logged', 7, 5);
    marks.close();
    expect(await before).toBe(false);
    expect(await wait('logged', 7, 6)).toBe(false);
    expect(marks.waiting()).toBe(0);
  });

  it('is over in its own time while Redis hangs, which is asked once meanwhile', async () => {
    const { wait } = await subject(WAIT_MS_MAX);
    const reads = vi.spyOn(redis, 'hgetall');
    server.pause();
    expect(await wait('logged', 7, 5)).toBe(false);
    expect(reads).toHaveBeenCalledTimes(1);
    // The client gives the question up after seconds.
    const isAnswered = reads.mock.settledResults.some(({ type }) => type !== 'incomplete');
    expect(isAnswered, 'nobody waits for what Redis says').toBe(false);
  });

  it('of logged is reached by persisted, and not the other way round', async () => {
    const { marks, wait } = await subject(WAIT_MS_MAX);
    await state.mark('persisted', { epoch: 7, seq: 5 });
    expect(await wait('logged', 7, 5)).toBe(true);
    await state.mark('logged', { epoch: 7, seq: 9 });
    await expect.poll(() => marks.last('logged').seq).toBe(9);
    expect(await wait('persisted', 7, 9)).toBe(false);
  });

  it('reads what was published while nobody listened', async () => {
    await state.mark('persisted', { epoch: 7, seq: 5 });
    const { wait } = await subject();
    expect(await wait('persisted', 7, 5)).toBe(true);
  });

  it('does not believe a mark that goes back', async () => {
    const { marks } = await subject();
    await state.mark('logged', { epoch: 7, seq: 9 });
    await expect.poll(() => marks.last('logged').seq).toBe(9);
    await redis.publish(laneKeys(0).marksChannel, 'logged 7 3');
    await redis.publish(laneKeys(0).marksChannel, 'logged 6 99');
    await state.mark('persisted', { epoch: 7, seq: 1 });
    await expect.poll(() => marks.last('persisted').seq).toBe(1);
    expect(marks.last('logged')).toEqual({ epoch: 7, seq: 9 });
  });
});

/** What is heard on the channel of demands from now on. */
async function hearDemands(): Promise<PlaceMessage[]> {
  const subscriber = await connect();
  subscribers.push(subscriber);
  const heard: PlaceMessage[] = [];
  await subscriber.subscribe(laneKeys(0).demandChannel);
  listen(subscriber, laneKeys(0).demandChannel, (message) => heard.push(message));
  return heard;
}

describe('who brings entries further is told', () => {
  it('of who waits first, and when these are answered of the furthest behind', async () => {
    const heard = await hearDemands();
    const { wait } = await subject();
    const waiting = [5, 7, 6].map((seq) => wait('persisted', 7, seq));
    await expect.poll(() => heard[0]).toEqual({ level: 'persisted', epoch: 7, seq: 5 });
    await state.mark('persisted', { epoch: 7, seq: 5 });
    await expect.poll(() => heard).toContainEqual({ level: 'persisted', epoch: 7, seq: 7 });
    await state.mark('persisted', { epoch: 7, seq: 7 });
    expect(await Promise.all(waiting)).toEqual([true, true, true]);
  });

  it('again for as long as somebody waits, because a message may be lost', async () => {
    const { wait } = await subject();
    const waiting = wait('logged', 7, 5);
    const heard = await hearDemands();
    await expect.poll(() => heard).toContainEqual({ level: 'logged', epoch: 7, seq: 5 });
    await state.mark('logged', { epoch: 7, seq: 5 });
    await waiting;
  });

  it('on a channel of its own: what is demanded is not taken for what is reached', async () => {
    const { marks, wait } = await subject();
    await subscribers.at(-1)?.subscribe(laneKeys(0).demandChannel);
    await redis.publish(laneKeys(0).demandChannel, 'logged 7 9');
    await state.mark('persisted', { epoch: 7, seq: 1 });
    await wait('persisted', 7, 1);
    expect(marks.last('logged')).toEqual({ epoch: 7, seq: 1 });
  });

  it('nothing of who need not wait', async () => {
    const heard = await hearDemands();
    const { marks, wait } = await subject();
    await state.mark('logged', { epoch: 7, seq: 5 });
    await expect.poll(() => marks.last('logged').seq).toBe(5);
    await wait('logged', 7, 5);
    await wait('memory', 7, 9);
    const last = wait('persisted', 7, 1);
    await expect.poll(() => heard).not.toHaveLength(0);
    expect(heard[0]).toEqual({ level: 'persisted', epoch: 7, seq: 1 });
    await state.mark('persisted', { epoch: 7, seq: 1 });
    await last;
  });
});

describe('a sign of life', () => {
  it('is the registry, open at the epoch that was asked about', async () => {
    const { confirm } = await subject();
    expect(await confirm(7)).toBe(true);
    expect(await confirm(6)).toBe(false);
    registry = async () => ({ term: 7, state: 'recovering' });
    expect(await confirm(7)).toBe(false);
  });

  it('began after it was asked for: a look that is under way does not count', async () => {
    const { confirm } = await subject();
    let answerFirst = (): void => undefined;
    let looks = 0;
    registry = async () => {
      looks++;
      if (looks > 1) return { term: 8, state: 'recovering' };
      await new Promise<void>((resolve) => {
        answerFirst = resolve;
      });
      return { term: 7, state: 'open' };
    };
    const first = confirm(7);
    await expect.poll(() => looks).toBe(1);
    const second = confirm(7);
    answerFirst();
    expect([await first, await second]).toEqual([true, false]);
  });

  it('is an entry behind the reply when PostgreSQL does not answer', async () => {
    const { confirm } = await subject(WAIT_MS_MAX);
    registry = async () => {
      throw new Error('PostgreSQL is away');
    };
    const alive = confirm(7);
    await state.mark('logged', { epoch: 7, seq: 2 });
    expect(await alive).toBe(true);
    expect(await confirm(6)).toBe(false);
  });

  it('is looked for no longer than a wait takes, the look at the registry included', async () => {
    const { marks, wait, confirm } = await subject();
    let failLook = (_error: Error): void => undefined;
    registry = () =>
      new Promise((_resolve, reject) => {
        failLook = reject;
      });
    let alive: boolean | undefined;
    void confirm(7).then((said) => {
      alive = said;
    });
    vi.spyOn(performance, 'now').mockReturnValue(performance.now() + UNREACHABLE_MS);
    void wait('logged', 7, 9);
    failLook(new Error('PostgreSQL hangs'));
    await expect.poll(() => alive, { timeout: SOON_MS }).toBe(false);
    expect(marks.waiting(), 'who came when the look was over').toBe(1);
  });

  it('is not waited for any more when PostgreSQL fails after the marks were closed', async () => {
    const { marks, confirm } = await subject();
    let failLook = (_error: Error): void => undefined;
    registry = () =>
      new Promise((_resolve, reject) => {
        failLook = reject;
      });
    const alive = confirm(7);
    marks.close();
    failLook(new Error('PostgreSQL is away'));
    expect(await alive).toBe(false);
    expect(marks.waiting()).toBe(0);
  });
});
