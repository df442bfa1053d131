/**
 * Levels that Redis itself confirms, on a real primary with two real replicas: what is answered
 * when replicas hang, and what is never answered.
 */
import { createConnection, createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { packId } from '../domain/reservation-id.ts';
import type { LaneStamp } from './operation.ts';
import { buy, type ConfirmedLane, SOON, startConfirmedLane } from './testing/confirmed-lane.ts';
import { settle, type TestLaneOptions } from './testing/test-lane.ts';

const SHORT_MS = 200;
const LONG_MS = 60_000;

let t: ConfirmedLane;
let held: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const release of held) await release();
  held = [];
  await t.stop();
});

async function start(options: TestLaneOptions): Promise<void> {
  t = await startConfirmedLane(options);
}

const pauseReplicas = (): void => {
  for (const replica of t.replicas) replica.pause();
};
const resumeReplicas = (): void => {
  for (const replica of t.replicas) replica.resume();
};

describe('replicated', () => {
  it('is reached when a majority has it, and not while the replicas hang', async () => {
    await start({ waitMsMax: SHORT_MS });
    const first = await t.ask(buy('first'), 'replicated');
    expect(await t.reached('replicated', first.stamp)).toBe(true);
    pauseReplicas();
    const second = await t.ask(buy('second'), 'replicated');
    expect(second.outcome).toBe('created');
    expect(await t.reached('replicated', second.stamp)).toBe(false);
  });

  it('of a retry is waited for again, behind a script of its own', async () => {
    await start({ waitMsMax: SHORT_MS });
    pauseReplicas();
    const operation = buy('again');
    const unknown = await t.ask(operation, 'replicated');
    expect(await t.reached('replicated', unknown.stamp)).toBe(false);
    // The retry writes nothing, and nobody said that it would want a level.
    const retry = await t.ask(operation);
    expect(retry).toMatchObject({ outcome: 'exists', replayed: true });
    expect(await t.reached('replicated', retry.stamp), 'while they hang').toBe(false);
    resumeReplicas();
    const found = await t.ask({ kind: 'inspect', id: packId('again') }, 'replicated');
    expect(await t.reached('replicated', found.stamp), 'when they are back').toBe(true);
    expect(await t.reached('replicated', unknown.stamp), 'the first position too').toBe(true);
  });

  it('keeps nobody who needs less: neither in its batch nor behind it', async () => {
    await start({ waitMsMax: LONG_MS });
    pauseReplicas();
    // One turn of the event loop is one batch.
    const mixed = [t.ask(buy('sure'), 'replicated'), t.ask(buy('quick'), 'memory')];
    const [sure, quick] = await Promise.all(mixed);
    expect(quick?.stamp.seq, 'one batch').toBe(sure?.stamp.seq);
    const waiting = [t.reached('replicated', sure?.stamp as LaneStamp)];
    // More than there are connections to wait on.
    for (let i = 0; i < 2; i++) {
      const { stamp } = await t.ask(buy(`sure-${i}`), 'replicated');
      waiting.push(t.reached('replicated', stamp));
    }
    const queued = [3, 4, 5].map((i) => t.ask(buy(`sure-${i}`), 'replicated'));
    for (let i = 0; i < 5; i++) {
      expect((await t.ask(buy(`memory-${i}`), 'memory')).outcome).toBe('created');
    }
    expect(t.lane.confirmed?.waiting(), 'nothing was confirmed meanwhile').toBe(3);
    resumeReplicas();
    expect(await Promise.all(waiting)).toEqual([true, true, true]);
    for (const { stamp } of await Promise.all(queued)) {
      expect(await t.reached('replicated', stamp)).toBe(true);
    }
  });

  it('is not reached when the node is demoted while it waits', async () => {
    await start({ waitMsMax: LONG_MS });
    pauseReplicas();
    const { stamp } = await t.ask(buy('a'), 'replicated');
    const waiting = t.reached('replicated', stamp);
    await t.redis.replicaof('127.0.0.1', 1);
    expect(await waiting).toBe(false);
  });

  it('is not reached when the node was demoted and promoted again before WAIT', async () => {
    let proxy: Holding | undefined;
    await start({
      waitMsMax: SHORT_MS,
      waitUrl: async (server) => {
        proxy = await holdBefore(server.port, '$4\r\nWAIT\r\n');
        return proxy.url;
      },
    });
    const { stamp } = await t.ask(buy('a'), 'replicated');
    const waiting = t.reached('replicated', stamp);
    await t.redis.replicaof('127.0.0.1', 1);
    await t.redis.replicaof('NO', 'ONE');
    // The replicas follow it into its new history, and acknowledge the old offset too.
    await expect
      .poll(async () => (await t.redis.info('replication')).match(/state=online/g)?.length, SOON)
      .toBe(2);
    await expect.poll(async () => await t.redis.wait(2, 10), SOON).toBe(2);
    proxy?.release();
    expect(await waiting).toBe(false);
  });
});

