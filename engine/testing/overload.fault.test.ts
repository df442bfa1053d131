/**
 * More is asked than the lane can do, or nothing at all comes back from it, because its bytes are held:
 * who is refused, with what, and what became of it afterwards. How fast is in bench/scenarios/overload.ts.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runAudit } from '../../reconciler/audit/audit.ts';
import { type Serving, startServe } from '../cli/roles.ts';
import { packId } from '../domain/reservation-id.ts';
import type { OperationAnswer } from '../redis/lane-port.ts';
import type { Operation } from '../redis/operation.ts';
import { readConfig } from '../runtime/config.ts';
import { createLogger } from '../runtime/log.ts';
import { callUrl, startTestEngine, type TestAnswer, type TestEngine } from './engine.ts';
import { Network } from './faults/network.ts';
import { untilTold } from './told.ts';
import { until } from './until.ts';

const INVENTORY = '/api/v1/inventory';
const UNITS = 10_000;
const BATCH = 4;
const WIRE_MS = 5;
/** A stall of this machine of ten times that must not look like one of the lane. */
const QUEUE_WAIT_MS = 200;
const TEST_MS_MAX = 180_000;
const PARTIES = ['engine', 'redis'] as const;

let deployment: TestEngine;
let network: Network;
/** The engine that is asked for too much; it reaches Redis through the network. */
let busy: Serving;
/** Set when the test is over: who asks again and again stops. */
let isOver: boolean;

beforeEach(async () => {
  isOver = false;
  deployment = await startTestEngine();
  await deployment.stock({ 'HOT@A': UNITS });
  network = new Network();
  const { host, port } = await network.front({
    party: 'redis',
    upstream: { host: '127.0.0.1', port: deployment.server.port },
    identify: () => 'engine',
  });
  const config = readConfig({
    ...deployment.env,
    REDIS_URL: `redis://${host}:${port}`,
    HOLDFAST_BATCH_OPERATIONS: String(BATCH),
    HOLDFAST_QUEUE_WAIT_MS: String(QUEUE_WAIT_MS),
  });
  busy = await startServe({ config, log: createLogger('busy', config.logLevel) });
  await busy.engine.whole;
});

afterEach(async () => {
  isOver = true;
  network.heal();
  await busy.close();
  await network.close();
  await deployment.close();
});

const hold = (): void => network.cut(['engine'], ['redis']);
const slowDown = (): void => {
  const [engine, redis] = PARTIES;
  network.delay([engine], [redis], WIRE_MS);
  network.delay([redis], [engine], WIRE_MS);
};

const reserve = (id: string, url = busy.url): Promise<TestAnswer> => {
  const items = [{ sku_id: 'HOT', warehouse_id: 'A', quantity: 1 }];
  return callUrl(url, 'POST', `${INVENTORY}/reserve`, { items, reservation_id: id });
};
const commit = (id: string): Promise<TestAnswer> =>
  callUrl(busy.url, 'POST', `${INVENTORY}/commit`, { reservation_id: id });
const look = (id: string): Promise<TestAnswer> =>
  deployment.call('GET', `${INVENTORY}/reservations/${id}`);

async function expectBalances(balances: Readonly<Record<string, number>>): Promise<void> {
  const { body } = await deployment.call('GET', `${INVENTORY}/HOT/availability`);
  expect(body.warehouses).toMatchObject([balances]);
  const { redis, pool } = deployment.serving.engine;
  expect((await runAudit({ redis, pool })).differences).toEqual([]);
}

async function countQueued(): Promise<number> {
  const [, count] = /^holdfast_lane_queued (\d+)$/m.exec(await busy.engine.metrics.render()) ?? [];
  if (count === undefined) throw new Error('the engine does not say how many wait for the lane');
  return Number(count);
}

const inspect = (): Operation => ({ kind: 'inspect', id: packId('nobody') });

