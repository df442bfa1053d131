/**
 * The warehouses, cached in the engine; PostgreSQL is their source.
 *
 * True at any time: what is cached was in PostgreSQL at most REFRESH_MS before its last use, except
 * while PostgreSQL cannot be asked; then the old answer stands. An id that is not cached is looked
 * up each time, but one statement at a time serves all who asked before it began, so a flood of
 * made-up ids costs PostgreSQL one look-up at a time.
 */
import type { Pool } from '../postgres/pool.ts';
import { readerUntil } from '../postgres/reader.ts';
import type { Warehouse } from './warehouse.ts';
import { readWarehouses } from './warehouse-store.ts';

export interface WarehouseDirectory {
  /** From the cache alone. */
  get(id: string): Warehouse | undefined;
  /** Those of the ids that exist; rejects when an id is not cached and PostgreSQL cannot be asked. */
  find(ids: readonly string[]): Promise<ReadonlyMap<string, Warehouse>>;
  /** One was just written by this engine. */
  put(warehouse: Warehouse): void;
  /** Reads all; at start. */
  load(): Promise<void>;
}

/** Another engine may change a cut-off; nobody waits for that on the spot. */
const REFRESH_MS = 30_000;
/** A look takes a millisecond. Who asks waits for two at most: one that is under way, and its own. */
const LOOK_MS_MAX = 2_000;

export function createDirectory(
  pool: Pool,
  nowMs: () => number = () => performance.now(),
): WarehouseDirectory {
  const cached = new Map<string, Warehouse>();
  let refreshedAtMs = Number.NEGATIVE_INFINITY;
  const store = (warehouses: readonly Warehouse[]): void => {
    for (const each of warehouses) cached.set(each.warehouse_id, each);
  };
  const load = async (): Promise<void> => {
    refreshedAtMs = nowMs();
    store(await readWarehouses(pool, undefined));
  };
  const lookUp = coalesce(async (ids: readonly string[]) => {
    const reader = readerUntil(pool, performance.now() + LOOK_MS_MAX);
    store(await readWarehouses(reader, ids));
  });

  return {
    load,
    put: (warehouse) => void cached.set(warehouse.warehouse_id, warehouse),
    get(id) {
      if (nowMs() - refreshedAtMs > REFRESH_MS) load().catch(keepOldAnswers);
      return cached.get(id);
    },
    async find(ids) {
      const missing = ids.filter((id) => !cached.has(id));
      if (missing.length > 0) await lookUp(missing);
      const found = new Map<string, Warehouse>();
      for (const id of ids) {
        const warehouse = cached.get(id);
        if (warehouse !== undefined) found.set(id, warehouse);
      }
      return found;
    },
  };
}

/** The next use tries again. */
function keepOldAnswers(): void {}

/** Ids in one statement; more than one request's worth waits for the next. */
const LOOK_UP_IDS_MAX = 10_000;

/** Calls `look` with the ids of all who waited, one call at a time. */
function coalesce(
  look: (ids: readonly string[]) => Promise<void>,
): (ids: readonly string[]) => Promise<void> {
  let waiting: { ids: readonly string[]; resolve: () => void; reject: (e: unknown) => void }[] = [];
  let isBusy = false;
  const run = async (): Promise<void> => {
    isBusy = true;
    while (waiting.length > 0) {
      const served = waiting;
      waiting = [];
      const ids = new Set(served.flatMap((each) => each.ids));
      try {
        if (ids.size > LOOK_UP_IDS_MAX)
          throw new Error('too many unknown warehouses are asked for');
        await look([...ids]);
        for (const { resolve } of served) resolve();
      } catch (error) {
        for (const { reject } of served) reject(error);
      }
    }
    isBusy = false;
  };
  return (ids) =>
    new Promise((resolve, reject) => {
      waiting.push({ ids, resolve, reject });
      if (!isBusy) void run();
    });
}