describe('fsync', () => {
  it('is the reply itself where each reply is behind the fsync, with the replicas', async () => {
    await start({ args: ['--appendfsync', 'always'], waitMsMax: SHORT_MS });
    const first = await t.ask(buy('a'), 'fsync');
    // With WAITAOF, replicas that have just been copied first write their own file.
    const isOnDisk = () => t.reached('fsync', first.stamp);
    await expect.poll(isOnDisk, SOON).toBe(true);
    expect(await t.reached('replicated', first.stamp), 'fsync nests replicated').toBe(true);
    pauseReplicas();
    const second = await t.ask(buy('b'), 'fsync');
    expect(await t.reached('fsync', second.stamp)).toBe(false);
  });

  it('is asked of the disks where the node can tell (Redis 7.2)', async (context) => {
    await start({ waitMsMax: LONG_MS });
    const known = (await t.redis.call('COMMAND', 'INFO', 'WAITAOF')) as unknown[];
    if (known[0] === null) {
      console.info('skipped: this Redis has no WAITAOF; HOLDFAST_REDIS_SERVER may name one');
      context.skip();
    }
    const first = await t.ask(buy('a'), 'fsync');
    expect(await t.reached('fsync', first.stamp)).toBe(true);
    // A look writes nothing, and WAIT counts from the last write of its connection.
    pauseReplicas();
    await t.receive({ 'X@A': 1 });
    const look = await t.ask({ kind: 'inspect', id: packId('a') }, 'replicated');
    const waiting = t.reached('replicated', look.stamp);
    expect(await t.ask(buy('b'), 'memory')).toMatchObject({ outcome: 'created' });
    expect(t.lane.confirmed?.waiting(), 'not confirmed by replicas that hang').toBe(1);
    resumeReplicas();
    expect(await waiting).toBe(true);
  });

  it('is never reached on a node that does not tell what is on its disk', async () => {
    await start({ args: ['--appendonly', 'no'], waitMsMax: SHORT_MS });
    const { stamp } = await t.ask(buy('a'), 'fsync');
    expect(await t.reached('fsync', stamp)).toBe(false);
  });
});

describe('a node that lost its scripts', () => {
  it('is given them again, and the operation is done once', async () => {
    await start({ waitMsMax: LONG_MS });
    const first = await t.ask(buy('a'), 'replicated');
    expect(await t.reached('replicated', first.stamp)).toBe(true);
    await t.redis.script('FLUSH');
    const second = await t.ask(buy('b'), 'replicated');
    expect(second).toMatchObject({ outcome: 'created', replayed: false });
    expect(await t.reached('replicated', second.stamp)).toBe(true);
    expect(await t.cells('X')).toEqual({ A: [998, 2, 0] });
    const committed = await t.ask(settle('commit', packId('a')), 'replicated');
    expect(committed.outcome).toBe('committed');
    expect(await t.reached('replicated', committed.stamp)).toBe(true);
  });
});

interface Holding {
  readonly url: string;
  release(): void;
}

/** A proxy that passes everything up to `marker` and holds what follows until it is released. */
async function holdBefore(port: number, marker: string): Promise<Holding> {
  const waiting: (() => void)[] = [];
  let isReleased = false;
  const server: Server = createServer((client) => {
    const upstream = createConnection(port, '127.0.0.1');
    upstream.pipe(client);
    for (const each of [client, upstream]) each.on('error', () => each.destroy());
    client.on('close', () => upstream.destroy());
    client.on('data', (bytes) => {
      const at = isReleased ? -1 : bytes.indexOf(marker);
      if (at < 0) {
        upstream.write(bytes);
        return;
      }
      // From the command's own start: "*3\r\n" stands before its name.
      const start = bytes.lastIndexOf('*', at);
      upstream.write(bytes.subarray(0, start));
      client.pause();
      waiting.push(() => {
        upstream.write(bytes.subarray(start));
        client.resume();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  held.push(async () => void server.close());
  const address = server.address();
  const listening = typeof address === 'object' ? address?.port : undefined;
  return {
    url: `redis://127.0.0.1:${listening}`,
    release() {
      isReleased = true;
      for (const go of waiting.splice(0)) go();
    },
  };
}
