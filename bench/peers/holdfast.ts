/** The engine as a contender: `holdfast serve`, `persist` and `recover`, each in its process. */
import {
  type RoleProcess,
  type ServeProcess,
  startRoleProcess,
  startServeProcess,
} from '../../engine/testing/serve-process.ts';
import { migrate } from '../../persister/migrate.ts';
import { createApi, fieldOf } from '../demo/api.ts';
import { Meter } from '../demo/meter.ts';
import { createShop, type Shop } from '../scenarios/shop.ts';
import type { Entrant, Reader } from './contender.ts';
import type { OpenStores, StoreUrls } from './peer.ts';
import { withStores } from './stores.ts';

export const HOLDFAST = 'Holdfast';

interface Running {
  readonly engine: ServeProcess;
  readonly workers: readonly RoleProcess[];
  readonly stop: () => Promise<void>;
}

export const holdfast: Entrant = {
  name: HOLDFAST,
  prepare: () => Promise.resolve(),
  async start(urls, units) {
    await withStores(urls, async ({ pool }) => {
      await migrate(pool);
    });
    const { engine, workers, stop } = await startProcesses(urls);
    const shopping = <T>(work: (shop: Shop) => Promise<T>): Promise<T> =>
      withStores(urls, ({ redis }) => work(createShop(engine, redis, environmentOf(urls))));
    await shopping(async (shop) => {
      await shop.open();
      await shop.receive(units);
      await shop.whenPersisted();
    });
    const { host, port, url, pid } = engine;
    return {
      ...{ host, port, url, pid },
      workerPids: workers.map((worker) => worker.pid),
      settle: () => shopping((shop) => shop.whenPersisted()),
      countHeld: (sku) => shopping(async (shop) => (await shop.balances(sku)).reserved),
      stop,
    };
  },
  async withReader(urls, work) {
    const { engine, stop } = await startProcesses(urls);
    try {
      return await withStores(urls, async (stores) => {
        const shop = createShop(engine, stores.redis, environmentOf(urls));
        await shop.open();
        return await work(readerOf(engine.url, shop, stores));
      });
    } finally {
      await stop();
    }
  },
};

function environmentOf({ redisUrl, databaseUrl }: StoreUrls): Record<string, string> {
  return {
    REDIS_URL: redisUrl,
    DATABASE_URL: databaseUrl,
    KAFKA_BROKERS: '',
    HOLDFAST_LOG_LEVEL: 'warn',
  };
}

async function startProcesses(urls: StoreUrls): Promise<Running> {
  const env = environmentOf(urls);
  const started: RoleProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((each) => each.stop()));
  };
  const add = async <T extends RoleProcess>(starting: Promise<T>): Promise<T> => {
    const running = await starting;
    started.push(running);
    return running;
  };
  try {
    const persister = await add(startRoleProcess('persist', { env }));
    const recovery = await add(startRoleProcess('recover', { env }));
    const engine = await add(startServeProcess({ env }));
    return { engine, workers: [persister, recovery], stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function readerOf(url: string, shop: Shop, { pool }: OpenStores): Reader {
  return {
    async read(sku) {
      await shop.whenPersisted();
      const { available, reserved } = await shop.balances(sku);
      const { rows } = await pool.query<{ sold: number }>(
        'SELECT coalesce(sum(allocated_qty), 0)::integer AS sold FROM inventory WHERE sku_id = $1',
        [sku],
      );
      return { forSale: available, held: reserved, sold: rows[0]?.sold ?? 0 };
    },
    async countSold(ids) {
      const api = createApi(url, new Meter());
      try {
        const answers = await Promise.all(
          ids.map((id) =>
            api.insist({
              method: 'GET',
              path: `/api/v1/inventory/reservations/${id}`,
              label: 'look up',
            }),
          ),
        );
        return answers.filter(({ body }) => fieldOf(body, 'status') === 'committed').length;
      } finally {
        api.close();
      }
    },
    differences: async () => (await shop.audit()).length,
  };
}
