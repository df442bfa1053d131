/** The classes of products, between PostgreSQL and the engine. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrate } from '../../persister/migrate.ts';
import type { Sku } from '../domain/ids.ts';
import { createPool, type Pool } from '../postgres/pool.ts';
import { type TestDatabase, testDatabase } from '../testing/servers.ts';
import { createSkuClasses } from './sku-classes.ts';

const REFRESH_MS = 30_000;

let database: TestDatabase;
let pool: Pool;
beforeAll(async () => {
  database = await testDatabase();
  pool = createPool({
    url: database.url,
    applicationName: 'test',
    connectionsMax: 2,
    onIdleError: () => undefined,
  });
  await migrate(pool);
  await pool.query(
    `INSERT INTO products (sku_id, class) VALUES ('ring', 'jewel'), ('book', NULL), ('pen', 'cheap')`,
  );
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const sku = (id: string): Sku => id as Sku;

it('knows the products of the classes that have levels, and no others', async () => {
  const classes = createSkuClasses(pool, ['jewel', 'hot']);
  await classes.load();
  expect(['ring', 'book', 'pen', 'nobody'].map((id) => classes.of(sku(id)))).toEqual([
    'jewel',
    undefined,
    undefined,
    undefined,
  ]);
});

it('sees what was put here at once, and elsewhere within the refresh', async () => {
  let now = 0;
  const classes = createSkuClasses(pool, ['jewel', 'hot'], () => now);
  await classes.load();
  classes.put(sku('book'), 'hot');
  classes.put(sku('ring'), null);
  expect([classes.of(sku('book')), classes.of(sku('ring'))]).toEqual(['hot', undefined]);
  await pool.query(`UPDATE products SET class = 'hot' WHERE sku_id = 'pen'`);
  expect(classes.of(sku('pen'))).toBeUndefined();
  now += REFRESH_MS + 1;
  await expect.poll(() => classes.of(sku('pen'))).toBe('hot');
});

it('keeps what was put while it read', async () => {
  const classes = createSkuClasses(pool, ['jewel', 'hot']);
  const loading = classes.load();
  classes.put(sku('ring'), 'hot');
  await loading;
  expect(classes.of(sku('ring'))).toBe('hot');
});

it('asks nobody where no class has levels', async () => {
  const classes = createSkuClasses({} as Pool, []);
  await classes.load();
  expect(classes.of(sku('ring'))).toBeUndefined();
});
