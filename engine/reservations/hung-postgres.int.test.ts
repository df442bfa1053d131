/**
 * A PostgreSQL that hangs whole: its connections stay open, and nobody answers on them. Who needs it
 * for an answer is told so in its own time, long before the pool gives up what it asked; who does not
 * need it notices nothing.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Pool } from '../postgres/pool.ts';
import { hang } from '../postgres/testing/hang.ts';
import { startTestEngine, type TestAnswer, type TestEngine } from '../testing/engine.ts';
import { startPostgres, type TestPostgres } from '../testing/servers.ts';
import { untilTold } from '../testing/told.ts';
import { until } from '../testing/until.ts';
import { DEFAULT_RESERVATION_POLICY } from './policy.ts';

const TEST_MS_MAX = 180_000;
const RESERVATIONS = '/api/v1/inventory/reservations';

let postgres: TestPostgres;
let t: TestEngine;
let wake = (): void => undefined;

beforeAll(async () => {
  postgres = await startPostgres();
  // A sign of life is not waited for much longer than the look at the registry.
  const settings = { HOLDFAST_DURABILITY_WAIT_MS: '1000' };
  t = await startTestEngine({ databaseUrl: postgres.url, settings });
  await t.stock({ 'X@A': 100 });
}, TEST_MS_MAX);

afterAll(async () => {
  wake();
  await t.close();
  await postgres.stop();
}, TEST_MS_MAX);

const lookUp = (id: string) => t.call('GET', `${RESERVATIONS}/${id}`);
const commit = (id: string) => t.call('POST', '/api/v1/inventory/commit', { reservation_id: id });
const reserve = (item: object) =>
  t.call('POST', '/api/v1/inventory/reserve', [{ sku_id: 'X', quantity: 1, ...item }]);

/** Its record is still in Redis, so the lane alone says no, and the registry must confirm it. */
async function expiredHold(): Promise<string> {
  const { body } = await untilTold(() => reserve({}));
  const id = String(body.reservation_id);
  await t.passSeconds(2 * DEFAULT_RESERVATION_POLICY.ttlDefaultS);
  await until('the hold has expired', async () => (await lookUp(id)).body.status === 'expired');
  return id;
}

/** The pool has given up none of them yet. */
function ask(pool: Pool, count: number): () => boolean {
  let hasEnded = false;
  for (let i = 0; i < count; i++) {
    pool.query('SELECT 1').then(
      () => undefined,
      () => {
        hasEnded = true;
      },
    );
  }
  return () => !hasEnded;
}

const codes = (answers: readonly TestAnswer[]) => answers.map(({ body }) => body.code);

it(
  'tells whoever needs it that it is away, and sells on',
  async () => {
    const { pool } = t.serving.engine;
    const expired = await expiredHold();
    // All that the pool may have: on a new one the pool waits for five seconds only.
    const warm = Array.from({ length: pool.options.max }, () => pool.connect());
    for (const client of await Promise.all(warm)) client.release();
    wake = hang(postgres);
    const isHanging = ask(pool, 1);
    const answers = await Promise.all([
      ...['none-1', 'none-2', expired].map(lookUp),
      ...['none-3', expired].map(commit),
      reserve({ warehouse_id: 'NOWHERE' }),
    ]);
    expect(codes(answers)).toEqual(answers.map(() => 'store_unavailable'));
    expect(isHanging()).toBe(true);
    expect((await reserve({})).status).toBe(201);

    // One more than it has connections: who waits for one is given up after five seconds.
    const isWaiting = ask(pool, pool.options.max + 1);
    expect(codes([await lookUp('none-4')])).toEqual(['store_unavailable']);
    expect(isWaiting()).toBe(true);

    wake();
    expect((await untilTold(() => lookUp('none-5'))).status).toBe(404);
    expect((await untilTold(() => commit(expired))).body.code).toBe('expired');
  },
  TEST_MS_MAX,
);
