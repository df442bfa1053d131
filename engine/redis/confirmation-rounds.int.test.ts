/**
 * What is acknowledged as replicated is on every replica that is in sync, on a real primary with
 * two real replicas: one that lags, hangs, comes or loads its copy meanwhile.
 */
import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { packId } from '../domain/reservation-id.ts';
import { Network } from '../testing/faults/network.ts';
import type { TestRedis } from '../testing/servers.ts';
import { CONFIRM_ARGUMENT, readNeeded } from './confirmation.ts';
import { encodeContext } from './operation-codec.ts';
import { scriptRunner } from './script.ts';
import {
  boughtOn,
  buy,
  type ConfirmedLane,
  countInSync,
  onNode,
  readInSync,
  SOON,
  startConfirmedLane,
  untilInSync,
} from './testing/confirmed-lane.ts';
import { KEYS } from './testing/test-lane.ts';

const SHORT_MS = 200;
const SOME_MS = 5_000;
const LONG_MS = 60_000;
const TRIES = 5;

let t: ConfirmedLane;
let network: Network;
afterEach(async () => {
  await t.stop();
  await network.close();
});

/** The replicas; `far` can be cut off: what it acknowledges arrives, and it hears nothing new. */
let near: TestRedis;
let far: TestRedis;

async function start(waitMsMax: number): Promise<void> {
  network = new Network();
  t = await startConfirmedLane({ waitMsMax });
  [near, far] = t.replicas as [TestRedis, TestRedis];
}

async function detachFar(): Promise<void> {
  await onNode(far, (redis) => redis.replicaof('NO', 'ONE'));
  await untilInSync(t.redis, 1);
}

/** The far one comes (again) through a listener of its own; it copies everything. */
async function attachFar(): Promise<void> {
  const { host, port } = await network.front({
    party: 'primary',
    upstream: { host: '127.0.0.1', port: t.server.port },
    identify: () => 'far',
  });
  await onNode(far, (redis) => redis.replicaof(host, port));
}

const cutFar = (): void => network.cutOneWay(['primary'], ['far']);

/** Whether a connection to the primary waits for replicas. */
async function doesSomebodyWait(): Promise<boolean> {
  return / flags=b .* cmd=wait /.test(String(await t.redis.client('LIST')));
}

describe('an acknowledgement', () => {
  it('says that every replica in sync has it, not only a majority', async () => {
    await start(SHORT_MS);
    await detachFar();
    await attachFar();
    await untilInSync(t.redis, 2);
    cutFar();
    const { stamp } = await t.ask(buy('buy-1'), 'replicated');
    expect(await t.reached('replicated', stamp), 'the far one does not have it').toBe(false);
    network.heal();
    const retry = async () => {
      const { stamp: again } = await t.ask(buy('buy-1'), 'replicated');
      return await t.reached('replicated', again);
    };
    await expect.poll(retry, SOON).toBe(true);
    expect(await boughtOn(near)).toContain('buy-1');
    expect(await boughtOn(far)).toContain('buy-1');
  });

  it('is kept by whichever replica takes over when the primary is lost', async () => {
    await start(SHORT_MS);
    await detachFar();
    await attachFar();
    await untilInSync(t.redis, 2);
    const acknowledged: string[] = [];
    const tryToBuy = async (id: string): Promise<void> => {
      const { stamp } = await t.ask(buy(id), 'replicated');
      if (await t.reached('replicated', stamp)) acknowledged.push(id);
    };
    const some = (from: number) =>
      Array.from({ length: 50 }, (_, i) => tryToBuy(`buy-${from + i}`));
    await expect
      .poll(async () => {
        await tryToBuy('buy-0');
        return acknowledged.length;
      }, SOON)
      .toBeGreaterThan(0);
    const before = some(100);
    // Behind it the first ones are under way, so the cut comes in the middle.
    await t.ask(buy('buy-1'), 'memory');
    cutFar();
    await Promise.all([...before, ...some(200)]);
    await t.server.kill('SIGKILL');
    for (const [name, replica] of Object.entries({ near, far })) {
      const present = await boughtOn(replica);
      expect(
        acknowledged.filter((id) => !present.has(id)),
        name,
      ).toEqual([]);
    }
  });
});

