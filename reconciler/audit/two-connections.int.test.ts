import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Pool, PoolClient } from '../../engine/postgres/pool.ts';
import { runAudit } from './audit.ts';
import { tell } from './testing/told.ts';
import { startWorld, type World } from './testing/world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.stop());

/** The pool, with something done before its second connection is lent. */
function beforeSecondConnection(pool: Pool, work: () => Promise<void>): Pool {
  let lent = 0;
  const connect = async (): Promise<PoolClient> => {
    lent += 1;
    if (lent === 2) await work();
    return pool.connect();
  };
  return new Proxy(pool, {
    get(target, name) {
      if (name === 'connect') return connect;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

async function audit(pool: Pool): Promise<string[]> {
  const limits = { catchUpMs: 50 };
  const { differences } = await runAudit({ redis: world.redis, pool, limits });
  return differences.map(({ where, explanation }) => `${where}: ${explanation}`);
}

it('sees PostgreSQL as it stood, whatever is written between its two connections', async () => {
  const story = tell();
  await world.tellRedis(story);
  await world.tellPostgres(story);
  const pool = beforeSecondConnection(world.pool, async () => {
    await world.pool.query(`UPDATE inventory SET suspect = 'written later' WHERE sku_id = 'CUP'`);
  });
  expect(await audit(pool)).toEqual([]);
  expect(await audit(world.pool)).toEqual([
    'cell CUP EU-1: the persister marked the cell suspect: written later',
  ]);
});
