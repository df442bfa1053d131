/**
 * What was given up is still on its way to Redis: its bytes are held. A client that was told
 * *unknown* asks again, is answered, and acts on that. Then the bytes arrive, and must change nothing:
 * a commit would take units for nobody, whose payment was refunded; a reserve would write over the
 * reservation that was made under its id meanwhile.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runAudit } from '../../reconciler/audit/audit.ts';
import { type Serving, startServe } from '../cli/roles.ts';
import { laneKeys } from '../redis/keys.ts';
import type { OperationAnswer } from '../redis/lane-port.ts';
import { FRESH_MS_MAX, type Operation } from '../redis/operation.ts';
import { readConfig } from '../runtime/config.ts';
import { createLogger } from '../runtime/log.ts';
import { callUrl, startTestEngine, type TestAnswer, type TestEngine } from './engine.ts';
import { Network } from './faults/network.ts';
import { untilTold } from './told.ts';
import { until } from './until.ts';

const UNITS = 2;
const INVENTORY = '/api/v1/inventory';
const LINES = [{ sku_id: 'HOT', warehouse_id: 'A', quantity: UNITS }];
const ENGINE_CONNECTION = /\bname=holdfast-engine\b/g;

let deployment: TestEngine;
let network: Network;
/** An engine that reaches Redis through the network. */
let late: Serving;

beforeEach(async () => {
  deployment = await startTestEngine();
  await deployment.stock({ 'HOT@A': UNITS });
  network = new Network();
  const { host, port } = await network.front({
    party: 'redis',
    upstream: { host: '127.0.0.1', port: deployment.server.port },
    identify: () => 'late',
  });
  const config = readConfig({ ...deployment.env, REDIS_URL: `redis://${host}:${port}` });
  late = await startServe({ config, log: createLogger('late', config.logLevel) });
});

afterEach(async () => {
  network.heal();
  await late.close();
  await network.close();
  await deployment.close();
});

const post = (verb: string, body: unknown, url = deployment.url): Promise<TestAnswer> =>
  callUrl(url, 'POST', `${INVENTORY}/${verb}`, body);

const told = async (ask: () => Promise<TestAnswer>): Promise<TestAnswer['body']> =>
  (await untilTold(ask)).body;

const look = (id: string) => told(() => deployment.call('GET', `${INVENTORY}/reservations/${id}`));

/** The commit of a hold that expired, which takes its units again. */
async function expiredHold(): Promise<{ reservation_id: string } & Record<string, unknown>> {
  const items = [{ sku_id: 'HOT', quantity: UNITS }];
  const { reservation_id, epoch } = (await post('reserve', { items, ttl_seconds: 1 })).body;
  const id = String(reservation_id);
  await deployment.passSeconds(2);
  await until('it expired', async () => (await look(id)).status === 'expired');
  return { reservation_id: id, lines: LINES, hold_epoch: epoch };
}

/**
 * Holds the bytes of the late engine from its first operation of that kind.
 * `sent`: they are on their way. `landed`: what the lane answered to them.
 */
function holdFrom(isMeant: (operation: Operation) => boolean): {
  sent: Promise<void>;
  landed: Promise<OperationAnswer>;
} {
  const { lane } = late.engine;
  const submit = lane.submit.bind(lane);
  let sent = (): void => undefined;
  let landed = (_answer: OperationAnswer): void => undefined;
  const hold: typeof submit = (operation, done, level) => {
    if (!isMeant(operation)) {
      submit(operation, done, level);
      return;
    }
    network.cutOneWay(['late'], ['redis']);
    const decide = (answer: OperationAnswer): void => {
      landed(answer);
      done(answer);
    };
    submit(operation, decide, level);
    // The batch is written at the end of this turn.
    setImmediate(() => setImmediate(sent));
  };
  Object.assign(lane, { submit: hold });
  return {
    sent: new Promise((resolve) => {
      sent = resolve;
    }),
    landed: new Promise((resolve) => {
      landed = resolve;
    }),
  };
}

const isRetake = (operation: Operation): boolean => 'retake' in operation;

