/**
 * Medusa's inventory module on its own: the module, its migrations and its PostgreSQL, without the
 * shop around it. Its service checks what is available and then writes the new sum, so calls at the
 * same time take the same units; Medusa's own flows therefore call it under a lock of the locking
 * module, which is what `createReservationsWorkflow` adds. Both are measured.
 *
 * A sale is the reservation's tie to an order line; Medusa takes the units off the stock when the
 * order is packed. It has no holds that end by themselves: its checkout reserves when the order is
 * placed.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fieldOf } from '../demo/api.ts';
import { type PackageVersions, packagesDirectory } from './packages.ts';
import type { Bookkeeper, Committed, Hold, Peer, Reserved, StoreUrls, Wish } from './peer.ts';

const MEDUSA = '2.21.2';
export const MEDUSA_PACKAGES: PackageVersions = {
  '@medusajs/core-flows': MEDUSA,
  '@medusajs/deps': MEDUSA,
  '@medusajs/event-bus-local': MEDUSA,
  '@medusajs/framework': MEDUSA,
  '@medusajs/inventory': MEDUSA,
  '@medusajs/locking': MEDUSA,
  // What its framework asks its user for.
  ioredis: '5.8.2',
};

const LOCATION = 'sloc_bench';
const INVENTORY = 'inventory';
/** Types of a MedusaError, which a workflow rejects with as a plain object. Not enough stock: */
const NOT_ALLOWED = 'not_allowed';
/** No such reservation. */
const NOT_FOUND = 'invalid_data';

interface NewReservation {
  readonly inventory_item_id: string;
  readonly location_id: string;
  readonly quantity: number;
}

interface Reservation extends NewReservation {
  readonly id: string;
}

/** The part of the inventory service that is called. */
interface InventoryService {
  createInventoryItems(items: { readonly sku: string }[]): Promise<{ readonly id: string }[]>;
  createInventoryLevels(
    levels: {
      readonly inventory_item_id: string;
      readonly location_id: string;
      readonly stocked_quantity: number;
    }[],
  ): Promise<unknown>;
  createReservationItems(items: NewReservation[]): Promise<Reservation[]>;
  updateReservationItems(update: {
    readonly id: string;
    readonly line_item_id: string;
  }): Promise<Reservation>;
}

interface App {
  readonly modules: Readonly<Record<string, unknown>>;
  readonly sharedContainer: unknown;
  runMigrations(): Promise<void>;
  onApplicationShutdown(): Promise<void>;
}

type CreateReservations = (items: NewReservation[]) => Promise<readonly Reservation[]>;

interface Flow {
  run(options: {
    readonly input: { readonly reservations: readonly NewReservation[] };
  }): Promise<{ readonly result: readonly Reservation[] }>;
}

export interface MedusaOptions {
  /** Through `createReservationsWorkflow`, not by a call of the service. */
  readonly isLocked: boolean;
}

/** Its packages must be there (packages.ts). */
export async function createMedusa(urls: StoreUrls, { isLocked }: MedusaOptions): Promise<Peer> {
  process.env.MEDUSA_DISABLE_TELEMETRY = 'true';
  const directory = packagesDirectory(MEDUSA_PACKAGES, process.env);
  const load = createRequire(join(directory, 'package.json'));
  const app = await startApp(load, directory, urls.databaseUrl);
  const inventory = app.modules[INVENTORY] as InventoryService;
  const create: CreateReservations = isLocked
    ? throughWorkflow(load, app)
    : (items) => inventory.createReservationItems(items);
  const itemIds = new Map<string, string>();
  return {
    holdDurability: 'persisted',
    commitDurability: 'persisted',
    async setUp(units) {
      await app.runMigrations();
      for (const [sku, stocked_quantity] of Object.entries(units)) {
        const [item] = await inventory.createInventoryItems([{ sku }]);
        if (item === undefined) throw new Error(`Medusa made no item of ${sku}`);
        itemIds.set(sku, item.id);
        const level = { inventory_item_id: item.id, location_id: LOCATION, stocked_quantity };
        await inventory.createInventoryLevels([level]);
      }
    },
    reserve: (wish) => reserve(create, itemIds.get(wish.sku) ?? '', wish),
    commit: (id) => commit(inventory, id, itemIds),
    expire: () => Promise.resolve(),
    close: () => app.onApplicationShutdown(),
  };
}

