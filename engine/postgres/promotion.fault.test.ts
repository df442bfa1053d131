/**
 * The PostgreSQL primary dies in the middle of a sale, and its standby is promoted, up to date or
 * behind: engine, persister and recovery go on there, nothing is sold twice, and every commit that
 * was acknowledged is there. With Kafka the log has what the standby lacks; embedded, the lane's own
 * stream has it, for the margin that the persister leaves.
 */
import { afterEach, expect, it } from 'vitest';
import { runAudit } from '../../reconciler/audit/audit.ts';
import { startTestEngine, type TestEngine } from '../testing/engine.ts';
import { expectCommitted } from '../testing/expect-committed.ts';
import { startPostgresPair, type TestPostgresPair } from '../testing/postgres-pair.ts';
import { newTally, shop } from '../testing/sale.ts';
import { until } from '../testing/until.ts';

const UNITS = 200;
const SHOPPERS = 8;
const TEST_MS_MAX = 180_000;
const IS_LONG = process.env.HOLDFAST_TEST_LONG === '1';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
}, TEST_MS_MAX);

async function start(log: 'embedded' | 'kafka') {
  const pair = await startPostgresPair();
  ends.push(() => pair.stop());
  // A commit whose level is not reached says so after a second instead of five, and is asked again.
  const settings = { HOLDFAST_DURABILITY_WAIT_MS: '1000' };
  const engine = await startTestEngine({ log, databaseUrl: pair.url, settings });
  ends.push(() => engine.close());
  await engine.stock({ 'HOT@A': UNITS });
  return { pair, engine };
}

async function promoteInTheMiddle(
  engine: TestEngine,
  pair: TestPostgresPair,
  isBehind: boolean,
): Promise<void> {
  const tally = newTally();
  const sale = Array.from({ length: SHOPPERS }, (_, i) => shop(engine, i, tally));
  await until('the sale is under way', () => tally.committed.size > 40);
  if (isBehind) {
    await pair.pauseReplay();
    const soFar = tally.committed.size;
    await until('commits that the standby lacks', () => tally.committed.size > soFar + 40);
  }
  await pair.primary.kill('SIGKILL');
  await pair.promote();
  await Promise.all(sale);
  expect(tally.committed.size).toBe(UNITS);
  await expectCommitted(engine, tally.committed);
  const { pool } = engine.serving.engine;
  await until('PostgreSQL has every commit', async () => {
    const { rows } = await pool.query<{ sold: number }>(
      `SELECT sum(allocated_qty)::bigint AS sold FROM inventory WHERE sku_id = 'HOT'`,
    );
    return rows[0]?.sold === UNITS;
  });
  const { rows } = await pool.query<{ port: number; timeline: number }>(
    'SELECT inet_server_port() AS port, (term >> 32)::int AS timeline FROM lanes',
  );
  expect(rows).toEqual([{ port: pair.standby.port, timeline: 2 }]);
  const audit = await runAudit({ redis: engine.redis, pool });
  expect(audit.differences).toEqual([]);
}

const CASES = [
  { log: 'kafka', isBehind: true },
  { log: 'embedded', isBehind: true },
  { log: 'embedded', isBehind: false },
  { log: 'kafka', isBehind: false },
] as const;

it.each(IS_LONG ? CASES : CASES.slice(0, 1))(
  'the standby is promoted, $log log, behind: $isBehind',
  async ({ log, isBehind }) => {
    const { engine, pair } = await start(log);
    await promoteInTheMiddle(engine, pair, isBehind);
  },
  TEST_MS_MAX,
);
