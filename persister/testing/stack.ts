/** A lane on a real Redis beside a migrated PostgreSQL, something to sell, and a way to compare. */
import type { Sku } from '../../engine/domain/ids.ts';
import type { OperationAnswer } from '../../engine/redis/lane-port.ts';
import {
  KEYS,
  reserve,
  settle,
  startTestLane,
  TERM,
  type TestLane,
} from '../../engine/redis/testing/test-lane.ts';
import { type MigratedDatabase, migratedDatabase } from './database.ts';
import { readCells, readLedger } from './rows-of.ts';

export { TERM };

export interface TestStack extends TestLane {
  readonly database: MigratedDatabase;
  readonly end: () => Promise<void>;
}

/** PostgreSQL carries the lane's term, as after a recovery; `fenced: false` leaves that to the log. */
export async function startStack({ fenced = true } = {}): Promise<TestStack> {
  const [lane, database] = await Promise.all([startTestLane(), migratedDatabase()]);
  if (fenced) await database.pool.query('UPDATE positions SET term = $1', [TERM]);
  return Object.assign(lane, {
    database,
    end: async () => {
      await lane.stop();
      await database.end();
    },
  });
}

export const CELLS = ['HOT@W1', 'HOT@W2', 'COLD@W1'] as const;

/** Carts that are held, released, committed in part or whole, shipped and cancelled. */
export async function sell(stack: TestLane, carts: number): Promise<void> {
  for (let done = 0; done < carts; done += 20) {
    const some = Math.min(20, carts - done);
    await Promise.all(Array.from({ length: some }, (_, i) => sellOne(stack, done + i)));
  }
}

async function sellOne(stack: TestLane, i: number): Promise<void> {
  const id = stack.ids.make(stack.lane.nowMs(), 0);
  const ask = (operation: Parameters<TestLane['submit']>[0]): Promise<OperationAnswer> =>
    stack.submit(operation);
  const made = await ask(reserve(id, { 'HOT@W1,W2': 2, 'COLD@W1': 1 }));
  if (made.outcome !== 'created') return;
  const way = i % 6;
  if (way === 1) await ask(settle('release', id));
  if (way === 2) await ask(settle('release', id, { 'HOT@W1': 1 }, { operationKey: keyOf(i) }));
  if (way > 2) await ask(settle('commit', id, way === 3 ? { 'HOT@W1': 1 } : undefined));
  if (way === 4) await ask(settle('ship', id));
  if (way === 5) await ask(settle('cancel', id, { 'COLD@W1': 1 }, { operationKey: keyOf(i) }));
}

function keyOf(i: number): Buffer {
  const key = Buffer.alloc(8, 1);
  key.writeUInt32BE(i + 1, 4);
  return key;
}

/** The cells of Redis, as `readCells` gives those of PostgreSQL. */
export async function cellsOfRedis(stack: TestLane): Promise<Record<string, number[]>> {
  const skus = [...new Set(CELLS.map((name) => name.split('@')[0] as Sku))];
  const view = await stack.lane.availability(skus);
  if (view.outcome !== 'applied') throw new Error(`the lane answers ${view.outcome}`);
  return Object.fromEntries(
    view.skus.flatMap(({ sku, cells }) =>
      cells.map((cell) => [
        `${sku} ${cell.field}`,
        [cell.available, cell.reserved, cell.allocated, cell.version],
      ]),
    ),
  );
}

export interface Comparison {
  readonly redis: unknown;
  readonly postgres: unknown;
  readonly ledger: unknown;
  readonly suspects: number;
}

/** Both sides; equal when everything has arrived, once. */
export async function compareCells(stack: TestStack): Promise<Comparison> {
  const [redis, postgres, ledger, { rows }] = await Promise.all([
    cellsOfRedis(stack),
    readCells(stack.database.pool),
    readLedger(stack.database.pool),
    stack.database.pool.query<{ n: number }>(
      'SELECT count(*) AS n FROM inventory WHERE suspect IS NOT NULL',
    ),
  ]);
  return { redis, postgres, ledger, suspects: rows[0]?.n ?? -1 };
}

/** Entries of the stream and of PostgreSQL. */
export async function countEntries(stack: TestStack): Promise<{ redis: number; postgres: number }> {
  const { rows } = await stack.database.pool.query<{ n: number }>(
    'SELECT count(*) AS n FROM entries',
  );
  return { redis: await stack.redis.xlen(KEYS.log), postgres: rows[0]?.n ?? 0 };
}

export function stockOf(units: number): Record<string, number> {
  return Object.fromEntries(CELLS.map((name) => [name, units]));
}
