/**
 * Kafka or PostgreSQL is away for so long that the log reaches its bound, in the middle of a sale over
 * two engines: what is new is refused with a clear 503, what was promised is kept, nothing of the log
 * is given up, and when the store is back the sale goes on, exact to the unit.
 */
import { randomUUID } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { runAudit } from '../../reconciler/audit/audit.ts';
import type { Serving } from '../cli/roles.ts';
import { memoryOf } from '../log/backlog-size.ts';
import { keepPositions } from '../postgres/testing/kept-row.ts';
import { laneKeys } from '../redis/keys.ts';
import { callUrl, startTestEngine, type TestAnswer, type TestEngine } from './engine.ts';
import { startKafka } from './servers.ts';
import { untilTold } from './told.ts';
import { until } from './until.ts';

const KEYS = laneKeys(0);
const BOUND_BYTES = 32_768;
const UNITS = 100_000;
const CALLERS = 8;
/** Of one caller; all of them fill the log several times over. */
const CARTS_MAX = 200;
const HELD = 24;
/** Hundreds of carts, one after another at each caller; a machine may do other things too. */
const TEST_MS_MAX = 600_000;
/** Nothing here waits for the log: it is away. */
const MEMORY = { prefer: 'durability=memory' };

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface World {
  readonly engine: TestEngine;
  /** Addresses of two engines. */
  readonly urls: readonly [string, string];
  /** Takes the store away that the log leads to; what it gives brings it back. */
  readonly stop: () => Promise<() => Promise<void>>;
}

async function start(log: 'embedded' | 'kafka', settings: Record<string, string>): Promise<World> {
  const kafka = log === 'kafka' ? await startKafka() : undefined;
  if (kafka !== undefined) ends.push(() => kafka.stop());
  const engine = await startTestEngine({
    settings: { HOLDFAST_SWEEP_MS: '60000', HOLDFAST_TTL_MAX: '86400', ...settings },
    ...(kafka && { kafkaBrokers: kafka.brokers }),
  });
  ends.push(() => engine.close());
  const another = await engine.startAnother();
  await engine.stock({ 'HOT@A': UNITS });
  const stop = async () => {
    await kafka?.kill('SIGKILL');
    let back = kafka ? () => kafka.start() : await keepPositions(engine.serving.engine.pool);
    const once = async () => {
      const first = back;
      back = async () => undefined;
      await first();
    };
    ends.push(once);
    return once;
  };
  return { engine, urls: [engine.url, another.url], stop };
}

const post = (url: string, verb: string, body: unknown, headers: Record<string, string> = {}) =>
  callUrl(url, 'POST', `/api/v1/inventory/${verb}`, body, headers);
const ONE = { items: [{ sku_id: 'HOT', quantity: 1 }], ttl_seconds: 80_000 };
const buy = (url: string, key?: string): Promise<TestAnswer> =>
  post(url, 'reserve', ONE, key === undefined ? {} : { 'idempotency-key': key });
const idOf = ({ body }: TestAnswer): string => String(body.reservation_id);
const turn = ({ urls }: World, i: number): string => urls[i % 2 === 0 ? 0 : 1];

/** The log takes them as fast as PostgreSQL does, so one may be told that it is full. */
async function hold(world: World, count: number): Promise<string[]> {
  const holds = Array.from({ length: count }, (_, i) => {
    const key = randomUUID();
    return untilTold(() => buy(turn(world, i), key));
  });
  return (await Promise.all(holds)).map((answer) => {
    expect(answer.status).toBe(201);
    return idOf(answer);
  });
}

function expectFull(answer: TestAnswer): void {
  expect({ status: answer.status, code: answer.body.code }).toEqual({
    status: 503,
    code: 'log_full',
  });
  expect(answer.headers.get('retry-after')).toBe('5');
  expect(answer.body).toMatchObject({ retryable: true, type: '/problems/log_full' });
  expect(String(answer.body.detail)).toMatch(/wait for PostgreSQL, .* MiB/);
}

/** What was sold, and what was refused. */
interface Sold {
  readonly committed: Set<string>;
  /** By key, the id that the refusal named. */
  readonly refused: Map<string, string>;
}

/** Sells, and commits every other hold, until it is refused. */
async function sellUntilRefused(
  urls: readonly string[],
  caller: string,
  sold: Sold,
): Promise<void> {
  for (let cart = 0; cart < CARTS_MAX; cart++) {
    const url = urls[cart % urls.length] ?? '';
    const key = `${caller}-${cart}`;
    const answer = await buy(url, key);
    if (answer.status !== 201) {
      expectFull(answer);
      sold.refused.set(key, idOf(answer));
      return;
    }
    if (cart % 2 === 0) {
      const commit = await post(url, 'commit', { reservation_id: idOf(answer) }, MEMORY);
      expect(commit.status).toBe(200);
      sold.committed.add(idOf(answer));
    }
  }
  throw new Error('nothing is refused');
}