/** Look-ups on the lane itself, as many at a time, until it is told to stop. */
function crowd(size: number): { refused(): number; end(): Promise<void> } {
  let refused = 0;
  let present = 0;
  const { lane } = busy.engine;
  const ask = (): void => {
    if (isOver) return;
    present++;
    lane.submit(inspect(), ({ outcome }) => {
      present--;
      if (outcome === 'overloaded') {
        refused++;
        // A client that comes again, and does not wait.
        setTimeout(ask, 1);
      } else ask();
    });
  };
  for (let i = 0; i < size; i++) ask();
  return {
    refused: () => refused,
    async end() {
      isOver = true;
      await until('the crowd has left', () => present === 0);
    },
  };
}

it('a lane that gives nothing back: what is refused was not done, and each id has one outcome', {
  timeout: TEST_MS_MAX,
}, async () => {
  expect((await untilTold(() => reserve('before'))).body).toMatchObject({ status: 'held' });
  hold();
  const asked = new Map<string, Promise<TestAnswer>>();
  const answers = new Map<string, TestAnswer>();
  const ask = (id: string): void => {
    const asking = reserve(id);
    asked.set(id, asking);
    void asking.then((answer) => answers.set(id, answer));
  };
  const isRefused = (): boolean =>
    [...answers.values()].some(({ body }) => body.code === 'overloaded');
  await until('some are refused', () => {
    if (asked.size < 1_000) ask(`cart-${asked.size}`);
    return isRefused();
  });
  network.heal();
  for (const [id, asking] of asked) {
    const { status, headers, body } = await asking;
    expect([201, 503], id).toContain(status);
    expect(body.reservation_id).toBe(id);
    if (status === 503) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    // "Nothing was changed" is what its problem page says.
    if (body.code === 'overloaded') expect((await look(id)).status, id).toBe(404);
  }
  for (const id of asked.keys()) {
    expect((await untilTold(() => reserve(id))).body, id).toMatchObject({ status: 'held' });
  }
  const held = asked.size + 1;
  await expectBalances({ available_qty: UNITS - held, reserved_qty: held });
});

it('nothing is kept of what is refused, and all that was kept leaves', {
  timeout: TEST_MS_MAX,
}, async () => {
  const { lane } = busy.engine;
  const answers: OperationAnswer[] = [];
  let asked = 0;
  const ask = (): void => {
    asked++;
    lane.submit(inspect(), (answer) => answers.push(answer));
  };
  hold();
  await until('the lane refuses', () => {
    if (asked < 1_000) ask();
    return answers.some(({ outcome }) => outcome === 'overloaded');
  });
  const queued = await countQueued();
  for (let i = 0; i < 20_000; i++) ask();
  expect(await countQueued()).toBeLessThanOrEqual(queued);
  network.heal();
  await until('all is answered', () => answers.length === asked);
  expect(await countQueued()).toBe(0);
  await until('it sells again', async () => (await reserve('after')).status !== 503);
});

it('a crowd of look-ups is refused, and no commit or release is', {
  timeout: TEST_MS_MAX,
}, async () => {
  const ids = Array.from({ length: 40 }, (_, i) => `paid-${i}`);
  for (const id of ids) {
    expect((await untilTold(() => reserve(id))).body).toMatchObject({ status: 'held' });
  }
  slowDown();
  const lookers = crowd(1_000);
  await until('the crowd is refused', () => lookers.refused() > 100);
  for (const [i, id] of ids.entries()) {
    const release = () => callUrl(busy.url, 'POST', `${INVENTORY}/release`, { reservation_id: id });
    const answer = await (i % 2 === 0 ? commit(id) : release());
    expect(answer.body, id).toMatchObject({ status: i % 2 === 0 ? 'committed' : 'released' });
  }
  const before = lookers.refused();
  await until('the crowd is refused still', () => lookers.refused() > before);
  await lookers.end();
  await expectBalances({ available_qty: UNITS - 20, reserved_qty: 0, allocated_qty: 20 });
});