async function startApp(load: NodeJS.Require, cwd: string, databaseUrl: string): Promise<App> {
  const { MedusaApp } = load('@medusajs/framework/modules-sdk') as {
    readonly MedusaApp: (options: unknown) => Promise<App>;
  };
  const logger = quietLogger();
  return await MedusaApp({
    modulesConfig: {
      [INVENTORY]: { resolve: '@medusajs/inventory' },
      locking: { resolve: '@medusajs/locking' },
      event_bus: { resolve: '@medusajs/event-bus-local' },
    },
    sharedResourcesConfig: { database: { clientUrl: databaseUrl } },
    injectedDependencies: { logger },
    cwd,
  });
}

/** It says what it does at each call; errors reach us as errors. */
function quietLogger(): Readonly<Record<string, () => void>> {
  const quiet = (): void => undefined;
  const names = ['debug', 'info', 'log', 'warn', 'error', 'success', 'failure', 'activity'];
  return Object.fromEntries([...names, 'progress'].map((name) => [name, quiet]));
}

function throughWorkflow(load: NodeJS.Require, app: App): CreateReservations {
  const { createReservationsWorkflow } = load('@medusajs/core-flows') as {
    readonly createReservationsWorkflow: (container: unknown) => Flow;
  };
  return async (reservations) => {
    const run = createReservationsWorkflow(app.sharedContainer);
    return (await run.run({ input: { reservations } })).result;
  };
}

async function reserve(
  create: CreateReservations,
  itemId: string,
  { sku, quantity, ttlS }: Wish,
): Promise<Reserved> {
  try {
    const wanted = { inventory_item_id: itemId, location_id: LOCATION, quantity };
    const [made] = await create([wanted]);
    if (made === undefined) throw new Error('Medusa made no reservation');
    const hold: Hold = { id: made.id, sku, quantity, deadlineMs: Date.now() + ttlS * 1_000 };
    return { outcome: 'created', hold };
  } catch (error) {
    if (fieldOf(error, 'type') === NOT_ALLOWED) return { outcome: 'insufficient', available: 0 };
    throw error;
  }
}

async function commit(
  inventory: InventoryService,
  id: string,
  itemIds: ReadonlyMap<string, string>,
): Promise<Committed> {
  try {
    const sold = await inventory.updateReservationItems({ id, line_item_id: `ordli_${id}` });
    const sku = [...itemIds].find(([, itemId]) => itemId === sold.inventory_item_id)?.[0] ?? '';
    const hold = { id, sku, quantity: Number(sold.quantity), deadlineMs: 0 };
    return { outcome: 'committed', hold, isReplay: false };
  } catch (error) {
    if (fieldOf(error, 'type') === NOT_FOUND) return { outcome: 'not_found' };
    // It looks again whether there is enough, which there is not where it has sold too much.
    if (fieldOf(error, 'type') === NOT_ALLOWED) return { outcome: 'expired' };
    throw error;
  }
}

export const medusaBooks: Bookkeeper = {
  async read({ pool }, sku) {
    const { rows } = await pool.query<{ for_sale: number; held: number; sold: number }>(
      `SELECT (level.stocked_quantity - level.reserved_quantity)::integer AS for_sale,
              coalesce(sum(r.quantity) FILTER (WHERE r.line_item_id IS NULL), 0)::integer AS held,
              coalesce(sum(r.quantity) FILTER (WHERE r.line_item_id IS NOT NULL), 0)::integer
                AS sold
       FROM inventory_item item
       JOIN inventory_level level ON level.inventory_item_id = item.id
       LEFT JOIN reservation_item r ON r.inventory_item_id = item.id AND r.deleted_at IS NULL
       WHERE item.sku = $1
       GROUP BY level.id`,
      [sku],
    );
    const [row] = rows;
    if (row === undefined) throw new Error(`Medusa has no ${sku}`);
    return { forSale: row.for_sale, held: row.held, sold: row.sold };
  },
  async countSold({ pool }, ids) {
    const { rows } = await pool.query<{ n: number }>(
      `SELECT count(*)::integer AS n FROM reservation_item
       WHERE line_item_id IS NOT NULL AND deleted_at IS NULL AND id = ANY($1)`,
      [ids],
    );
    return rows[0]?.n ?? 0;
  },
};