/** What an engine shows of the backlog: its level, and its share of the bound at the last look. */
async function readLevel(url: string): Promise<{ readonly level: string; readonly share: number }> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const level = /^holdfast_log_backlog_level\{level="(\w+)"\} 1$/m.exec(text)?.[1] ?? '';
  return { level, share: Number(/^holdfast_log_backlog_share (\S+)$/m.exec(text)?.[1]) };
}

/**
 * Eight callers sell over both engines until each engine has seen, by a look, that it is full: between
 * two looks it may have taken the entries for larger than they were, and sell a few more.
 */
async function sellUntilFull({ urls }: World): Promise<Sold> {
  const sold: Sold = { committed: new Set(), refused: new Map() };
  let round = 0;
  await until('both engines are full', async () => {
    round++;
    await Promise.all(
      Array.from({ length: CALLERS }, (_, caller) =>
        sellUntilRefused(caller % 2 === 0 ? urls : urls.toReversed(), `r${round}c${caller}`, sold),
      ),
    );
    const shown = await Promise.all(urls.map(readLevel));
    return shown.every(({ level, share }) => level === 'full' && share >= 0.8);
  });
  return sold;
}

interface Stream {
  readonly epoch: number;
  readonly last: number;
  readonly persisted: number;
  /** Bytes of the entries that PostgreSQL does not have, in order. */
  readonly sizes: readonly number[];
}

/** The stream itself, entry by entry: it begins at what PostgreSQL has, or before, and has no gap. */
async function readStream({ redis }: TestEngine): Promise<Stream> {
  const [mark, meta, entries] = await Promise.all([
    redis.hget(KEYS.marks, 'persisted'),
    redis.hmget(KEYS.meta, 'epoch', 'seq'),
    redis.xrangeBuffer(KEYS.log, '-', '+'),
  ]);
  const [epoch = 0, last = 0] = meta.map(Number);
  const [markedEpoch, marked = 0] = (mark ?? '0 0').split(' ').map(Number);
  const persisted = markedEpoch === epoch ? marked : 0;
  const waiting = entries.flatMap(([id, fields]) => {
    const [of, seq = 0] = String(id).split('-').map(Number);
    return of === epoch && seq > persisted ? [{ seq, bytes: fields[1]?.length ?? 0 }] : [];
  });
  const expected = Array.from({ length: last - persisted }, (_, i) => persisted + 1 + i);
  expect(
    waiting.map(({ seq }) => seq),
    'every entry that PostgreSQL does not have is there',
  ).toEqual(expected);
  return { epoch, last, persisted, sizes: waiting.map(({ bytes }) => bytes) };
}

const memoryOfAll = ({ sizes }: Stream): number =>
  sizes.reduce((sum, each) => sum + memoryOf(each), 0);

/** Each caller has one request under way; a look's samples may be a fifth off. */
function expectBounded(stream: Stream, bound: number, callers: number): void {
  const largest = Math.max(...stream.sizes.map(memoryOf));
  expect(memoryOfAll(stream)).toBeGreaterThan(0.5 * bound);
  expect(memoryOfAll(stream)).toBeLessThan(1.2 * bound + callers * largest);
}

async function expectExact(world: World, committed: ReadonlySet<string>): Promise<void> {
  const { redis, serving } = world.engine;
  const { pool } = serving.engine;
  await until('Redis, the log and PostgreSQL agree', async () => {
    const audit = await runAudit({ redis, pool });
    return audit.differences.length === 0;
  });
  const { rows } = await pool.query<{ reservation_id: string }>(
    `SELECT reservation_id FROM reservations WHERE status = 'committed'`,
  );
  const persisted = new Set(rows.map((row) => row.reservation_id));
  expect([...committed].filter((id) => !persisted.has(id))).toEqual([]);
  const cells = await pool.query<{ granted: number }>(
    `SELECT sum(available_qty + reserved_qty + allocated_qty)::int AS granted FROM inventory
     WHERE sku_id = 'HOT'`,
  );
  expect(cells.rows[0]?.granted).toBe(UNITS);
}

/** Everything that would lengthen the log for good is refused, by both engines. */
async function expectNothingNew(world: World, held: string): Promise<void> {
  for (const url of world.urls) {
    expectFull(await buy(url));
    expectFull(await post(url, 'extend', { reservation_id: held, ttl_seconds: 600 }));
    const receive = { sku_id: 'HOT', warehouse_id: 'A', quantity: 5 };
    expectFull(await callUrl(url, 'POST', '/api/v1/stock/receive', receive));
    expectFull(await callUrl(url, 'PUT', '/api/v1/products/NEW', { name: 'New' }));
    const look = await callUrl(url, 'GET', `/api/v1/inventory/reservations/${held}`);
    expect(look.body.status).toBe('held');
    const ready = await callUrl(url, 'GET', '/readyz');
    expect([ready.status, ready.body]).toMatchObject([
      200,
      { status: 'degraded', checks: { redis: 'ok', log: expect.stringMatching(/^full: /) } },
    ]);
  }
}

