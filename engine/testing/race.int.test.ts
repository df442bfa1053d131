/**
 * 10,000 buyers at once for 1,000 units, over two engine processes that share Redis and PostgreSQL:
 * exactly 1,000 are sold, the last unit among them, and every other buyer hears `insufficient`.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHttpClient, type HttpAnswer, type HttpClient } from '../../bench/load/client.ts';
import { runAudit } from '../../reconciler/audit/audit.ts';
import { laneScripts } from '../redis/lane-scripts.ts';
import { wholeLog } from '../redis/testing/whole-log.ts';
import { foldLog } from './auditor/fold.ts';
import { startTestEngine, type TestEngine } from './engine.ts';
import { type ServeProcess, startServeProcess } from './serve-process.ts';

const UNITS = 1_000;
const BUYERS = 10_000;
const ENGINES = 2;
const TIMEOUT_MS = 120_000;
const JSON_TYPE = { 'content-type': 'application/json' };

let deployment: TestEngine;
let engines: ServeProcess[];
let clients: HttpClient[];

beforeAll(async () => {
  deployment = await startTestEngine();
  await deployment.stock({ 'HOT@A': UNITS });
  // Admission by time is another test's matter: on a slow machine it would turn buyers away.
  const env = { ...deployment.env, HOLDFAST_QUEUE_WAIT_MS: '60000' };
  engines = await Promise.all(Array.from({ length: ENGINES }, () => startServeProcess({ env })));
  clients = engines.map(({ host, port }) =>
    // A connection for each buyer: all of them are at the door at once.
    createHttpClient({ host, port, maxConnections: BUYERS / ENGINES, timeoutMs: TIMEOUT_MS }),
  );
}, TIMEOUT_MS);

afterAll(async () => {
  for (const client of clients ?? []) client.close();
  await Promise.all((engines ?? []).map((engine) => engine.stop()));
  await deployment?.close();
}, TIMEOUT_MS);

/** Through the engine whose turn it is. */
function post(turn: number, verb: string, body: unknown, key?: string): Promise<HttpAnswer> {
  const client = clients[turn % ENGINES];
  if (client === undefined) throw new Error('no engine runs');
  const headers = key === undefined ? JSON_TYPE : { ...JSON_TYPE, 'idempotency-key': key };
  return client.request('POST', `/api/v1/inventory/${verb}`, headers, JSON.stringify(body));
}

const buy = (buyer: number): Promise<HttpAnswer> =>
  post(buyer, 'reserve', [{ sku_id: 'HOT', quantity: 1 }], `buyer-${buyer}`);

/** How many answers of each kind. */
function tally(answers: readonly HttpAnswer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, body } of answers) {
    const { code, status: state } = JSON.parse(body) as Record<string, string>;
    const kind = `${status} ${code ?? state}`;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

const idOf = ({ body }: HttpAnswer): string =>
  (JSON.parse(body) as { reservation_id: string }).reservation_id;

const balances = async (): Promise<unknown> => {
  const { body } = await deployment.call('GET', '/api/v1/inventory/HOT/availability');
  return body.warehouses;
};

describe('10,000 buyers for 1,000 units over two engines', () => {
  let winners: readonly string[];

  it('sells exactly the units, and tells every other buyer why', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const answers = await Promise.all(Array.from({ length: BUYERS }, (_, buyer) => buy(buyer)));
    expect(tally(answers)).toEqual({
      '201 held': UNITS,
      '409 insufficient': BUYERS - UNITS,
    });
    winners = answers.filter(({ status }) => status === 201).map(idOf);
    expect(new Set(winners).size).toBe(UNITS);
    expect(await balances()).toMatchObject([
      { available_qty: 0, reserved_qty: UNITS, allocated_qty: 0 },
    ]);
  });

  it('gives a buyer who asks again through the other engine the same', async () => {
    const again = await Promise.all(
      Array.from({ length: 200 }, (_, buyer) =>
        post(buyer + 1, 'reserve', [{ sku_id: 'HOT', quantity: 1 }], `buyer-${buyer}`),
      ),
    );
    const known = new Set(winners);
    const replays = again.filter(({ status }) => status !== 409);
    expect(replays.length).toBeGreaterThan(0);
    for (const each of replays) {
      expect(each.status).toBe(200);
      expect(each.headers['idempotent-replayed']).toBe('true');
      expect(known.has(idOf(each))).toBe(true);
    }
  });

  it('commits each once, whichever engine is asked, and however often', async () => {
    const commits = await Promise.all(
      winners.flatMap((id, i) => [
        post(i, 'commit', { reservation_id: id }),
        post(i + 1, 'commit', { reservation_id: id }),
      ]),
    );
    expect(tally(commits)).toEqual({ '200 committed': 2 * UNITS });
    const replayed = commits.filter(({ headers }) => headers['idempotent-replayed'] === 'true');
    expect(replayed).toHaveLength(UNITS);
    expect(await balances()).toMatchObject([
      { available_qty: 0, reserved_qty: 0, allocated_qty: UNITS },
    ]);
    expect((await buy(BUYERS)).status).toBe(409);
  });

  it('leaves Redis, the log and PostgreSQL in agreement', async () => {
    const { engine } = deployment.serving;
    const audit = await runAudit({ redis: engine.redis, pool: engine.pool });
    expect(audit.differences).toEqual([]);
    const fold = foldLog(await wholeLog(laneScripts(engine.redis, 0)));
    expect(fold.violations).toEqual([]);
    expect(fold.cell('HOT', 'A')).toMatchObject({
      granted: UNITS,
      available: 0,
      reserved: 0,
      allocated: UNITS,
    });
  });
});