describe('a replica', () => {
  it('that hangs holds acknowledgements up until it is out of sync', async () => {
    await start(LONG_MS);
    far.pause();
    const { stamp } = await t.ask(buy('buy-1'), 'replicated');
    expect(await t.reached('replicated', stamp)).toBe(true);
    expect(await countInSync(t.redis), 'the other one').toBe(1);
    expect(await boughtOn(near)).toContain('buy-1');
  });

  it('that comes is waited for, in the same answer', async () => {
    await start(LONG_MS);
    await detachFar();
    const alone = await t.ask(buy('buy-1'), 'replicated');
    expect(await t.reached('replicated', alone.stamp), 'one of one').toBe(true);
    await attachFar();
    let id = '';
    let isReached: boolean | undefined;
    for (let i = 2; isReached === undefined && i < 2 + TRIES; i++) {
      id = `buy-${i}`;
      isReached = await reachedInTheEnd(id);
    }
    expect(isReached).toBe(true);
    expect(await boughtOn(far)).toContain(id);
  });

  /** Undefined: it was told at once, as when a busy machine kept the far one silent for too long. */
  async function reachedInTheEnd(id: string): Promise<boolean | undefined> {
    await untilInSync(t.redis, 2);
    cutFar();
    const { stamp } = await t.ask(buy(id), 'replicated');
    let isTold = false;
    const waiting = t.reached('replicated', stamp).finally(() => {
      isTold = true;
    });
    await expect.poll(async () => isTold || (await doesSomebodyWait()), SOON).toBe(true);
    const wasTold = isTold;
    network.heal();
    return wasTold ? undefined : await waiting;
  }

  it('that loads its copy is shown online, and not waited for: nobody can promote it', async () => {
    await start(SOME_MS);
    await detachFar();
    const filler = Array.from({ length: 10_000 }, (_, i) => [`filler:${i}`, randomBytes(256)]);
    await t.redis.mset(filler.flat());
    await onNode(far, async (redis) => {
      // Microseconds a key: for minutes. Every few keys it tells the primary that it is there.
      await redis.config('SET', 'key-load-delay', '20000');
      await redis.config('SET', 'loading-process-events-interval-bytes', '1024');
    });
    await attachFar();
    const replication = () => t.redis.info('replication');
    await expect.poll(replication, SOON).toMatch(/state=online,offset=0,/);
    for (const id of ['buy-1', 'buy-2']) {
      const { stamp } = await t.ask(buy(id), 'replicated');
      expect(await t.reached('replicated', stamp), id).toBe(true);
    }
    expect(await replication(), 'while it loads').toMatch(/state=online,offset=0,/);
  });

  it('that fell silent does not stand in for one that is behind', async () => {
    await start(SOME_MS);
    await detachFar();
    await attachFar();
    await untilInSync(t.redis, 2);
    cutFar();
    const { stamp } = await t.ask(buy('buy-1'), 'memory');
    await expect.poll(async () => await t.redis.wait(1, 100), SOON).toBe(1);
    const offsets = (): Promise<number[]> => readInSync(t.redis);
    let behind = Number.NaN;
    const both = async () => {
      const all = await offsets();
      behind = Math.min(...all);
      return all.length;
    };
    await expect.poll(both, SOON).toBe(2);
    near.pause();
    const context = encodeContext({ seenEpoch: 0, seenSeq: 0, nonce: Buffer.alloc(8) });
    const check = () => scriptRunner(t.redis)('confirm', KEYS.meta, [context, CONFIRM_ARGUMENT]);
    // On a busy machine the one that is behind may seem silent, too, for a moment.
    const whileNearIsSilent = async () => {
      const before = await offsets();
      const needed = readNeeded(stamp, await check());
      const isSo = String([before, await offsets()]) === String([[behind], [behind]]);
      return isSo ? needed : 'not so yet';
    };
    // The one that WAIT counted is the silent one: only two are sure to have the far one among them.
    await expect.poll(whileNearIsSilent, SOON).toBe(2);
  });
});

it('is not reached while no replica is in sync: a quorum must have it all the same', async () => {
  await start(SHORT_MS);
  for (const replica of t.replicas) replica.pause();
  await untilInSync(t.redis, 0);
  const { stamp } = await t.ask({ kind: 'inspect', id: packId('buy-1') }, 'replicated');
  expect(await t.reached('replicated', stamp)).toBe(false);
});
