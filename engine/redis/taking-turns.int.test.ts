/** Reserves and settlements that both wait for a replica: neither crowd keeps the other from it. */
import { createConnection, createServer, type Server } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SCRIPT_WORK_MAX } from '../domain/script-limits.ts';
import { until } from '../testing/until.ts';
import { connectRedis } from './connect.ts';
import { createLane, type RunningLane } from './lane.ts';
import type { OperationAnswer } from './lane-port.ts';
import type { Operation } from './operation.ts';
import { onNode, untilInSync } from './testing/confirmed-lane.ts';
import { reserve, settle, startTestLane, type TestLane } from './testing/test-lane.ts';

/** Each way to the replica: far longer than a script takes, so that what waits for it never ends. */
const AWAY_MS = 10;
/** Three connections carry some 400 at a time: who is behind them is always there. */
const CROWD = 1_000;
const BATCH = 128;
const ASKS = 12;

let t: TestLane;
let away: Server;
let lane: RunningLane;
beforeEach(async () => {
  t = await startTestLane({ replicas: 1 });
  away = await listenBefore(t.server.port);
  const [replica] = t.replicas;
  const at = away.address();
  if (replica === undefined || at === null || typeof at === 'string') throw new Error('no replica');
  await onNode(replica, (redis) => redis.replicaof('127.0.0.1', at.port));
  await untilInSync(t.redis, 0);
  await untilInSync(t.redis, 1);
  lane = createLane({
    redis: t.redis,
    number: 0,
    line: t.line,
    confirming: {
      connect: () => connectRedis({ url: t.server.url, name: 'wait', onError: () => undefined }),
      replicas: 1,
      waitMsMax: 5_000,
    },
    limits: {
      batchOperationsMax: BATCH,
      batchLinesMax: SCRIPT_WORK_MAX,
      queueWaitMsMax: 1_000,
      holdAgeSMax: 7_200,
    },
    hooks: {
      onBatch: () => undefined,
      onFenced: () => undefined,
      onStoreError: () => undefined,
      onUnreadable: () => undefined,
    },
  });
  await t.receive({ 'X@A': 1_000_000 });
});
afterEach(async () => {
  lane.close();
  await t.stop();
  away.close();
});

function listenBefore(port: number): Promise<Server> {
  const server = createServer((near) => {
    const far = createConnection(port, '127.0.0.1');
    near.on('data', (bytes) => setTimeout(() => far.write(bytes), AWAY_MS));
    far.on('data', (bytes) => setTimeout(() => near.write(bytes), AWAY_MS));
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

const ask = (operation: Operation) =>
  new Promise<OperationAnswer>((resolve) => lane.submit(operation, resolve, 'replicated'));
const buy = () => reserve(t.ids.make(lane.nowMs(), 0), { 'X@A': 1 }, { fresh: true });

it.each(['reserves', 'settlements'] as const)(
  'a crowd of %s lets the others through',
  async (which) => {
    const holds: Buffer[] = [];
    for (let i = 0; i < ASKS; i++) {
      const operation = buy();
      await ask(operation);
      holds.push(operation.id);
    }
    const ofCrowd = {
      reserves: buy,
      settlements: () => settle('release', holds[0] ?? Buffer.alloc(0)),
    };
    let isOver = false;
    let served = 0;
    const crowd = Array.from({ length: CROWD }, async () => {
      while (!isOver) {
        await ask(ofCrowd[which]());
        served++;
      }
    });
    await until('the crowd is there', () => served > CROWD);
    const outcomes: string[] = [];
    let longest = 0;
    for (const id of holds.slice(1)) {
      const servedBefore = served;
      const { outcome } = await ask(which === 'reserves' ? settle('commit', id) : buy());
      outcomes.push(outcome);
      longest = Math.max(longest, served - servedBefore);
    }
    isOver = true;
    await Promise.all(crowd);
    expect(new Set(outcomes)).toEqual(new Set([which === 'reserves' ? 'committed' : 'created']));
    // The two batches that are on their way, and those that end while it waits for its turn.
    expect(longest).toBeLessThan(10 * BATCH);
  },
);