/** Another buyer has the units, so the commit is told that they are lost; then they are free. */
async function hearsTheFinalNo(commit: { reservation_id: string }): Promise<void> {
  const items = [{ sku_id: 'HOT', quantity: UNITS }];
  const other = await told(() => post('reserve', { items, reservation_id: 'other' }));
  expect(other).toMatchObject({ status: 'held' });
  expect(await told(() => post('commit', commit))).toMatchObject({ code: 'hold_lost' });
  expect(await look(commit.reservation_id)).toMatchObject({ status: 'expired' });
  const released = await told(() => post('release', { reservation_id: 'other' }));
  expect(released).toMatchObject({ status: 'released' });
}

/** The end of the late engine's connection comes behind its bytes. */
const arrived = (): Promise<void> =>
  until('the bytes have arrived', async () => {
    const clients = String(await deployment.redis.client('LIST'));
    return clients.match(ENGINE_CONNECTION)?.length === 1;
  });

async function expectNothingTaken(id: string): Promise<void> {
  expect(await look(id)).toMatchObject({ status: 'expired' });
  await expectBalances({ available_qty: UNITS, reserved_qty: 0, allocated_qty: 0 });
}

/** In Redis, and the same in PostgreSQL. */
async function expectBalances(balances: Readonly<Record<string, number>>): Promise<void> {
  const { body } = await deployment.call('GET', `${INVENTORY}/HOT/availability`);
  expect(body.warehouses).toMatchObject([balances]);
  const { redis, pool } = deployment.serving.engine;
  expect((await runAudit({ redis, pool })).differences).toEqual([]);
}

it('takes nothing when the no was final: the connection broke, and the bytes arrive', async () => {
  const commit = await expiredHold();
  const { sent } = holdFrom(isRetake);
  const startedMs = performance.now();
  const unknown = post('commit', commit, late.url);
  await sent;
  late.engine.redis.disconnect();
  expect((await unknown).body).toMatchObject({ code: 'store_unavailable' });
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(late.engine.policy.retakeMsMax);
  await hearsTheFinalNo(commit);
  network.heal();
  await arrived();
  await expectNothingTaken(commit.reservation_id);
});

it('takes nothing in another epoch, however little lane time passed: the connection lives', async () => {
  const commit = await expiredHold();
  Object.assign(late.engine.policy, { retakeMsMax: 600_000 });
  const { sent, landed } = holdFrom(isRetake);
  const client = new AbortController();
  const given = fetch(`${late.url}${INVENTORY}/commit`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(commit),
    signal: client.signal,
  });
  await sent;
  client.abort();
  await expect(given).rejects.toThrow();
  // The node is the same, and recovery opens it again.
  const { epoch } = await look(commit.reservation_id);
  await deployment.redis.hset(laneKeys(0).meta, 'replid', '0'.repeat(40));
  await until('it is open again', async () => {
    return (await look(commit.reservation_id)).epoch !== epoch;
  });
  await hearsTheFinalNo(commit);
  network.heal();
  expect(await landed).toMatchObject({ outcome: 'undecided' });
  await expectNothingTaken(commit.reservation_id);
});

it('keeps what a shopper did under an id that she was told with "unknown", when that comes late', async () => {
  const items = [{ sku_id: 'HOT', quantity: 1 }];
  const { sent } = holdFrom((operation) => operation.kind === 'reserve');
  const startedMs = performance.now();
  const unknown = post('reserve', { items }, late.url);
  await sent;
  late.engine.redis.disconnect();
  const { code, reservation_id: id } = (await unknown).body;
  expect(code).toBe('store_unavailable');
  // Told only when the reserve can do nothing any more. No upper bound: a machine may be busy.
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(FRESH_MS_MAX);
  const again = await told(() => post('reserve', { items, reservation_id: id }));
  expect(again).toMatchObject({ status: 'held' });
  const commit = await told(() => post('commit', { reservation_id: id }));
  expect(commit).toMatchObject({ status: 'committed' });
  network.heal();
  await arrived();
  expect(await look(String(id))).toMatchObject({ status: 'committed' });
  await expectBalances({ available_qty: UNITS - 1, reserved_qty: 0, allocated_qty: 1 });
});