it.each(['embedded', 'kafka'] as const)(
  'at the bound nothing new is sold, what is held is settled, and nothing is lost: %s log',
  async (log) => {
    const world = await start(log, { HOLDFAST_LOG_BYTES_MAX: String(BOUND_BYTES) });
    const { engine } = world;
    const held = await hold(world, HELD);
    const giveBack = await world.stop();
    const sold = await sellUntilFull(world);
    const { committed } = sold;
    expectBounded(await readStream(engine), BOUND_BYTES, CALLERS);

    await expectNothingNew(world, held[0] ?? '');
    // One that starts now judges for itself.
    const third: Serving = await engine.startAnother();
    await sellUntilRefused([third.url], 'third', sold);
    expectBounded(await readStream(engine), BOUND_BYTES, CALLERS);

    // What was promised is kept, by both engines, while a crowd is refused.
    const crowd = Array.from({ length: 60 }, (_, i) => buy(turn(world, i)));
    const settled = await Promise.all(
      held.map((id, i) =>
        post(turn(world, i), i % 3 === 0 ? 'release' : 'commit', { reservation_id: id }, MEMORY),
      ),
    );
    expect(settled.map(({ status }) => status)).toEqual(held.map(() => 200));
    held.forEach((id, i) => {
      if (i % 3 !== 0) committed.add(id);
    });
    for (const refused of await Promise.all(crowd)) expectFull(refused);
    const stream = await readStream(engine);
    expectBounded(stream, BOUND_BYTES, CALLERS + HELD);

    await giveBack();
    // A refused request, sent again, is done once, under the id that the refusal named.
    for (const [key, id] of sold.refused) {
      const answer = await untilTold(() => buy(world.urls[0], key));
      expect([answer.status, idOf(answer)]).toEqual([201, id]);
    }
    await expectExact(world, committed);
    const metrics = await (await fetch(`${engine.url}/metrics`)).text();
    expect(metrics).toMatch(/holdfast_log_full_total\{request="reserve"\} \d+/);
    expect(metrics).toMatch(/holdfast_log_backlog_levels_total\{level="full"\} 1/);
  },
  TEST_MS_MAX,
);

it(
  'at the hard bound nothing is written, settlements neither; they pass again before anything new',
  async () => {
    const bound = BOUND_BYTES;
    const world = await start('embedded', { HOLDFAST_LOG_BYTES_MAX: String(bound) });
    const { engine } = world;
    const held: string[] = [];
    while (held.length < 400) held.push(...(await hold(world, 4)));
    await until(
      'PostgreSQL has the holds',
      async () => (await readStream(engine)).sizes.length === 0,
    );
    const giveBack = await world.stop();
    const { committed } = await sellUntilFull(world);
    const before = committed.size;
    const commit = (id: string) => post(world.urls[0], 'commit', { reservation_id: id }, MEMORY);
    let refused = '';
    await until('a look has seen the hard bound', async () => {
      refused = held.pop() ?? '';
      const answer = await commit(refused);
      if (answer.status === 200) committed.add(refused);
      else expectFull(answer);
      const { level, share } = await readLevel(world.urls[0]);
      return answer.status === 503 && level === 'hard' && share >= 1.8;
    });
    // Between the two bounds there was room for what was held.
    expect(committed.size - before).toBeGreaterThan(20);
    const stream = await readStream(engine);
    expectBounded(stream, 2 * bound, 2);
    await engine.passSeconds(85_000);
    expect(await engine.serving.engine.lane.expire(100)).toMatchObject({ outcome: 'log_full' });
    expect((await readStream(engine)).last).toBe(stream.last);
    await giveBack();
    await until('the commit passes', async () => (await commit(refused)).status === 200);
    committed.add(refused);
    await expectExact(world, committed);
  },
  TEST_MS_MAX,
);

it(
  'recovery runs while the log is full, and brings all of it to PostgreSQL',
  async () => {
    const world = await start('embedded', { HOLDFAST_LOG_BYTES_MAX: String(BOUND_BYTES) });
    const { engine } = world;
    const giveBack = await world.stop();
    const { committed } = await sellUntilFull(world);
    const full = await readStream(engine);
    await engine.redis.hset(KEYS.meta, 'replid', '0'.repeat(40));
    await giveBack();
    const again = await untilTold(() => buy(world.urls[1], 'after'));
    expect([again.status, Number(again.body.epoch) > full.epoch]).toEqual([201, true]);
    await expectExact(world, committed);
  },
  TEST_MS_MAX,
);
