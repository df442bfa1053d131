/**
 * Kafka is restarted, or PostgreSQL is away for a while, in the middle of a sale: reserves go on,
 * everything arrives, nothing twice, and every acknowledged commit is there.
 */
import { afterEach, expect, it } from 'vitest';
import { runAudit } from '../../reconciler/audit/audit.ts';
import { startTestEngine, type TestEngine } from './engine.ts';
import { expectCommitted } from './expect-committed.ts';
import { newTally, shop } from './sale.ts';
import { startKafka, startPostgres } from './servers.ts';
import { until } from './until.ts';

const IS_LONG = process.env.HOLDFAST_TEST_LONG === '1';
/** How long PostgreSQL is away. */
const OUTAGE_MS = IS_LONG ? 20_000 : 4_000;
const UNITS = 400;
const SHOPPERS = 16;
/** A broker that is started beside other tests takes its time. */
const TEST_MS_MAX = 180_000;

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function start(log: 'embedded' | 'kafka') {
  const postgres = await startPostgres();
  ends.push(() => postgres.stop());
  const kafka = log === 'kafka' ? await startKafka() : undefined;
  if (kafka !== undefined) ends.push(() => kafka.stop());
  const engine = await startTestEngine({
    log,
    databaseUrl: postgres.url,
    ...(kafka !== undefined && { kafkaBrokers: kafka.brokers }),
  });
  ends.push(() => engine.close());
  await engine.stock({ 'HOT@A': UNITS, 'OTHER@A': 100_000 });
  return { engine, postgres, kafka };
}

/** Reserves of another SKU, one after the other. */
async function reserveWhile(engine: TestEngine, isGoingOn: () => boolean): Promise<number> {
  let accepted = 0;
  while (isGoingOn()) {
    const body = [{ sku_id: 'OTHER', quantity: 1 }];
    const { status } = await engine.call('POST', '/api/v1/inventory/reserve', body);
    if (status === 201) accepted++;
  }
  return accepted;
}

async function saleWith(engine: TestEngine, fault: () => Promise<void>): Promise<void> {
  const tally = newTally();
  const sale = Array.from({ length: SHOPPERS }, (_, i) => shop(engine, i, tally));
  await until('the sale is under way', () => tally.committed.size > 40);
  let isDown = true;
  const reserving = reserveWhile(engine, () => isDown);
  await fault();
  isDown = false;
  expect(await reserving, 'reserves go on').toBeGreaterThan(10);
  await Promise.all(sale);
  expect(tally.committed.size).toBeLessThanOrEqual(UNITS);
  await expectCommitted(engine, tally.committed);
  await until('PostgreSQL has every commit', async () => {
    const { rows } = await engine.serving.engine.pool.query<{ sold: number }>(
      `SELECT sum(allocated_qty)::bigint AS sold FROM inventory WHERE sku_id = 'HOT'`,
    );
    return (rows[0]?.sold ?? 0) >= tally.committed.size;
  });
  const audit = await runAudit({ redis: engine.redis, pool: engine.serving.engine.pool });
  expect(audit.differences).toEqual([]);
}

it(
  'Kafka is restarted',
  async () => {
    const { engine, kafka } = await start('kafka');
    await saleWith(engine, async () => {
      await kafka?.kill('SIGKILL');
      await kafka?.start();
    });
  },
  TEST_MS_MAX,
);

it.each(['embedded', 'kafka'] as const)(
  'PostgreSQL is away, %s log',
  async (log) => {
    const { engine, postgres } = await start(log);
    await saleWith(engine, async () => {
      await postgres.kill('SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS));
      await postgres.start();
    });
  },
  TEST_MS_MAX,
);
